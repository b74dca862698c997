"""Objects planted in an image of a real stain, or removed from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy import ndimage as ndi

if TYPE_CHECKING:
    from numpy.typing import NDArray


_Value = TypeVar("_Value", np.float32, np.bool_)
# Pixels of blending around an object.
_RIM = 3
_PLACES = 2000


@dataclass(frozen=True, eq=False)
class Edited:
    """An image with objects more or less.

    Attributes
    ----------
    image : (H, W) ndarray of float32
    where : (H, W) ndarray of bool
        The objects that were planted or removed.
    count : int
        How many; fewer than asked for where there is no room.
    """

    image: NDArray[np.float32]
    where: NDArray[np.bool_]
    count: int


@dataclass(frozen=True, eq=False)
class _Stamp:
    """An object cut out of the image: what is added to the ground under it."""

    difference: NDArray[np.float32]
    cover: NDArray[np.float32]
    shape: NDArray[np.bool_]


def plant(
    image: NDArray[np.float32],
    labels: NDArray[np.integer],
    count: int,
    rng: np.random.Generator,
) -> Edited:
    """Plant copies of some objects, turned and mirrored, where there is none.

    Parameters
    ----------
    image : (H, W) ndarray of float32
    labels : (H, W) ndarray of int
        Its objects.
    count : int
    rng : numpy.random.Generator

    Returns
    -------
    Edited
    """
    edited = image.copy()
    where = np.zeros(image.shape, dtype=bool)
    taken = labels > 0
    chosen = rng.permutation(_typical(labels))
    planted = 0
    for number in np.resize(chosen, 4 * max(1, count)):
        if planted == count:
            break
        stamp = _turn(_cut(image, labels, int(number)), rng)
        corner = _free_corner(taken, stamp.shape, rng)
        if corner is None:
            continue
        there = _window(corner, stamp.shape)
        edited[there] += stamp.difference
        where[there] |= stamp.shape
        taken[there] |= stamp.shape
        planted += 1
    return Edited(edited, where, planted)


def remove(
    image: NDArray[np.float32],
    labels: NDArray[np.integer],
    count: int,
    rng: np.random.Generator,
) -> Edited:
    """Put a piece of the ground in the place of some objects.

    Parameters
    ----------
    image, labels, count, rng
        As `plant`.

    Returns
    -------
    Edited
    """
    edited = image.copy()
    where = np.zeros(image.shape, dtype=bool)
    removed = 0
    for number in rng.permutation(_typical(labels)):
        if removed == count:
            break
        box = _box(labels, int(number))
        own = labels[box] == number
        corner = _free_corner(labels > 0, own, rng)
        if corner is None:
            continue
        ground = image[_window(corner, own)]
        others = (labels[box] > 0) & ~own
        cover = _soften(own) * ~others
        edited[box] = cover * ground + (1 - cover) * edited[box]
        where[box] |= own
        removed += 1
    return Edited(edited, where, removed)


def _typical(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Choose objects of ordinary size that the edge does not cut."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    inner = labels.copy()
    border = 2 * _RIM + 1
    inner[border:-border, border:-border] = 0
    sizes[np.unique(inner)] = 0
    there = np.flatnonzero(sizes)
    low, high = np.percentile(sizes[there], (20, 90))
    kept: NDArray[np.int64] = there[(sizes[there] >= low) & (sizes[there] <= high)]
    return kept


def _box(labels: NDArray[np.integer], number: int) -> tuple[slice, slice]:
    rows, columns = np.nonzero(labels == number)
    margin = 2 * _RIM
    return (
        slice(max(0, rows.min() - margin), rows.max() + margin + 1),
        slice(max(0, columns.min() - margin), columns.max() + margin + 1),
    )


def _soften(shape: NDArray[np.bool_]) -> NDArray[np.float32]:
    """1 on the object, falling to 0 within the rim around it."""
    away = ndi.distance_transform_edt(~shape)
    soft: NDArray[np.float32] = np.clip(1 - away / (_RIM + 1), 0, 1).astype(np.float32)
    return soft


def _cut(
    image: NDArray[np.float32], labels: NDArray[np.integer], number: int
) -> _Stamp:
    box = _box(labels, number)
    own = labels[box] == number
    around = ndi.binary_dilation(own, iterations=2 * _RIM) & (labels[box] == 0)
    ground = np.median(image[box][around]) if around.any() else image.min()
    others = (labels[box] > 0) & ~own
    cover = _soften(own) * ~others
    return _Stamp((image[box] - ground) * cover, cover, own)


def _turn(stamp: _Stamp, rng: np.random.Generator) -> _Stamp:
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))

    def turned(array: NDArray[_Value]) -> NDArray[_Value]:
        found = np.rot90(array, turns)
        return found[:, ::-1] if mirrored else found

    return _Stamp(turned(stamp.difference), turned(stamp.cover), turned(stamp.shape))


def _free_corner(
    taken: NDArray[np.bool_], shape: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[int, int] | None:
    """Find a place for a shape that touches no object."""
    apart = ndi.distance_transform_edt(~taken)
    height, width = shape.shape
    rows, columns = (
        rng.integers(0, max(1, length - side), _PLACES)
        for length, side in zip(taken.shape, (height, width), strict=True)
    )
    for row, column in zip(rows, columns, strict=True):
        there = apart[row : row + height, column : column + width]
        if there.shape == shape.shape and there[shape].min() > _RIM:
            return int(row), int(column)
    return None


def _window(corner: tuple[int, int], shape: NDArray[np.bool_]) -> tuple[slice, slice]:
    row, column = corner
    return slice(row, row + shape.shape[0]), slice(column, column + shape.shape[1])
