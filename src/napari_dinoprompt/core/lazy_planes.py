"""Planes that are read part by part, because nobody has room for the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import DinopromptError, InputError, is_out_of_memory
from napari_dinoprompt.core.explaining import first_line
from napari_dinoprompt.core.given import as_array
from napari_dinoprompt.core.planes import check_kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LazyPlane", "read_part"]


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
        msg = (
            f"A part of the image cannot be read: {reason.rstrip('.')}. Check the "
            "file that it comes from, or copy it anew."
        )
        raise InputError(msg) from error
