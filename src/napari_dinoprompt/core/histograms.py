"""Giving an image the histogram of another: it forgives more than a window does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.given import float_type
from napari_dinoprompt.core.planes import as_plane, no_data_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["GreyCurve", "match_histogram"]


@dataclass(frozen=True, eq=False)
class GreyCurve:
    """Which grey value each one is exchanged for.

    Attributes
    ----------
    before, after : (N,) ndarray of float64
        Ascending; in between, values are interpolated.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]

    @classmethod
    def between(cls, planes: Sequence[ArrayLike], like: ArrayLike) -> GreyCurve:
        """Match the grey values of planes, all together, with those of an image."""
        target, ranks = _ranks([like])
        before, share = _ranks(planes)
        return cls(before, np.interp(share, ranks, target))

    def apply(self, plane: NDArray[np.generic]) -> NDArray[np.float64]:
        """Exchange the grey values of a plane; no-data becomes NaN."""
        pixels = as_plane(plane)
        missing = no_data_pixels(pixels)
        found = np.interp(pixels.astype(np.float64), self.before, self.after)
        if missing is not None:
            found[missing] = np.nan
        return found


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

    plane = as_plane(image)
    found: NDArray[np.floating] = plane.astype(float_type(plane.dtype))
    missing = no_data_pixels(plane)
    held = np.ones(plane.shape[:2], dtype=bool) if missing is None else ~missing
    # The values in a row: the two images need not have the same shape.
    values, wanted = found[held], _values(like).astype(np.float64)
    found[held] = match_histograms(values.ravel(), wanted).reshape(values.shape)
    return found


def _values(image: ArrayLike) -> NDArray[np.generic]:
    """Return the grey values of an image plane in a row, those of no-data left out."""
    plane = as_plane(image)
    missing = no_data_pixels(plane)
    return (plane if missing is None else plane[~missing]).ravel()


def _ranks(
    planes: Sequence[ArrayLike],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the grey values that occur, and how many pixels are up to each."""
    parts = np.concatenate([_values(plane) for plane in planes])
    values, counts = np.unique(parts, return_counts=True)
    return values.astype(np.float64), np.cumsum(counts) / counts.sum()
