"""Image planes: one 2-D picture, grey or RGB, and its no-data pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.validation import as_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


_BLOCKS = (2, 4, 8, 16)
# Of fewer blocks the variance is too uncertain to judge by.
_LEAST_BLOCKS = 64
_LEAST_TOLERANCE = 0.1
_OUTSTANDING = 2.0
_HUGE = 1e100
# Pictures are hardly ever as narrow; of an axis of channels more are unusual.
_MOST_CHANNELS = 8


def as_plane(image: ArrayLike) -> NDArray[np.generic]:
    """Check that an array is an image plane and drop its alpha channel.

    image: (H, W) or (H, W, C) array_like. Returns (H, W) or (H, W, 3): the plane in its
    own dtype; a view of the input where that is possible.
    """
    plane = as_array(image)
    check_kind(plane.shape, plane.dtype)
    if plane.ndim == 3:
        plane = plane[:, :, 0] if plane.shape[2] == 1 else plane[:, :, :3]
    if not holds_data(plane):
        raise InputError("The image holds nothing but NaN or infinity.")
    return plane


def check_kind(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Check that shape and dtype are those of an image plane."""
    # Numbers of more than 64 bits are other ones on every machine.
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        msg = f"An image of dtype {dtype} cannot be used; numbers are needed."
        raise InputError(msg)
    if len(shape) != 2 and not (len(shape) == 3 and shape[2] in (1, 3, 4)):
        raise InputError(
            f"An array of shape {shape} is not an image plane; "
            "(H, W) or (H, W, 3 or 4) is needed. Choose one plane of a stack."
        )
    if math.prod(shape) == 0:
        raise InputError(f"The image is empty (shape {shape}).")


def describe_odd_planes(
    name: str, stack: tuple[int, ...], plane: tuple[int, int]
) -> str:
    """Say so if the last axis of a stack rather holds channels than columns."""
    height, width = plane
    if not stack or width > _MOST_CHANNELS or min(stack[-1], height) <= width:
        return ""
    return (
        f"{name} is taken for {math.prod(stack)} planes of {height} × {width} "
        f"pixels. If it is one of {width} channels, split the last axis into layers or "
        "files."
    )


def plane_shape(plane: NDArray[np.generic]) -> tuple[int, int]:
    """Return height and width of a plane in pixels."""
    return int(plane.shape[0]), int(plane.shape[1])


def no_data_pixels(plane: NDArray[np.generic]) -> NDArray[np.bool_] | None:
    """Find the pixels that hold no data: NaN or infinity in any channel.

    plane: (H, W) or (H, W, 3). Returns (H, W) bool or None: None if every pixel holds
    data, so that the usual case costs nothing later.
    """
    if plane.dtype.kind != "f":
        return None
    missing = ~np.isfinite(plane)
    if plane.ndim == 3:
        missing = missing.any(axis=2)
    return missing if missing.any() else None


def holds_data(plane: NDArray[np.generic]) -> bool:
    """Tell whether any pixel of a plane holds data.

    plane: (H, W) or (H, W, C).
    """
    missing = no_data_pixels(plane)
    return missing is None or not bool(missing.all())


def shows_nothing(plane: NDArray[np.generic]) -> bool:
    """Tell whether a plane is constant or holds nothing but white noise.

    In neither is there anything to be found, whatever resembles what by chance.

    plane: (H, W) or (H, W, 3), pixels without data are passed over.
    """
    missing = no_data_pixels(plane)
    values = plane.reshape(-1, *plane.shape[2:]) if missing is None else plane[~missing]
    if (values == values[0]).all():
        return True
    grey = _grey(plane)
    if missing is not None:
        grey[missing] = np.nan
    return _varies_like_noise(grey) and not _has_spots(grey)


def _grey(plane: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the mean of the channels, brought within reach of sums and squares."""
    largest = 1.0
    if plane.dtype.kind == "f" and plane.dtype.itemsize == 8:
        largest = float(np.abs(plane[np.isfinite(plane)]).max(initial=0))
    values = plane if largest <= _HUGE else plane.astype(np.float64) / largest
    if values.ndim == 3:
        values = values.mean(axis=2, dtype=np.float64)
    return values.astype(np.float64)


def _varies_like_noise(grey: NDArray[np.float64]) -> bool:
    """Tell whether pixels vary independently of their neighbours.

    The mean over a block of n independent pixels has 1 / n of their variance. Of
    real micrographs, block means of 16 x 16 keep more than 60 times that.
    """
    variance = np.nanvar(grey)
    judged = False
    for side in _BLOCKS:
        means = _block_means(grey, side)
        if len(means) < _LEAST_BLOCKS:
            break
        ratio = means.var() * side**2 / variance
        # The standard error of a variance over n means is sqrt(2 / n) of it.
        tolerance = 1 + max(_LEAST_TOLERANCE, 8 * math.sqrt(2 / len(means)))
        if not 1 / tolerance < ratio < tolerance:
            return False
        judged = True
    return judged


def _has_spots(grey: NDArray[np.float64]) -> bool:
    """Tell whether bright or dark pixels lie together more than by chance.

    A few spots hardly change the variance of a large plane. But a block on one of
    them stands out much further than any block does once the pixels are shuffled.
    """
    held = np.isfinite(grey)
    shuffled = grey.copy()
    shuffled[held] = np.random.default_rng(0).permutation(grey[held])
    middle = np.nanmean(grey)
    for side in _BLOCKS:
        means, chance = _block_means(grey, side), _block_means(shuffled, side)
        if len(means) < _LEAST_BLOCKS or len(chance) == 0:
            break
        furthest = _OUTSTANDING * np.abs(chance - middle).max()
        if np.abs(means - middle).max() > furthest:
            return True
    return False


def _block_means(grey: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Average over the whole blocks of a plane in which every pixel holds data."""
    rows, columns = grey.shape[0] // side, grey.shape[1] // side
    whole = grey[: rows * side, : columns * side]
    means = whole.reshape(rows, side, columns, side).mean(axis=(1, 3))
    return np.asarray(means[np.isfinite(means)])
