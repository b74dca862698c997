"""Giving an image the histogram of another: it forgives more than a window does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.given import float_type
from napari_dinoprompt.core.planes import as_plane, no_data_pixels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["match_histogram"]


def match_histogram(image: ArrayLike, like: ArrayLike) -> NDArray[np.floating]:
    """Exchange the grey values of an image for those of another, rank by rank.

    Brightness, contrast and any curve between them are forgiven: an image in which
    everything is a hundred times too weak comes out as one that is not. Where nothing
    but the order of the grey values is left, structure that is not in the other image
    is raised to its contrast too.

    image: (H, W) or (H, W, 3 or 4) array_like; like: (h, w) or (h, w, 3 or 4)
    array_like. Returns (H, W) or (H, W, 3) float: pixels without data stay without, and
    count in neither image. Channels are pooled, so that colours keep their order.

    References
    ----------
    Gonzalez and Woods, Digital Image Processing, 2008, section 3.3.2; computed by
    scikit-image's ``match_histograms``.
    """
    from skimage.exposure import match_histograms

    plane, other = as_plane(image), as_plane(like)
    found: NDArray[np.floating] = plane.astype(float_type(plane.dtype))
    held, like_held = _held(plane), _held(other)
    # The values in a row: the two images need not have the same shape.
    values, wanted = found[held], other[like_held].astype(np.float64)
    matched = match_histograms(values.ravel(), wanted.ravel())
    found[held] = matched.reshape(values.shape)
    return found


def _held(plane: NDArray[np.generic]) -> NDArray[np.bool_]:
    missing = no_data_pixels(plane)
    return np.ones(plane.shape[:2], dtype=bool) if missing is None else ~missing
