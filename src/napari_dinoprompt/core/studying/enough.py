"""When prompts are enough: the rules, and the answer in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CHANGE_TOLERANCE",
    "GAIN_TOLERANCE",
    "enough_with_truth",
    "enough_without_truth",
    "say_enough",
]

CHANGE_TOLERANCE = 0.05
"""A prompt that changes at most this share of the mask settles nothing any more. Asked
are three of four orders, not every second: where a mask has two states, half of the
orders may have settled in the wrong one.

The share is a Jaccard distance, which is a metric (Levandowsky and Winter, Nature 234,
1971): whatever the truth is, the IoU with it changes by no more than that."""
GAIN_TOLERANCE = 0.01
"""A median IoU that is nearer to the best one than this is as good."""


def enough_without_truth(
    change: NDArray[np.float64], tolerance: float = CHANGE_TOLERANCE
) -> int | None:
    """Find the number of prompts from which on the mask no longer changes.

    Parameters
    ----------
    change : (n,) ndarray of float64
        Share of the mask that the k-th prompt changes in three of four orders at
        most; NaN for the first.
    tolerance : float

    Returns
    -------
    int or None
        The smallest k after which each further prompt changes at most `tolerance`;
        None if the last one still changed more.
    """
    moving = np.flatnonzero(np.nan_to_num(change, nan=0.0) > tolerance)
    last = int(moving[-1]) + 1 if len(moving) else 1
    return last if last < len(change) else None


def enough_with_truth(
    score: NDArray[np.float64], tolerance: float = GAIN_TOLERANCE
) -> int:
    """Find the number of prompts from which on the IoU no longer gains.

    Parameters
    ----------
    score : (n,) ndarray of float64
        Median IoU with the truth.
    tolerance : float

    Returns
    -------
    int
        The smallest k whose IoU no larger number of prompts exceeds by more than
        `tolerance`.
    """
    later = np.maximum.accumulate(score[::-1])[::-1]
    return int(np.argmax(later - score <= tolerance)) + 1


def say_enough(
    enough: int | None, change: NDArray[np.float64], pixels: NDArray[np.float64]
) -> str:
    """Put the answer into words.

    Parameters
    ----------
    enough : int or None
        As `enough_without_truth` has it.
    change, pixels : (n,) ndarrays of float64
        Shares of the mask and of the plane that the k-th prompt changes in three of
        four orders at most.

    Returns
    -------
    str
        One sentence.
    """
    if enough is None:
        return (
            f"{len(change)} prompts are not enough yet: the last one still changed up "
            f"to {_percent(change[-1])} of the mask ({_percent(pixels[-1])} of the "
            "image)."
        )
    count = "1 prompt is" if enough == 1 else f"{enough} prompts are"
    return (
        f"{count} enough: the {_ordinal(enough + 1)} changes at most "
        f"{_percent(change[enough])} of the mask ({_percent(pixels[enough])} of the "
        "image)."
    )


def _percent(share: float) -> str:
    per_cent = 100 * share
    return f"{per_cent:.0f} %" if per_cent >= 9.95 else f"{per_cent:.1f} %"


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
