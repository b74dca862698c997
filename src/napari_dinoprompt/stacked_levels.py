"""The arrays behind the result layers of a large image: levels of a pyramid.

Nothing here is ever whole in memory; napari asks for the part that it draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.layers import plane_shape, stack_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image
    from numpy.typing import DTypeLike, NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex

__all__ = ["InStack", "blank_levels", "levels_in_stack"]

_SMALLEST = 512
_MOST = 6


@dataclass(frozen=True, eq=False)
class InStack:
    """One plane in its place in a stack that holds zeros otherwise.

    Attributes
    ----------
    stack : tuple of int
        Lengths of the axes before the plane.
    size : (int, int)
        Height and width of the plane.
    dtype : numpy dtype
    index : tuple of int
        Where the plane is.
    plane : (H, W) array or None
        Anything that can be sliced; None for zeros everywhere.
    """

    stack: tuple[int, ...]
    size: tuple[int, int]
    dtype: np.dtype[Any]
    index: PlaneIndex = ()
    plane: Any = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole stack."""
        return (*self.stack, *self.size)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            gap = keys.index(Ellipsis)
            missing = self.ndim - len(keys) + 1
            keys = (*keys[:gap], *(slice(None),) * missing, *keys[gap + 1 :])
        keys = (*keys, *(slice(None),) * (self.ndim - len(keys)))
        before, part = keys[: len(self.stack)], keys[len(self.stack) :]
        lengths = [
            len(range(*one.indices(length)))
            for one, length in zip(keys, self.shape, strict=True)
            if isinstance(one, slice)
        ]
        found = np.zeros(lengths, dtype=self.dtype)
        places: list[int] = []
        if self.plane is None:
            return found
        for one, length, at in zip(before, self.stack, self.index, strict=True):
            if isinstance(one, slice):
                inside = range(*one.indices(length))
                if at not in inside:
                    return found
                places.append(inside.index(at))
            elif int(one) % length != at:
                return found
        found[tuple(places)] = self.plane[part]
        return found

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """Read everything."""
        return self[...].astype(self.dtype if dtype is None else dtype)


def levels_in_stack(
    image: Image, index: PlaneIndex, levels: Sequence[Any]
) -> list[InStack]:
    """Put the levels of a plane into a stack.

    Parameters
    ----------
    image : napari.layers.Image
    index : tuple of int
        Of the plane; empty in a 2-D image.
    levels : sequence of (h, w) array
        Full resolution first.

    Returns
    -------
    list of InStack
    """
    stack = stack_shape(image)
    return [
        InStack(stack, tuple(one.shape), np.dtype(one.dtype), index, one)
        for one in levels
    ]


def blank_levels(image: Image, dtype: DTypeLike) -> list[InStack]:
    """Make levels that hold nothing.

    Parameters
    ----------
    image : napari.layers.Image
    dtype : dtype

    Returns
    -------
    list of InStack
        Full resolution first.
    """
    height, width = plane_shape(image)
    # At least two: napari takes a list of one level for something else.
    levels = 1 + max(1, int(math.log2(max(height, width) / _SMALLEST)))
    levels = min(levels, _MOST)
    return [
        InStack(
            stack_shape(image),
            (math.ceil(height / 2**level), math.ceil(width / 2**level)),
            np.dtype(dtype),
        )
        for level in range(levels)
    ]
