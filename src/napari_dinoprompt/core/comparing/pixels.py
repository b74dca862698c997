"""Agreement of two masks, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.metrics import measure_agreement

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BOTH",
    "NEITHER",
    "ONLY_IN_FAKE",
    "ONLY_IN_REAL",
    "PixelAgreement",
    "compare_pixels",
    "map_agreement",
]

NEITHER, BOTH, ONLY_IN_REAL, ONLY_IN_FAKE = range(4)
"""Values of the agreement map."""


@dataclass(frozen=True)
class PixelAgreement:
    """How far two masks are the same.

    A figure that would be 0 / 0 is NaN: nothing can be said.

    Attributes
    ----------
    iou : float
        Pixels in both, of those in either (Jaccard, New Phytologist 11, 1912).
    dice : float
        Twice the pixels in both, of the sum of the two (Dice, Ecology 26, 1945).
    precision : float
        Of the fake's pixels, how many are in the real mask.
    recall : float
        Of the real mask's pixels, how many are in the fake's.
    """

    iou: float
    dice: float
    precision: float
    recall: float


def compare_pixels(
    real: NDArray[np.bool_],
    fake: NDArray[np.bool_],
    valid: NDArray[np.bool_] | None = None,
) -> PixelAgreement:
    """Count the pixels that two masks share.

    Takes real, fake, valid (H, W).
    """
    if valid is not None:
        real, fake = real & valid, fake & valid
    found = measure_agreement(fake, real)
    # Dice follows from the IoU, and NaN stays NaN.
    dice = 2 * found.iou / (1 + found.iou)
    return PixelAgreement(found.iou, dice, found.precision, found.recall)


def map_agreement(
    real: NDArray[np.bool_],
    fake: NDArray[np.bool_],
    valid: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Say of each pixel which of two masks it is in.

    Takes real, fake, valid (H, W); returns (H, W).
    """
    if real.shape != fake.shape:
        msg = f"The real mask is {real.shape} pixels, the fake one {fake.shape}."
        raise InputError(msg)
    found = np.zeros(real.shape, dtype=np.uint8)
    found[real & fake] = BOTH
    found[real & ~fake] = ONLY_IN_REAL
    found[fake & ~real] = ONLY_IN_FAKE
    if valid is not None:
        found[~valid] = NEITHER
    return found
