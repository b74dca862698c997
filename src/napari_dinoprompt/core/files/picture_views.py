"""Arrays seen in another way: other axes, another order of them or of bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["NativeOrder", "PictureView"]


@dataclass(frozen=True, eq=False)
class PictureView:
    """One picture, ``(H, W)`` or ``(H, W, C)``, read from a larger array.

    Attributes
    ----------
    array : array
        Can be sliced.
    axes : str
        One letter per axis; *Y*, *X* and *S* (colours) make up the picture, of the
        others the first is taken.
    """

    array: Any
    axes: str

    @property
    def _order(self) -> str:
        return "YXS" if "S" in self.axes else "YX"

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, and colours if there are any."""
        return tuple(int(self.array.shape[self.axes.index(a)]) for a in self._order)

    @property
    def ndim(self) -> int:
        """Two, or three with colours."""
        return len(self._order)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    def __getitem__(self, part: Any) -> NDArray[Any]:
        """Read a part, by one slice or by one per axis."""
        slices = part if isinstance(part, tuple) else (part,)
        chosen = dict(zip(self._order, slices, strict=False))
        others = {"Y": slice(None), "X": slice(None), "S": slice(None)}
        key = tuple(chosen.get(axis, others.get(axis, 0)) for axis in self.axes)
        found = np.asarray(self.array[key])
        kept = [axis for axis in self.axes if axis in self._order]
        return found.transpose([kept.index(axis) for axis in self._order])

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """Read the whole picture."""
        return self[:, :].astype(self.dtype if dtype is None else dtype, copy=False)


class NativeOrder:
    """An array in the other byte order, as Fiji writes it, read in our own."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.shape: tuple[int, ...] = array.shape
        self.ndim: int = array.ndim
        self.dtype: np.dtype[Any] = array.dtype.newbyteorder("=")
        self._array = array

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.asarray(self._array[key]).astype(self.dtype)

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        return self[...].astype(self.dtype if dtype is None else dtype, copy=False)
