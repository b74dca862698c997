"""Figures about a map and a mask: the best threshold's IoU, and boundaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


QUANTILES = np.linspace(0.02, 0.995, 100)
"""Shares of a map's pixels below the thresholds that are tried."""


@dataclass(frozen=True)
class Best:
    """The best that a map holds.

    Attributes
    ----------
    iou : float
    threshold : float
        Pixels above it make the mask; the lowest of several that are equally good.
    """

    iou: float
    threshold: float


def best_iou(values: NDArray[np.float32], truth: NDArray[np.bool_]) -> Best:
    """Find the threshold whose mask agrees best with a truth.

    All pixels and the true ones are sorted once each; how many of either lie above a
    threshold is then looked up, and no mask is made.

    Parameters
    ----------
    values : (H, W) ndarray of float32
        Higher is more alike; NaN is never in the mask.
    truth : (H, W) ndarray of bool

    Returns
    -------
    Best
        Of the thresholds at `QUANTILES` of the map.
    """
    held = np.isfinite(values)
    ordered = np.sort(values[held])
    true = np.sort(values[held & truth])
    if len(ordered) == 0:
        return Best(0.0, 0.0)
    place = QUANTILES * (len(ordered) - 1)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, len(ordered) - 1)
    below, above = ordered[low].astype(np.float64), ordered[high].astype(np.float64)
    thresholds = (below + (place - low) * (above - below)).astype(np.float32)
    found = len(ordered) - np.searchsorted(ordered, thresholds, side="right")
    both = len(true) - np.searchsorted(true, thresholds, side="right")
    either = found + np.count_nonzero(truth) - both
    scores = both / np.maximum(either, 1)
    best = int(np.argmax(scores))
    return Best(float(scores[best]), float(thresholds[best]))


def boundary_f_score(
    mask: NDArray[np.bool_], truth: NDArray[np.bool_], tolerance: int = 2
) -> float:
    """Measure how well the boundaries of a mask lie on those of a truth.

    Boundary pixels belong to an object and have one of their four neighbours outside
    it; the edge of the picture bounds nothing. They count as matched if a boundary
    pixel of the other mask is no further than the tolerance (Csurka et al., BMVC
    2013).

    Parameters
    ----------
    mask, truth : (H, W) ndarrays of bool
    tolerance : int
        In pixels, Euclidean.

    Returns
    -------
    float
        Harmonic mean of the matched shares of both boundaries; 1 if neither mask has
        a boundary, 0 if one of them has none.
    """
    found, true = _boundary(mask), _boundary(truth)
    if not found.any() or not true.any():
        return float(found.any() == true.any())
    precision = float(_widen(true, tolerance)[found].mean())
    recall = float(_widen(found, tolerance)[true].mean())
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def _boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(mask, 1, mode="edge")
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inside


def _widen(pixels: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Mark all pixels within a Euclidean distance: a dilation, in shifted views."""
    height, width = pixels.shape
    padded = np.pad(pixels, reach)
    near = np.zeros_like(pixels)
    for dy in range(2 * reach + 1):
        for dx in range(2 * reach + 1):
            if (dy - reach) ** 2 + (dx - reach) ** 2 <= reach**2:
                near |= padded[dy : dy + height, dx : dx + width]
    return near
