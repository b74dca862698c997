"""Grey values: windows, matched histograms, and what can be seen.

Which planes stand for a whole stack: its grey values are measured on them, once. A
window of its own for each plane would raise the noise of a plane without objects to
structure.

Whether anything of an image can be seen in the intensity window of a reference. An
image of another type than the reference's source, of 16 bits instead of 8, say, is all
white or all black in its window. Nothing is found then, and nobody knows why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.progress import Notice, Progress
from napari_dinoprompt.core.validation import float_type

from .plane import as_plane, holds_data, no_data_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex


LOWER_PERCENTILE = 0.1
UPPER_PERCENTILE = 99.9
# Enough for percentiles that are stable to a grey level; larger planes are strided.
_SAMPLE_PIXELS = 4_000_000
_THIN_PIXELS = 1_000_000
# Where numbers of single precision end, and those of double precision.
_LARGEST, _SMALLEST, _HUGE = 1e37, 1e-37, 1e307

# Enough to meet the planes that are in focus; more would be read from afar for nothing.
_PLANES = 8

# Of the pixels that may still be seen: a hot one is not what is looked for.
_SEEN = 0.002
# An image whose type ends this far below the window is not of the source's type.
_FAR_BELOW = 4.0
# Contrasts that differ by more: other images of one kind stay within it, but for some
# fluorescence, of which as little is seen then.
_OTHER_CONTRAST = 5.0


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


def sample_planes(shape: tuple[int, ...]) -> list[PlaneIndex]:
    """Choose the planes of a stack that its window is measured on.

    They depend on the stack alone, not on what is in view, and are few, so that a
    stack that is read from afar need not be read whole.

    At most eight, evenly spread; of a 2-D image the one.
    """
    count = math.prod(shape)
    steps = 2 * _PLANES
    chosen = sorted({count * step // steps for step in range(1, steps, 2)})
    return [tuple(int(i) for i in np.unravel_index(at, shape)) for at in chosen]


def iter_sample(
    read: Callable[[PlaneIndex], ArrayLike],
    lengths: tuple[int, ...],
    otherwise: NDArray[np.generic] | None = None,
) -> Generator[Progress, None, list[NDArray[np.generic]]]:
    """Read the planes that stand for a stack, thinned, as far as they hold data.

    Where none does, `otherwise` is the plane that decides; without it that is an
    InputError.
    """
    sample = []
    for index in sample_planes(lengths):
        plane = np.asarray(read(index))
        yield Progress(0, 0)
        # A plane without data says nothing about the others.
        if holds_data(plane):
            sample.append(thin_pixels(as_plane(plane)))
    if not sample and otherwise is not None:
        return [otherwise]
    if not sample:
        raise InputError(
            "The planes that stand for the stack hold nothing but NaN or infinity; "
            "give the intensity window."
        )
    return sample


def notice_of_window(
    parts: Iterable[NDArray[np.generic]], window: IntensityWindow, name: str = ""
) -> Notice | None:
    """Say so if the grey values of an image hardly fit a window.

    None too for an image of a single grey value: it shows nothing in any window.
    """
    sample = [thin_pixels(part).ravel() for part in parts]
    values = np.concatenate(sample).astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    darkest, brightest = np.quantile(values, (_SEEN / 2, 1 - _SEEN / 2))
    if darkest == brightest:
        return None
    top = _end_of_type(sample[0].dtype, values)
    white = (values < window.high).mean() <= _SEEN
    black = (values > window.low).mean() <= _SEEN
    contrast = (brightest - darkest) / (window.high - window.low)
    fits = 1 / _OTHER_CONTRAST <= contrast <= _OTHER_CONTRAST
    if fits and not (white or black or top * _FAR_BELOW < window.high):
        return None
    return Notice(
        f"The grey values of {name or 'the image'} do not fit the intensity window of "
        f"the reference, {window.low:g} to {window.high:g}: little is seen in it. If "
        "they are only stored or exposed in another way, take the window 'image' "
        "(--window image)."
    )


def _end_of_type(dtype: np.dtype[Any], values: NDArray[np.float64]) -> float:
    """Return the white of a type; of numbers with a point that is 1 or unknown."""
    if dtype.kind == "b":
        return 1.0
    if dtype.kind in "iu":
        # Of wide integers hardly ever all are used.
        return float(np.iinfo(dtype).max) if dtype.itemsize < 4 else np.inf
    return 1.0 if values.min() >= 0 and values.max() <= 1 else np.inf
