"""Grey values of a stack: measured once, on a few planes, and used for all.

A window of its own for each plane would raise the noise of a plane without objects to
structure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.intensity import measure_stack_window, thin_pixels
from napari_dinoprompt.core.plane_samples import sample_planes
from napari_dinoprompt.core.planes import as_plane, holds_data, no_data_pixels
from napari_dinoprompt.core.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.intensity import IntensityWindow
    from napari_dinoprompt.core.prompts import PlaneIndex

    Read = Callable[[PlaneIndex], ArrayLike]

__all__ = ["GreyCurve", "measure_curve", "measure_window_of"]


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

    def apply(self, plane: NDArray[np.generic]) -> NDArray[np.float64]:
        """Exchange the grey values of a plane; no-data stays without data.

        Parameters
        ----------
        plane : (H, W) or (H, W, C) ndarray

        Returns
        -------
        (H, W) or (H, W, 3) ndarray of float64
        """
        pixels = as_plane(plane)
        missing = no_data_pixels(pixels)
        found = np.interp(pixels.astype(np.float64), self.before, self.after)
        if missing is not None:
            found[missing] = np.nan
        return found


def measure_window_of(
    read: Read, lengths: tuple[int, ...]
) -> Generator[Progress, None, IntensityWindow]:
    """Measure the one intensity window of a stack.

    Parameters
    ----------
    read : callable from plane index to (H, W) or (H, W, C) array_like
    lengths : tuple of int
        Of the axes before the plane.

    Yields
    ------
    Progress
        With a total of 0, after each plane that was read.

    Returns
    -------
    IntensityWindow

    Raises
    ------
    InputError
        If none of the planes that stand for all holds data.
    """
    sample = yield from _sample(read, lengths)
    return measure_stack_window(sample)


def measure_curve(
    read: Read, lengths: tuple[int, ...], like: ArrayLike
) -> Generator[Progress, None, GreyCurve]:
    """Match the grey values of a stack with those of another image, rank by rank.

    Parameters
    ----------
    read, lengths
        As `measure_window_of`.
    like : (h, w) or (h, w, 3 or 4) array_like
        The image whose grey values are wanted.

    Yields
    ------
    Progress

    Returns
    -------
    GreyCurve
        For a stack of one plane what `match_histogram` does with it.

    Raises
    ------
    InputError
        As `measure_window_of`, or if `like` is no image plane.

    References
    ----------
    Gonzalez and Woods, Digital Image Processing, 2008, section 3.3.2.
    """
    target, ranks = _ranks([as_plane(like)])
    sample = yield from _sample(read, lengths)
    before, share = _ranks(sample)
    return GreyCurve(before, np.interp(share, ranks, target))


def _ranks(
    planes: list[NDArray[np.generic]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the grey values that occur, and how many pixels are up to each."""
    parts = []
    for plane in planes:
        missing = no_data_pixels(plane)
        held = plane if missing is None else plane[~missing]
        parts.append(held.ravel())
    values, counts = np.unique(np.concatenate(parts), return_counts=True)
    return values.astype(np.float64), np.cumsum(counts) / counts.sum()


def _sample(
    read: Read, lengths: tuple[int, ...]
) -> Generator[Progress, None, list[NDArray[np.generic]]]:
    sample = []
    for index in sample_planes(lengths):
        plane = np.asarray(read(index))
        yield Progress(0, 0)
        # A plane without data says nothing about the others.
        if holds_data(plane):
            sample.append(thin_pixels(as_plane(plane)))
    if not sample:
        msg = (
            "The planes that stand for the stack hold nothing but NaN or infinity; "
            "give the intensity window."
        )
        raise InputError(msg)
    return sample
