"""How far apart the features of two planes are, cell by cell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.similarity import as_map, to_pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_dinoprompt.core.geometry import CellGrid

__all__ = ["cell_distances", "distance_map", "mean_distance"]

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
    columns).
    """
    if real.shape != fake.shape:
        msg = (
            f"Features of {tuple(real.shape)} cannot be compared with those of "
            f"{tuple(fake.shape)}; both images must be on one grid."
        )
        raise InputError(msg)
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
    """Average distances over cells.

    Takes distances, valid (rows, columns).
    """
    counted = distances.reshape(-1) if valid is None else distances[valid]
    return float(counted.double().mean()) if counted.numel() else math.nan


def distance_map(
    distances: torch.Tensor, grid: CellGrid, no_data: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Interpolate distances onto the pixels, as similarities are.

    Takes distances (rows, columns), no_data (H, W); returns (H, W).
    """
    return as_map(to_pixels(distances[None], grid)[0], no_data)
