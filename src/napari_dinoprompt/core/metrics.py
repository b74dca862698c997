"""Figures about masks: how much there is, and how well it agrees with a truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.files.array_tiles import iter_tiles

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Agreement", "Extent", "measure_agreement", "measure_extent"]

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


def measure_agreement(mask: ArrayLike, truth: ArrayLike) -> Agreement:
    """Compare a mask with a truth, pixel by pixel.

    mask, truth: (H, W) array_like, what is not 0 belongs to an object.
    """
    found, true = np.asarray(mask) != 0, np.asarray(truth) != 0
    if found.shape != true.shape:
        msg = f"The mask is {found.shape} pixels, the truth {true.shape}."
        raise InputError(msg)
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
