"""LPIPS: a perceptual distance, where its package and weights are on this machine.

The package `lpips` is an optional extra; nothing is ever downloaded for it.
"""

from __future__ import annotations

import math
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_dinoprompt.core.comparing.columns import Column

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

__all__ = ["LPIPS", "WEIGHTS", "find_network", "perceptual_distance"]

LPIPS = Column(
    "lpips",
    "LPIPS",
    "features",
    "lower",
    "Distance between the responses of an AlexNet that was trained on photographs and "
    "on people's judgement of likeness; 0 for identical images.",
    "Zhang et al., CVPR 2018; package lpips, version 0.1, AlexNet",
)

WEIGHTS = "alexnet-owt-7be5be79.pth"
"""The file of torchvision that LPIPS builds on, in ``checkpoints`` of torch's hub."""

# Three poolings by two after a stride of four leave nothing of smaller planes.
_LEAST_SIDE = 64


def find_network() -> Network | None:
    """Load LPIPS if all of it is on this machine.

    Returns
    -------
    callable or None
        None where the package or torchvision's AlexNet weights are missing.
    """
    if find_spec("lpips") is None or find_spec("torchvision") is None:
        return None
    weights = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    if not weights.is_file():
        return None
    from napari_dinoprompt.core.backbones.vit import import_timm

    # It imports torchvision, which has to be led past a crash.
    import_timm()
    package: Any = import_module("lpips")
    with warnings.catch_warnings():
        # About torchvision's older names for weights.
        warnings.simplefilter("ignore")
        network: Any = package.LPIPS(net="alex", verbose=False)
    found: Network = network.eval()
    return found


def perceptual_distance(
    real: NDArray[np.float32],
    fake: NDArray[np.float32],
    network: Network,
    valid: NDArray[np.bool_] | None = None,
) -> float:
    """Measure how unlike two planes look.

    Parameters
    ----------
    real, fake : (H, W) ndarray of float32
        Windowed to [0, 1].
    network : callable
        Takes two (1, 3, H, W) tensors in [-1, 1].
    valid : (H, W) ndarray of bool, optional
        Elsewhere both are black.

    Returns
    -------
    float
        NaN for planes below 64 pixels a side.
    """
    if min(real.shape) < _LEAST_SIDE:
        return math.nan
    both = [one if valid is None else np.where(valid, one, 0) for one in (real, fake)]
    with torch.inference_mode():
        one, other = (
            torch.from_numpy(np.ascontiguousarray(plane, dtype=np.float32) * 2 - 1)
            .expand(1, 3, -1, -1)
            .contiguous()
            for plane in both
        )
        return float(network(one, other).mean())
