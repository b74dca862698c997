"""What the similarity map of a class shows on a plane of its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.features import FeatureMap
    from napari_dinoprompt.core.similarity import ScoredPlane

__all__ = ["MOST_PEAKS", "SourceMap", "fitted_peaks", "look_at"]

MOST_PEAKS = 30
"""How many of the best matches are kept."""

# Enough for a histogram; all of a large map would cost more than scoring it.
_POINTS = 65_536


@dataclass(frozen=True, eq=False)
class SourceMap:
    """What the similarity map of a class shows on one plane of its source.

    Attributes
    ----------
    values, slopes : (M,) ndarrays of float32
        Similarity along the edges of the image at points spread over the plane, and
        how fast it changes there.
    peaks : (P,) ndarray of float32
        Similarities of the cells that resemble the prompts most, away from them and
        from each other.
    at_prompts : (n,) ndarray of float32
        Similarity along the edges at the class's prompts on this plane.
    """

    values: NDArray[np.float32]
    slopes: NDArray[np.float32]
    peaks: NDArray[np.float32]
    at_prompts: NDArray[np.float32]


def look_at(plane: ScoredPlane, number: int, points: NDArray[np.float64]) -> SourceMap:
    """Look at the map of one class on one plane.

    points: (n, 2) float64.
    """
    features, cells = plane.features, plane.objects[number]
    fitted = plane.fitted
    if fitted is None:
        step, shown = features.grid.cell, cells
    else:
        step, shown = float(fitted.guide.step), fitted.blocks(number).clamp(-1, 1)
    values, slopes = _spread_points(shown, features.no_data)
    last = np.asarray(shown.shape) - 1
    y, x = np.clip(np.floor((points + 0.5) / step), 0, last).astype(np.int64).T
    return SourceMap(
        values=values,
        slopes=slopes,
        peaks=_peaks(cells, features, points),
        at_prompts=shown.cpu().numpy()[y, x],
    )


def _spread_points(
    shown: torch.Tensor, no_data: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows, columns = shown.shape
    stride = max(1, int((rows * columns / _POINTS) ** 0.5))
    padded = F.pad(shown[None], (1, 1, 1, 1), "replicate")[0]
    middle = slice(1, rows + 1, stride), slice(1, columns + 1, stride)
    dy = padded[2 : rows + 2, 1 : columns + 1] - padded[:rows, 1 : columns + 1]
    dx = padded[1 : rows + 1, 2 : columns + 2] - padded[1 : rows + 1, :columns]
    slopes = torch.hypot(dy[::stride, ::stride], dx[::stride, ::stride]) / 2
    values = padded[middle]
    if no_data is None:
        return values.reshape(-1).cpu().numpy(), slopes.reshape(-1).cpu().numpy()
    # A point counts if its pixel holds data; the fall into a gap is no object's edge.
    held = torch.from_numpy(~no_data).float()[None, None]
    held = -F.adaptive_max_pool2d(-held, (rows, columns))
    held = -F.max_pool2d(-held, 3, stride=1, padding=1)
    keep = (held[0, 0, ::stride, ::stride] == 1).to(shown.device)
    return values[keep].cpu().numpy(), slopes[keep].cpu().numpy()


def _peaks(
    cells: torch.Tensor, features: FeatureMap, points: NDArray[np.float64]
) -> NDArray[np.float32]:
    # A peak is above all blocks around its own: about a window of the guide.
    size = max(1, features.guide_radius)
    blocks = F.max_pool2d(cells[None, None], size, ceil_mode=True)
    peaks = (blocks == F.max_pool2d(blocks, 3, stride=1, padding=1))[0, 0]
    peaks &= blocks[0, 0] > 0
    last = np.asarray(peaks.shape) - 1
    at = np.floor((features.grid.to_cells(points) + 0.5) / size)
    for row, column in np.clip(at, 0, last).astype(np.int64):
        peaks[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = False
    found = blocks[0, 0][peaks]
    best: NDArray[np.float32]
    best = torch.topk(found, min(MOST_PEAKS, len(found))).values.cpu().numpy()
    return best


def fitted_peaks(scored: ScoredPlane, number: int) -> NDArray[np.float32]:
    """Find the best matches along the edges of the image, as `at_prompts` has them.

    Returns (P,) float32: the best first; at most `MOST_PEAKS`.
    """
    cells = scored.objects[number]
    if scored.fitted is not None:
        blocks = scored.fitted.blocks(number).clamp(-1, 1)
        cells = F.adaptive_max_pool2d(blocks[None, None], tuple(cells.shape))[0, 0]
    return _peaks(cells, scored.features, np.zeros((0, 2)))
