"""Arrays cut into tiles, because nobody has room for the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["iter_tiles"]


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
