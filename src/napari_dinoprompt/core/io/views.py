"""Arrays seen in another way, or tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.images.lazy_plane import SlicedArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


class PictureView(SlicedArray):
    """One picture, ``(H, W)`` or ``(H, W, C)``, read from a larger array.

    Attributes
    ----------
    array : array
        Can be sliced.
    axes : str
        One letter per axis; *Y*, *X* and *S* (colours) make up the picture, of the
        others the first is taken.
    """

    def __init__(self, array: Any, axes: str) -> None:
        self.array = array
        self.axes = axes
        self._order = "YXS" if "S" in axes else "YX"
        self.shape = tuple(int(array.shape[axes.index(a)]) for a in self._order)
        self.dtype = np.dtype(array.dtype)

    def __getitem__(self, part: Any) -> NDArray[Any]:
        """Read a part, by one slice or by one per axis."""
        slices = part if isinstance(part, tuple) else (part,)
        chosen = dict(zip(self._order, slices, strict=False))
        others = {"Y": slice(None), "X": slice(None), "S": slice(None)}
        key = tuple(chosen.get(axis, others.get(axis, 0)) for axis in self.axes)
        found = np.asarray(self.array[key])
        kept = [axis for axis in self.axes if axis in self._order]
        return found.transpose([kept.index(axis) for axis in self._order])


class NativeOrder(SlicedArray):
    """An array in the other byte order, as Fiji writes it, read in our own."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.shape = array.shape
        self.dtype = array.dtype.newbyteorder("=")
        self._array = array

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.asarray(self._array[key]).astype(self.dtype)


def iter_tiles(array: Any, side: int) -> Iterator[NDArray[Any]]:
    """Cut an array into tiles, plane by plane and row by row.

    array: (..., H, W), anything that can be sliced.
    """
    *lead, height, width = array.shape
    for place in np.ndindex(*lead):
        for y in range(0, height, side):
            for x in range(0, width, side):
                part = (*place, slice(y, y + side), slice(x, x + side))
                yield np.ascontiguousarray(array[part])
