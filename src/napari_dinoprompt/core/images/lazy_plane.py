"""Planes that are read part by part, because nobody has room for the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import (
    DinopromptError,
    InputError,
    first_line,
    is_out_of_memory,
)
from napari_dinoprompt.core.validation import as_array

from .plane import check_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray


# Most levels of a pyramid; each has half the pixels of the one before along a side.
LEVELS = 6
# The coarsest level should still fill a window.
_SMALLEST = 512


@dataclass(frozen=True, eq=False)
class LazyPlane:
    """An image plane behind anything that can be sliced: numpy, dask, zarr.

    Attributes
    ----------
    array : (..., H, W) or (..., H, W, C) array
        With `shape` and `dtype`; C = 1 (grey), 3 (RGB) or 4 (RGBA).
    index : tuple of int
        Which plane of a stack; empty if the array is the plane.
    """

    array: Any
    index: tuple[int, ...] = ()

    @classmethod
    def of(cls, image: Any) -> LazyPlane:
        """Take a plane as it is, or anything that is an array or can be made one."""
        if isinstance(image, cls):
            return image
        # Not those of torch, whose numbers have types of their own.
        dtype = getattr(image, "dtype", None)
        sliceable = hasattr(image, "shape") and isinstance(dtype, np.dtype)
        sliceable = sliceable and not isinstance(image, np.ma.MaskedArray)
        return cls(image if sliceable else as_array(image))

    def __post_init__(self) -> None:
        check_kind(self._own_shape, np.dtype(self.array.dtype))

    @property
    def _own_shape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in self.array.shape[len(self.index) :])

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self._own_shape[:2]
        return height, width

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of the pixels."""
        found: np.dtype[np.generic] = np.dtype(self.array.dtype)
        return found

    def read(self, rows: slice, columns: slice) -> NDArray[np.generic]:
        """Read a part of the plane.

        Returns (h, w) or (h, w, 3): without alpha; a grey channel is dropped.
        """
        part = read_part(self.array, (*self.index, rows, columns))
        if part.ndim == 3:
            return part[:, :, 0] if part.shape[2] == 1 else part[:, :, :3]
        return part

    def whole(self) -> NDArray[np.generic]:
        """Read all of the plane as it is; errors as `read`."""
        return read_part(self.array, self.index)


class SlicedArray:
    """What is read where it is sliced; numpy can read all of it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    def __getitem__(self, part: Any) -> NDArray[Any]:
        """Read a part."""
        raise NotImplementedError

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """Read everything."""
        everything = self[(slice(None),) * self.ndim]
        return everything.astype(self.dtype if dtype is None else dtype, copy=False)


def full_key(key: Any, ndim: int) -> tuple[Any, ...]:
    """Write a key with one integer or slice per axis, without ``...``."""
    key = key if isinstance(key, tuple) else (key,)
    if Ellipsis in key:
        at = key.index(Ellipsis)
        missing = ndim - len(key) + 1
        key = (*key[:at], *([slice(None)] * missing), *key[at + 1 :])
    return (*key, *([slice(None)] * (ndim - len(key))))


@dataclass(frozen=True, eq=False)
class LazyArray(SlicedArray):
    """An array of which a part is made when it is asked for.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy dtype
    read : callable from a tuple of slices and integers to ndarray
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[tuple[Any, ...]], NDArray[Any]]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __getitem__(self, part: Any) -> NDArray[Any]:
        return self.read(part if isinstance(part, tuple) else (part,))


def level_shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return height and width of each level of a plane's pyramid, the largest first."""
    height, width = shape
    # At least two: a viewer takes a pyramid of one level for something else.
    levels = 1 + max(1, int(math.log2(max(1.0, max(shape) / _SMALLEST))))
    return [
        (math.ceil(height / 2**level), math.ceil(width / 2**level))
        for level in range(min(LEVELS, levels))
    ]


def read_part(array: Any, part: tuple[Any, ...]) -> NDArray[Any]:
    """Read a part of anything that can be sliced."""
    try:
        return np.asarray(array[part] if part else array)
    except DinopromptError:
        raise
    # Files and computations behind an array raise whatever they stumble over.
    except Exception as error:
        if is_out_of_memory(error):
            raise
        reason = first_line(error)
        raise InputError(
            f"A part of the image cannot be read: {reason.rstrip('.')}. Check the "
            "file that it comes from, or copy it anew."
        ) from error
