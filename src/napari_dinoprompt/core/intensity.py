"""Intensity windows: which grey values become 0 and 1 before the backbone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.given import float_type
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
# Where numbers of single precision end, and those of double precision.
_LARGEST, _SMALLEST, _HUGE = 1e37, 1e-37, 1e307


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

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> window = dp.IntensityWindow(100, 300)
    >>> window.apply(np.array([[0, 200, 400]])).tolist()
    [[0.0, 0.5, 1.0]]
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
        # float32 would lose the contrast of larger numbers, and that of such windows.
        reach = max(abs(self.low), abs(self.high))
        wide = reach > _LARGEST or self.high - self.low < _SMALLEST
        values = np.nan_to_num(
            pixels.astype(np.float64 if wide else float_type(pixels.dtype)),
            nan=self.low,
            posinf=self.low,
            neginf=self.low,
        )
        if self.high <= self.low:
            return np.zeros(values.shape, dtype=np.float32)
        # Numbers at the end of what there is: half of them have a difference.
        half = 0.5 if reach > _HUGE else 1.0
        low, width = self.low * half, self.high * half - self.low * half
        number = values.dtype.type
        # What lies far outside may become infinite, which is clipped as well.
        with np.errstate(over="ignore"):
            if half != 1:
                values *= number(half)
            values -= number(low)
            values /= number(width)
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

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> window = dp.measure_window(np.arange(100).reshape(10, 10), lower=0, upper=100)
    >>> window.low, window.high
    (0.0, 99.0)
    """
    return measure_stack_window([image], lower=lower, upper=upper)


def measure_stack_window(
    images: Iterable[ArrayLike],
    *,
    lower: float = LOWER_PERCENTILE,
    upper: float = UPPER_PERCENTILE,
) -> IntensityWindow:
    """Take one intensity window for all planes of a stack."""
    if not 0 <= lower <= upper <= 100:
        msg = f"Percentiles lie between 0 and 100, not at {lower:g} and {upper:g}."
        raise InputError(msg)
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
    # The largest numbers have no difference, which it would take between them.
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = np.percentile(np.concatenate(samples), [lower, upper])
    if low == high or not np.isfinite([low, high]).all():
        # Objects rarer than the percentile still deserve a window.
        low, high = min(extremes), max(extremes)
    return IntensityWindow(float(low), float(high))


def thin_pixels(plane: NDArray[np.generic]) -> NDArray[np.generic]:
    """Take every few rows and columns of a large plane, enough for its percentiles.

    plane: (H, W) or (H, W, C). Returns (h, w) or (h, w, C): a copy, so that the plane
    itself can be let go.
    """
    step = max(1, math.isqrt(plane.shape[0] * plane.shape[1] // _THIN_PIXELS))
    return plane[::step, ::step].copy()
