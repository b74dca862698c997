"""What is asked of a volume before its objects are numbered."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_free", "check_mask", "check_spacing", "check_volume_memory"]

# What a voxel takes at most while it is worked on: mask, cleaned mask, a class, its
# regions, the numbers, and what is compared with them.
_BYTES_PER_VOXEL = 16
# Of the longest side of a voxel to its shortest.
_MOST_UNEVEN = 1e6


def check_mask(
    mask: NDArray[Any], no_data: NDArray[np.bool_] | None
) -> NDArray[np.uint8]:
    """Return a mask as class numbers, or refuse what is none.

    Parameters
    ----------
    mask : (..., Z, H, W) ndarray
    no_data : (..., Z, H, W) ndarray of bool or None

    Returns
    -------
    (..., Z, H, W) ndarray of uint8

    Raises
    ------
    InputError
        If it is no volume of numbers from 0 to 255, or the two differ in shape.
    """
    mask = np.asarray(mask)
    if mask.ndim < 3 or mask.size == 0:
        msg = f"An array of shape {mask.shape} is no volume; (..., Z, H, W) is needed."
        raise InputError(msg)
    if mask.dtype.kind not in "bui" or mask.min() < 0 or mask.max() > 255:
        msg = (
            f"A mask holds class numbers of 0 to 255, which this {mask.dtype} does not."
        )
        raise InputError(msg)
    if no_data is not None and np.shape(no_data) != mask.shape:
        shape = np.shape(no_data)
        msg = f"The pixels without data have shape {shape}, the mask {mask.shape}."
        raise InputError(msg)
    return mask.astype(np.uint8, copy=False)


def check_spacing(spacing: tuple[float, float, float]) -> None:
    """Refuse what cannot be the distance of voxels.

    Parameters
    ----------
    spacing : (float, float, float)
        Along z, y and x.

    Raises
    ------
    InputError
        If these are not three numbers above 0, none a million times another.
    """
    try:
        steps = [float(step) for step in spacing]
    except (TypeError, ValueError):
        steps = []
    if len(steps) != 3 or not all(math.isfinite(one) and one > 0 for one in steps):
        msg = f"The spacing is three distances above 0, for z, y and x, not {spacing}."
        raise InputError(msg)
    if max(steps) / min(steps) > _MOST_UNEVEN:
        msg = f"The voxels of a spacing of {spacing} are too uneven; check its units."
        raise InputError(msg)


def check_volume_memory(shape: tuple[int, ...]) -> None:
    """Complain before the work if the volumes of a stack do not fit into memory.

    Parameters
    ----------
    shape : (..., Z, H, W)

    Raises
    ------
    InputError
        If they do not.
    """
    whole = 5 * int(np.prod(shape, dtype=np.float64))
    one = _BYTES_PER_VOXEL * int(np.prod(shape[-3:], dtype=np.float64))
    check_free(whole + one, "Numbering objects in 3-D", "Number them in each plane")


def check_free(needed: int, what: str, instead: str) -> None:
    """Complain before something is done that does not fit into memory.

    Parameters
    ----------
    needed : int
        Bytes.
    what, instead : str
        What would be done and what else can be, for the message.

    Raises
    ------
    InputError
        If less is free.
    """
    if needed > psutil.virtual_memory().available:
        msg = (
            f"{what} would need about {needed / 1e9:.1f} GB of memory, more than is "
            f"free. {instead}, or take a part of the stack."
        )
        raise InputError(msg)
