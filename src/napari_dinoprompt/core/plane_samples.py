"""Which planes stand for a whole stack."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_dinoprompt.core.prompts import PlaneIndex

__all__ = ["sample_planes"]

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
