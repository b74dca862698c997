"""Image planes: one 2-D picture, grey or RGB, and its no-data pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["as_plane", "is_constant", "no_data_pixels", "plane_shape"]


def as_plane(image: ArrayLike) -> NDArray[np.generic]:
    """Check that an array is an image plane and drop its alpha channel.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array_like
        Grey, or C = 1 (grey), 3 (RGB) or 4 (RGBA) channels; boolean, integer or
        floating point.

    Returns
    -------
    (H, W) or (H, W, 3) ndarray
        The plane in its own dtype; a view of the input where that is possible.

    Raises
    ------
    InputError
        If the shape or dtype is not that of a plane, if it has no pixels, or if no
        pixel is finite.
    """
    plane = np.asarray(image)
    if plane.dtype.kind not in "buif":
        msg = f"An image of dtype {plane.dtype} cannot be used; numbers are needed."
        raise InputError(msg)
    if plane.ndim == 3 and plane.shape[2] == 1:
        plane = plane[:, :, 0]
    elif plane.ndim == 3 and plane.shape[2] == 4:
        plane = plane[:, :, :3]
    if plane.ndim != 2 and not (plane.ndim == 3 and plane.shape[2] == 3):
        msg = (
            f"An array of shape {plane.shape} is not an image plane; "
            "(H, W) or (H, W, 3 or 4) is needed. Choose one plane of a stack."
        )
        raise InputError(msg)
    if plane.size == 0:
        msg = f"The image is empty (shape {plane.shape})."
        raise InputError(msg)
    missing = no_data_pixels(plane)
    if missing is not None and missing.all():
        msg = "The image holds nothing but NaN or infinity."
        raise InputError(msg)
    return plane


def plane_shape(plane: NDArray[np.generic]) -> tuple[int, int]:
    """Return height and width of a plane in pixels."""
    return int(plane.shape[0]), int(plane.shape[1])


def no_data_pixels(plane: NDArray[np.generic]) -> NDArray[np.bool_] | None:
    """Find the pixels that hold no data: NaN or infinity in any channel.

    Parameters
    ----------
    plane : (H, W) or (H, W, 3) ndarray

    Returns
    -------
    (H, W) ndarray of bool or None
        None if every pixel holds data, so that the usual case costs nothing later.
    """
    if plane.dtype.kind != "f":
        return None
    missing = ~np.isfinite(plane)
    if plane.ndim == 3:
        missing = missing.any(axis=2)
    return missing if missing.any() else None


def is_constant(plane: NDArray[np.generic]) -> bool:
    """Tell whether all pixels that hold data have the same value, per channel.

    Such a plane shows nothing, so nothing can be found in it.
    """
    missing = no_data_pixels(plane)
    values = plane.reshape(-1, *plane.shape[2:]) if missing is None else plane[~missing]
    return bool((values == values[0]).all())
