"""How far apart two planes are to networks: the features of cells, and LPIPS.

The package `lpips` is an optional extra; nothing is ever downloaded for it.
"""

from __future__ import annotations

import math
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from napari_dinoprompt.core.scoring.similarity import as_map, to_pixels

from .columns import Column

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_dinoprompt.core.tiling.grid import CellGrid

    Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


LPIPS = Column(
    "lpips",
    "LPIPS",
    "features",
    "lower",
    "Distance between the responses of an AlexNet that was trained on photographs and "
    "on people's judgement of likeness; 0 for identical images.",
    "Zhang et al., CVPR 2018; package lpips, version 0.1, AlexNet",
)

# The file of torchvision that LPIPS builds on, in ``checkpoints`` of torch's hub.
WEIGHTS = "alexnet-owt-7be5be79.pth"

# Three poolings by two after a stride of four leave nothing of smaller planes.
_LEAST_SIDE = 64
_ROWS = 32


def cell_distances(
    real: torch.Tensor,
    fake: torch.Tensor,
    mean: torch.Tensor,
    inverse_scale: torch.Tensor,
) -> torch.Tensor:
    """Measure the cosine distance of each cell's two vectors.

    1 - cos of the angle between them, once the statistics of the reference are
    applied to both: the statistics of either plane would hide what differs.

    Takes real, fake (rows, columns, D), mean, inverse_scale (D,); returns (rows,
    columns), from 0 (same direction) to 2. A vector without length has distance 1 to
    every other and 0 to another such.
    """
    device = real.device
    mean, inverse_scale = mean.to(device), inverse_scale.to(device)
    found = torch.empty(real.shape[:2], dtype=torch.float32, device=device)
    # A few rows at a time, so that no second copy of the whole maps is made.
    parts = zip(real.split(_ROWS), fake.split(_ROWS), found.split(_ROWS), strict=True)
    for one, other, out in parts:
        u = _unit(one, mean, inverse_scale)
        v = _unit(other.to(device), mean, inverse_scale)
        # 1 - <u, v> = |u - v|^2 / 2 of unit vectors, and that is exactly 0 for equals.
        half = (u - v).square().sum(dim=2) / 2
        # One without length leaves a half.
        alone = u.any(dim=2) ^ v.any(dim=2)
        out[:] = torch.where(alone, 1.0, half).clamp_(0, 2)
    return found


def _unit(
    vectors: torch.Tensor, mean: torch.Tensor, inverse_scale: torch.Tensor
) -> torch.Tensor:
    # The smallest normal number: only a vector without any length stays without.
    tiny = torch.finfo(torch.float32).tiny
    return F.normalize((vectors - mean) * inverse_scale, dim=2, eps=tiny)


def mean_distance(distances: torch.Tensor, valid: torch.Tensor | None = None) -> float:
    """Average (rows, columns) distances over the cells that count; NaN if none does."""
    counted = distances.reshape(-1) if valid is None else distances[valid]
    return float(counted.double().mean()) if counted.numel() else math.nan


def distance_map(
    distances: torch.Tensor, grid: CellGrid, no_data: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Interpolate (rows, columns) distances onto the (H, W) pixels, as similarities.

    NaN where there is no data.
    """
    return as_map(to_pixels(distances[None], grid)[0], no_data)


def find_network() -> Network | None:
    """Load LPIPS if all of it is on this machine."""
    if find_spec("lpips") is None or find_spec("torchvision") is None:
        return None
    weights = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    if not weights.is_file():
        return None
    from napari_dinoprompt.core.backbones.vit import import_timm

    # It imports torchvision, which has to be led past a crash.
    import_timm()
    import lpips

    with warnings.catch_warnings():
        # About torchvision's older names for weights.
        warnings.simplefilter("ignore")
        network: Any = lpips.LPIPS(net="alex", verbose=False)
    found: Network = network.eval()
    return found


def perceptual_distance(
    real: NDArray[np.float32],
    fake: NDArray[np.float32],
    network: Network,
    valid: NDArray[np.bool_] | None = None,
) -> float:
    """Measure how unlike two planes look; NaN for planes below 64 pixels a side.

    Takes real, fake (H, W) windowed to [0, 1], valid (H, W). The network gets two
    (1, 3, H, W) tensors in [-1, 1]. Where a pixel is not valid both are black, which
    makes no distance, and the mean is taken over the rest.
    """
    share = 1.0 if valid is None else float(valid.mean())
    if min(real.shape) < _LEAST_SIDE or share == 0:
        return math.nan
    both = [one if valid is None else np.where(valid, one, 0) for one in (real, fake)]
    with torch.inference_mode():
        one, other = (
            torch.from_numpy(np.ascontiguousarray(plane, dtype=np.float32) * 2 - 1)
            .expand(1, 3, -1, -1)
            .contiguous()
            for plane in both
        )
        return float(network(one, other).mean()) / share
