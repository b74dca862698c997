"""Which picture it was: a hash over the pixels, whatever its file is called."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex

__all__ = ["hash_plane", "hash_planes"]

# Bytes that are copied at once where the pixels do not lie one after the other.
_BLOCK = 16_000_000


def hash_plane(plane: NDArray[np.generic]) -> str:
    """Hash dtype, shape and pixels of an image plane.

    Parameters
    ----------
    plane : (H, W) or (H, W, 3) ndarray

    Returns
    -------
    str
        SHA-256 in hex; neither byte order nor layout in memory matters.
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

    Parameters
    ----------
    hashes : mapping of plane index to str
        Of each plane, at least one; empty where it is not known.

    Returns
    -------
    str
        Of a single plane its own, so that a plane and its file are one picture; empty
        if one is not known.
    """
    known = list(hashes.values())
    if not all(known):
        return ""
    if len(known) == 1:
        return known[0]
    text = "\n".join(f"{index} {hashes[index]}" for index in sorted(hashes))
    return hashlib.sha256(text.encode()).hexdigest()
