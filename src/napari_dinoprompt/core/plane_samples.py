"""Which planes stand for a whole stack: its grey values are measured on them, once.

A window of its own for each plane would raise the noise of a plane without objects to
structure.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.intensity import thin_pixels
from napari_dinoprompt.core.planes import as_plane, holds_data
from napari_dinoprompt.core.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex

__all__ = ["iter_sample", "sample_planes"]

# Enough to meet the planes that are in focus; more would be read from afar for nothing.
_PLANES = 8


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
        msg = (
            "The planes that stand for the stack hold nothing but NaN or infinity; "
            "give the intensity window."
        )
        raise InputError(msg)
    return sample
