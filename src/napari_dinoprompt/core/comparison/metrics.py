"""Figures about masks: extent, agreement by pixel, ranking."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.views import iter_tiles

from .columns import BOTH, NEITHER, ONLY_IN_FAKE, ONLY_IN_REAL

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


_PART = 2048


@dataclass(frozen=True)
class Agreement:
    """How far the pixels of a mask and of a truth are the same.

    A figure that would be 0 / 0 is NaN: nothing can be said.

    Attributes
    ----------
    iou : float
        Pixels in both, of those in either.
    precision : float
        Of the mask's pixels, how many are true.
    recall : float
        Of the true pixels, how many are in the mask.
    """

    iou: float
    precision: float
    recall: float

    @property
    def dice(self) -> float:
        """Twice the pixels in both, of the sum of the two; follows from the IoU."""
        return 2 * self.iou / (1 + self.iou)


@dataclass(frozen=True)
class Extent:
    """How much of an image belongs to one class.

    Attributes
    ----------
    objects : int
    pixels : int
    fraction : float
        Of all pixels of the image.
    """

    objects: int
    pixels: int
    fraction: float


def measure_agreement(
    mask: ArrayLike, truth: ArrayLike, valid: NDArray[np.bool_] | None = None
) -> Agreement:
    """Compare a mask with a truth, pixel by pixel.

    mask, truth: (H, W) array_like, what is not 0 belongs to an object; valid (H, W).
    """
    found, true = np.asarray(mask) != 0, np.asarray(truth) != 0
    if found.shape != true.shape:
        raise InputError(f"The mask is {found.shape} pixels, the truth {true.shape}.")
    if valid is not None:
        found, true = found & valid, true & valid
    both = _count(found & true)
    return Agreement(
        iou=_share(both, _count(found | true)),
        precision=_share(both, _count(found)),
        recall=_share(both, _count(true)),
    )


def measure_extent(mask: Any, instances: Any, number: int) -> Extent:
    """Count the objects and pixels of one class.

    mask: (H, W) uint8; instances: (H, W) int32.
    """
    whole = isinstance(mask, np.ndarray) and isinstance(instances, np.ndarray)
    side = max(1, *mask.shape) if whole else _PART
    pixels = 0
    objects = np.zeros(0, dtype=np.int64)
    parts = zip(iter_tiles(mask, side), iter_tiles(instances, side), strict=True)
    for classes, numbers in parts:
        there = classes == number
        pixels += _count(there)
        objects = np.union1d(objects, numbers[there])
    return Extent(
        objects=_count(objects),
        pixels=pixels,
        fraction=_share(pixels, math.prod(mask.shape)),
    )


def _count(array: NDArray[np.generic]) -> int:
    return int(np.count_nonzero(array))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def map_agreement(
    real: NDArray[np.bool_],
    fake: NDArray[np.bool_],
    valid: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Say of each pixel which of two masks it is in.

    Takes real, fake, valid (H, W); returns (H, W).
    """
    found = np.zeros(real.shape, dtype=np.uint8)
    found[real & fake] = BOTH
    found[real & ~fake] = ONLY_IN_REAL
    found[fake & ~real] = ONLY_IN_FAKE
    if valid is not None:
        found[~valid] = NEITHER
    return found


def average_precision(
    truth: NDArray[np.bool_],
    scores: NDArray[np.floating],
    valid: NDArray[np.bool_] | None = None,
) -> float:
    """Compute the average precision of scores against a mask.

    The sum over all thresholds of (R_n - R_(n-1)) P_n, with precision P and recall R
    of the pixels at or above the n-th highest score. No threshold is chosen, and
    there is no interpolation, which would flatter. A map that ranks at random gets
    the fraction of true pixels. The definition is that of scikit-learn's
    ``average_precision_score``.

    Takes truth, scores, valid (H, W). Equal scores are one step: no order among them is
    made up. NaN if no pixel is true; pixels with NaN as their score never count.

    References
    ----------
    Davis and Goadrich, "The relationship between precision-recall and ROC curves",
    ICML 2006 (why not to interpolate); Boyd, Eng and Page, "Area under the
    precision-recall curve", ECML PKDD 2013 (the estimator).
    """
    counted = ~np.isnan(scores)
    if valid is not None:
        counted &= valid
    falling, values = truth[counted], scores[counted]
    order = np.argsort(values)[::-1]
    falling, values = falling[order], values[order]
    # The last pixel of each run of equal scores.
    steps = np.flatnonzero(np.r_[values[1:] != values[:-1], True][: len(values)])
    hits = np.cumsum(falling)[steps]
    if len(hits) == 0 or hits[-1] == 0:
        return math.nan
    return float(np.sum(np.diff(hits, prepend=0) * (hits / (steps + 1))) / hits[-1])
