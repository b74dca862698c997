"""Bringing the grey values of a fake to the range of the real's type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["match_range"]

# Wider integers hold anything: their largest value says nothing about an image.
_FULL = {"bool": 1.0, "uint8": 255.0}
# Cameras of 12 bits write 16, and so does whoever widens 8 bits.
_SIXTEEN_BITS = (255.0, 4095.0, 65535.0)
# A network's output may go a little beyond black and white.
_LEAST, _MOST = -0.1, 1.1


def match_range(plane: NDArray[np.generic], real: NDArray[np.generic]) -> NDArray[Any]:
    """Scale grey values by what is white in the types of two planes.

    White is 255 in 8 bits, and 1 in floating point if all values are about 0 to 1. In
    16 bits it is the white of 8, 12 or 16 bits, the least that all values fit in.
    Planes of the same type are left as they are: a fake that is too dark stays so.

    Takes plane (h, w) or (h, w, C), real (H, W) or (H, W, C); returns (h, w) or (h, w,
    C).
    """
    if plane.dtype == real.dtype and plane.dtype.kind != "f":
        return plane
    white, wanted = _white(plane), _white(real)
    if white is None or wanted is None or white == wanted:
        return plane
    exact = plane.dtype.itemsize <= 2 or plane.dtype == np.float32
    values: NDArray[np.floating] = plane.astype(np.float32 if exact else np.float64)
    values *= wanted / white
    return values


def _white(plane: NDArray[np.generic]) -> float | None:
    if plane.dtype == np.uint16:
        return next(white for white in _SIXTEEN_BITS if plane.max() <= white)
    if plane.dtype.kind != "f":
        return _FULL.get(plane.dtype.name)
    held = plane[np.isfinite(plane)]
    inside = held.size and held.min() >= _LEAST and held.max() <= _MOST
    return 1.0 if inside else None
