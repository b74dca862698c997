"""Which image it is, told from a few of its pixels."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.content_hash import hash_plane
from napari_dinoprompt.core.plane_samples import sample_planes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_dinoprompt.core.lazy_planes import LazyPlane
    from napari_dinoprompt.core.prompts import PlaneIndex

__all__ = ["fingerprint_image"]

# A plane of more bytes is looked at in parts: it may be on a slow disk, or computed.
_WHOLE_BYTES = 32_000_000
_PARTS = 4
_PART = 64


def fingerprint_image(
    open_plane: Callable[[PlaneIndex], LazyPlane], stack: tuple[int, ...]
) -> Generator[None, None, str]:
    """Hash shape, dtype and some pixels of an image.

    The first, middle and last of the planes that the window of a stack is measured on
    are read, and of a large plane 16 small parts: never a huge image.

    Parameters
    ----------
    open_plane : callable from plane index to LazyPlane
    stack : tuple of int
        Lengths of the axes before the plane; empty for a 2-D image.

    Yields
    ------
    None
        Before each plane is read.

    Returns
    -------
    str
        SHA-256 in hex. Images of other pixels may have the same, if they differ where
        nobody looked.

    Raises
    ------
    InputError
        If the image cannot be read.
    """
    planes = sample_planes(stack)
    found = hashlib.sha256(str(stack).encode())
    for at in sorted({0, len(planes) // 2, len(planes) - 1}):
        yield
        found.update(_hash(open_plane(planes[at])).encode())
    return found.hexdigest()


def _hash(plane: LazyPlane) -> str:
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
