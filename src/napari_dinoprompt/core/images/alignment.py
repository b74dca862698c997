"""Bringing a fake onto the grid of the real, and to the range of its type.

Both planes show the same field, so they are matched edge to edge: pixel centres are at
integers and H rows cover [-0.5, H - 0.5].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_dinoprompt.core.errors import InputError

from .plane import no_data_pixels, plane_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray


# In this the two may differ, whatever rounding to whole pixels did.
_ASPECT_TOLERANCE = 0.01
# Wider integers hold anything: their largest value says nothing about an image.
_FULL = {"bool": 1.0, "uint8": 255.0}
# Cameras of 12 bits write 16, and so does whoever widens 8 bits.
_SIXTEEN_BITS = (255.0, 4095.0, 65535.0)
# A network's output may go a little beyond black and white.
_LEAST, _MOST = -0.1, 1.1

LabelsT = TypeVar("LabelsT", bound=np.generic)


def check_same_field(real: tuple[int, int], fake: tuple[int, int]) -> None:
    """Check that two planes can show the same field at different pixel sizes.

    Their aspect ratios may differ by 1 %, or by what rounding the smaller one to whole
    pixels explains.
    """
    small, large = sorted((real, fake), key=lambda shape: shape[0] * shape[1])
    down, across = small[0] / large[0], small[1] / large[1]
    alike = abs(down / across - 1) <= _ASPECT_TOLERANCE
    # One side of the smaller one follows from the other side, to a pixel.
    rounded = min(abs(large[0] * across - small[0]), abs(large[1] * down - small[1]))
    if not (alike or rounded <= 1):
        raise InputError(
            f"The real image is {real[0]} x {real[1]} pixels, the fake one {fake[0]} "
            f"x {fake[1]}: with different aspect ratios they do not show the same "
            "field. Crop one of them, or place both in the viewer with their scale."
        )


def match_plane(plane: NDArray[np.generic], shape: tuple[int, int]) -> NDArray[Any]:
    """Bring the grey values or colours of a fake onto the real's grid.

    Linear between pixels; when shrinking, smoothed first against aliasing with a
    Gaussian of (factor - 1) / 2 pixels.

    Takes plane (h, w) or (h, w, C); returns (H, W) or (H, W, C): the plane itself if it
    has that shape. Otherwise float32, or float64 if the plane was of that or of
    integers of more than 16 bits; grey values keep their range. NaN where most of what
    a pixel is made of holds no data; other pixels are made of the rest, in all
    channels.

    References
    ----------
    Knutsson and Westin, "Normalized and differential convolution", CVPR 1993 (pixels
    without data).
    """
    if plane_shape(plane) == shape:
        return plane
    check_same_field(shape, plane_shape(plane))
    values = _as_floats(plane)
    missing = no_data_pixels(plane)
    if missing is None:
        return _resize(values, shape)
    values[missing] = 0
    held = (~missing).astype(values.dtype)
    weight = _resize(held, shape)
    weight[weight < 0.5] = np.nan
    if plane.ndim == 3:
        weight = weight[:, :, None]
    # A mean lies between the values that it is made of, rounding apart.
    kept = values[~missing]
    low, high = (kept.min(), kept.max()) if kept.size else (0, 0)
    return np.clip(_resize(values, shape) / weight, low, high)


def match_labels(labels: NDArray[LabelsT], shape: tuple[int, int]) -> NDArray[LabelsT]:
    """Bring a mask or labels onto the real's grid: each pixel takes the nearest.

    Takes labels (h, w); returns (H, W).
    """
    if plane_shape(labels) == shape:
        return labels
    check_same_field(shape, plane_shape(labels))
    # By index: interpolation of order 0 would take labels through floating point.
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp)
        for new, old in zip(shape, labels.shape, strict=True)
    )
    found: NDArray[LabelsT] = labels[rows[:, None], columns]
    return found


def _as_floats(plane: NDArray[np.generic]) -> NDArray[np.floating]:
    """Copy as float32, or as float64 what that would not hold exactly."""
    exact = plane.dtype.itemsize <= 2 or plane.dtype == np.float32
    return plane.astype(np.float32 if exact else np.float64)


def _resize(
    values: NDArray[np.floating], shape: tuple[int, int]
) -> NDArray[np.floating]:
    from skimage.transform import resize

    # "symmetric" repeats the edge pixel, so that a plane of one row works too.
    found: NDArray[np.floating] = resize(
        values,
        shape,
        order=1,
        mode="symmetric",
        anti_aliasing=True,
        preserve_range=True,
    )
    return found


def match_range(plane: NDArray[np.generic], real: NDArray[np.generic]) -> NDArray[Any]:
    """Scale grey values by what is white in the types of two planes.

    White is 255 in 8 bits, and 1 in floating point if all values are about 0 to 1. In
    16 bits it is the white of 8, 12 or 16 bits, the least that all values fit in.
    Planes of the same type are left as they are: a fake that is too dark stays so.

    Takes plane (h, w) or (h, w, C), real (H, W) or (H, W, C). Returns the plane itself
    if both types have the same white, or if that of either is not known, as of floating
    point beyond 1 and of other integers.
    """
    if plane.dtype == real.dtype and plane.dtype.kind != "f":
        return plane
    white, wanted = _white(plane), _white(real)
    if white is None or wanted is None or white == wanted:
        return plane
    values = _as_floats(plane)
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
