"""Intensity windows: which grey values become 0 and 1 before the backbone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.planes import as_plane, no_data_pixels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "LOWER_PERCENTILE",
    "UPPER_PERCENTILE",
    "IntensityWindow",
    "measure_stack_window",
    "measure_window",
]

LOWER_PERCENTILE = 0.1
UPPER_PERCENTILE = 99.9
# Enough for percentiles that are stable to a grey level; larger planes are strided.
_SAMPLE_PIXELS = 4_000_000
_THIN_PIXELS = 1_000_000


@dataclass(frozen=True)
class IntensityWindow:
    """The grey values that map to 0 and to 1.

    One pair serves all channels of an RGB plane: windows of their own would change
    its colours.

    Attributes
    ----------
    low, high : float
        In the grey values of the image; ``low <= high``, both finite.

    Raises
    ------
    InputError
        If the two are not finite or in the wrong order.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        # numpy's integers would overflow in the difference.
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        if not (np.isfinite(self.low) and np.isfinite(self.high)):
            msg = f"An intensity window must be finite, not {self.low} to {self.high}."
            raise InputError(msg)
        if self.low > self.high:
            msg = f"The intensity window {self.low} to {self.high} is upside down."
            raise InputError(msg)

    def apply(self, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
        """Map grey values to [0, 1], clipped; no-data becomes 0.

        Parameters
        ----------
        pixels : ndarray of any shape

        Returns
        -------
        ndarray of float32, same shape
            All 0 where the window has no width: there is no contrast to show.
        """
        # float32 holds 16 bits exactly; of larger numbers it would lose the contrast.
        wide = pixels.dtype.itemsize > 2 and pixels.dtype != np.float32
        values = np.nan_to_num(
            pixels.astype(np.float64 if wide else np.float32),
            nan=self.low,
            posinf=self.low,
            neginf=self.low,
        )
        width = self.high - self.low
        if width <= 0:
            return np.zeros(values.shape, dtype=np.float32)
        values -= values.dtype.type(self.low)
        values /= values.dtype.type(width)
        clipped: NDArray[np.float32] = np.clip(values, 0.0, 1.0).astype(np.float32)
        return clipped


def measure_window(
    image: ArrayLike,
    *,
    lower: float = LOWER_PERCENTILE,
    upper: float = UPPER_PERCENTILE,
) -> IntensityWindow:
    """Take the intensity window of an image plane from its percentiles.

    As `measure_stack_window` of the one plane.

    The upper percentile is high on purpose: where nuclei cover 1 % of a plane, the
    99th percentile would clip most of their pixels to white.

    Parameters
    ----------
    image : (H, W) or (H, W, 3 or 4) array_like
        RGB channels are pooled.
    lower, upper : float
        Percentiles, 0 to 100.

    Returns
    -------
    IntensityWindow
        A boolean plane has the window 0 to 1.

    Raises
    ------
    InputError
        As `as_plane`.
    """
    return measure_stack_window([image], lower=lower, upper=upper)


def measure_stack_window(
    images: Iterable[ArrayLike],
    *,
    lower: float = LOWER_PERCENTILE,
    upper: float = UPPER_PERCENTILE,
) -> IntensityWindow:
    """Take one intensity window for all planes of a stack.

    Parameters
    ----------
    images : iterable of (H, W) or (H, W, 3 or 4) array_like
        At least one plane, for a large stack a few that stand for all.
    lower, upper : float
        Percentiles, 0 to 100, of the pixels of all planes.

    Returns
    -------
    IntensityWindow

    Raises
    ------
    InputError
        As `as_plane`.
    """
    samples = []
    extremes = []
    for image in images:
        plane = as_plane(image)
        if plane.dtype.kind == "b":
            return IntensityWindow(0.0, 1.0)
        missing = no_data_pixels(plane)
        pixels = plane.reshape(-1, *plane.shape[2:])
        values = pixels if missing is None else plane[~missing]
        step = max(1, len(values) // _SAMPLE_PIXELS)
        samples.append(values[::step].astype(np.float64).ravel())
        extremes += [float(values.min()), float(values.max())]
    low, high = np.percentile(np.concatenate(samples), [lower, upper])
    if low == high:
        # Objects rarer than the percentile still deserve a window.
        low, high = min(extremes), max(extremes)
    return IntensityWindow(float(low), float(high))


def thin_pixels(plane: NDArray[np.generic]) -> NDArray[np.generic]:
    """Take every few rows and columns of a large plane, enough for its percentiles.

    Parameters
    ----------
    plane : (H, W) or (H, W, C) ndarray

    Returns
    -------
    (h, w) or (h, w, C) ndarray
        A copy, so that the plane itself can be let go.
    """
    step = max(1, math.isqrt(plane.shape[0] * plane.shape[1] // _THIN_PIXELS))
    return plane[::step, ::step].copy()
