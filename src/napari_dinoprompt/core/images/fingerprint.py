"""Which picture it is: a hash over the pixels, whatever its file is called."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np

from .intensity import sample_planes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from numpy.typing import NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex

    from .lazy_plane import LazyPlane


# Bytes that are copied at once where the pixels do not lie one after the other.
_BLOCK = 16_000_000
# A plane of more bytes is looked at in parts: it may be on a slow disk, or computed.
_WHOLE_BYTES = 32_000_000
_PARTS = 4
_PART = 64


def hash_plane(plane: NDArray[np.generic]) -> str:
    """Hash dtype, shape and pixels of an image plane.

    plane: (H, W) or (H, W, 3). SHA-256 in hex; neither byte order nor layout in memory
    matters.
    """
    ordered = plane.dtype.newbyteorder("<")
    found = hashlib.sha256(f"{ordered.str} {plane.shape}".encode())
    rows = max(1, _BLOCK // max(1, plane[0].nbytes))
    for start in range(0, len(plane), rows):
        block = np.ascontiguousarray(plane[start : start + rows], dtype=ordered)
        found.update(block.data)
    return found.hexdigest()


def hash_planes(hashes: Mapping[PlaneIndex, str]) -> str:
    """Hash some planes of one stack together.

    Of a single plane its own, so that a plane and its file are one picture; empty if
    one is not known.
    """
    known = list(hashes.values())
    if not all(known):
        return ""
    if len(known) == 1:
        return known[0]
    text = "\n".join(f"{index} {hashes[index]}" for index in sorted(hashes))
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_image(
    open_plane: Callable[[PlaneIndex], LazyPlane], stack: tuple[int, ...]
) -> Generator[None, None, str]:
    """Hash shape, dtype and some pixels of an image.

    The first, middle and last of the planes that the window of a stack is measured on
    are read, and of a large plane 16 small parts: never a huge image.

    SHA-256 in hex. Images of other pixels may have the same, if they differ where
    nobody looked.
    """
    planes = sample_planes(stack)
    found = hashlib.sha256(str(stack).encode())
    for at in sorted({0, len(planes) // 2, len(planes) - 1}):
        yield
        found.update(_hash_parts(open_plane(planes[at])).encode())
    return found.hexdigest()


def _hash_parts(plane: LazyPlane) -> str:
    height, width = plane.shape
    if math.prod(plane.shape) * plane.dtype.itemsize <= _WHOLE_BYTES:
        return hash_plane(plane.read(slice(0, height), slice(0, width)))
    parts = [
        hash_plane(plane.read(rows, columns))
        for rows in _places(height)
        for columns in _places(width)
    ]
    return " ".join((f"{height} {width}", *parts))


def _places(length: int) -> list[slice]:
    """Return short stretches of an axis, the first and the last at its ends."""
    part = min(_PART, length)
    starts = np.linspace(0, length - part, _PARTS)
    return [slice(int(start), int(start) + part) for start in starts]
