"""The outline of the object at a point of a similarity map.

Lowered from its value at the point, the map opens nested regions that hold the point:
a branch of its component tree. The object is the region whose rim is sharpest, in the
map and in the image.

References
----------
Branch: Salembier, Oliveras, Garrido, "Antiextensive connected operators", IEEE Trans.
Image Process. 7, 1998. Sizes of different scale are compared by normalised gradients
with gamma = 1/2: Lindeberg, "Edge detection and ridge detection with automatic scale
selection", Int. J. Comput. Vis. 30, 1998.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


# Samples from the middle of a window to its edge, at every scale.
_REACH = 32
_LEVELS = 48
# In samples: fewer have no rim, and a region that fills the window is none.
_LEAST, _MOST_SHARE = 9, 0.5
_TINY = 1e-6


@dataclass(frozen=True)
class Window:
    """Whole samples of a picture around a pixel.

    Attributes
    ----------
    rows, columns : slice
        Of pixels.
    scale : int
        Side of a sample in pixels.
    seed : (int, int)
        The sample that holds the pixel.
    closed : tuple of 4 bool
        Which of the sides top, bottom, left and right are no edges of the picture.
    """

    rows: slice
    columns: slice
    scale: int
    seed: tuple[int, int]
    closed: tuple[bool, ...]

    @classmethod
    def around(
        cls, shape: tuple[int, int], pixel: tuple[int, int], scale: int, unit: int
    ) -> Window | None:
        """Cut it out, beginning on a multiple of a unit of pixels.

        None if the picture is too small for two samples.
        """
        slices, seed, closed = [], [], []
        for at, length in zip(pixel, shape, strict=True):
            start = at - scale // 2 - _REACH * scale
            stop = start + (2 * _REACH + 1) * scale
            closed += [start > 0, stop < length]
            start = max(0, start // unit * unit)
            count = min(2 * _REACH + 1, (length - start) // scale)
            if count < 2:
                return None
            slices.append(slice(start, start + count * scale))
            seed.append(min((at - start) // scale, count - 1))
        rows, columns = slices
        return cls(rows, columns, scale, (seed[0], seed[1]), tuple(closed))

    @property
    def corner(self) -> tuple[int, int]:
        """The pixel in which the first sample begins."""
        return self.rows.start, self.columns.start


@dataclass(frozen=True, eq=False)
class Outline:
    """A region around a point.

    Attributes
    ----------
    inside : (h, w) ndarray of bool
        On the samples of the window, without holes.
    window : Window
    sharpness : float
        Logarithm of the product of both gradients along the rim, normalised.
    """

    inside: NDArray[np.bool_]
    window: Window
    sharpness: float


def find_outline(
    values: NDArray[np.float32], grey: NDArray[np.float32], window: Window
) -> Outline | None:
    """Find the region with the sharpest rim at one scale.

    Parameters
    ----------
    values, grey : (h, w) ndarrays of float32
        Similarity and light of the samples of the window.
    window : Window

    Returns
    -------
    Outline or None
        None if no region has enough samples and ends within the window.
    """
    nested = _nested(values, window.seed)
    top = float(nested[window.seed])
    edges = [
        side.max()
        for side, shut in zip(
            (nested[0], nested[-1], nested[:, 0], nested[:, -1]),
            window.closed,
            strict=True,
        )
        if shut
    ]
    low = min(float(max(edges)) if edges else float(nested.min()), top)
    levels = np.linspace(top, low, _LEVELS, endpoint=False)
    areas, sharpness = _measure(nested, values, grey, levels)
    # Gradients are of a sample's width each: their product, divided by the scale once,
    # is normalised with gamma = 1/2.
    sharpness = sharpness - np.log(window.scale)
    sharpness[(areas < _LEAST) | (areas > _MOST_SHARE * values.size)] = -np.inf
    best = int(np.argmax(sharpness))
    if not np.isfinite(sharpness[best]):
        return None
    from scipy import ndimage as ndi

    # What is enclosed belongs to it.
    inside = ndi.binary_fill_holes(nested >= levels[best])
    return Outline(inside, window, float(sharpness[best]))


def _nested(values: NDArray[np.float32], point: tuple[int, int]) -> NDArray[np.float32]:
    """Say of each sample up to which level it is in the region of the point.

    Of the paths between both the lowest value of the best one.
    """
    from skimage.morphology import reconstruction

    seed = np.full_like(values, values.min())
    seed[point] = values[point]
    reached = reconstruction(seed, np.minimum(values, values[point]))
    return np.asarray(reached, np.float32)


def _measure(
    nested: NDArray[np.float32],
    values: NDArray[np.float32],
    grey: NDArray[np.float32],
    levels: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Measure the region at each level: its samples, and how sharp its rim is.

    The rim is of samples that have a neighbour on the other side.
    """
    padded = np.pad(nested, 1, mode="edge")
    around = (
        nested,
        padded[:-2, 1:-1],
        padded[2:, 1:-1],
        padded[1:-1, :-2],
        padded[1:-1, 2:],
    )
    count = len(levels)

    def first_level(of: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.searchsorted(-levels, -of.ravel(), side="left")

    areas = np.bincount(first_level(nested), minlength=count + 1).cumsum()[:count]
    begins = first_level(np.maximum.reduce(around))
    ends = first_level(np.minimum.reduce(around))

    def along_rim(weights: NDArray[np.float32] | None) -> NDArray[np.float64]:
        flat = None if weights is None else weights.ravel()
        change = np.bincount(begins, flat, count + 1) - np.bincount(
            ends, flat, count + 1
        )
        return np.asarray(change.cumsum()[:count], np.float64)

    length = np.maximum(along_rim(None), 1)
    sharpness = np.zeros(count)
    for picture in (values, grey):
        sharpness += np.log(
            np.maximum(along_rim(_gradient(picture)) / length, 0) + _TINY
        )
    return areas, sharpness


def _gradient(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy import ndimage as ndi

    smooth = ndi.gaussian_filter(picture, 1.0)
    down, across = np.gradient(smooth)
    return np.asarray(np.hypot(down, across), np.float32)
