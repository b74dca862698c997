"""Which resolution to take: the recommendation in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Tried", "advise"]

# A cheaper setting whose IoU is this near to the best one is as good.
_AS_GOOD = 0.01
# Masks that agree this well differ at rims only.
_SAME = 0.9
# Objects need about this many cells across, or their rims are guessed.
_CELLS_ACROSS = 4.0


class Tried(Protocol):
    """What is known of a setting that was tried."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def cell(self) -> float:
        """Side of a cell in pixels."""
        ...

    @property
    def width(self) -> float:
        """Of the objects, in pixels."""
        ...

    @property
    def seconds(self) -> float:
        """For extracting the features."""
        ...


def advise(
    ious: Sequence[float], agreements: Sequence[float], tried: Sequence[Tried]
) -> tuple[int, str]:
    """Recommend one of the settings.

    With a truth, the fastest of those whose IoU is next to the best. Without, nobody
    can tell which mask is right: the fastest of those that agree with the first one
    if all do, else the one whose cells are just small enough for the objects.

    Parameters
    ----------
    ious : sequence of float
        With the truth; NaN without one.
    agreements : sequence of float
        IoU with the mask of the first setting.
    tried : sequence of Tried

    Returns
    -------
    int
        Its index.
    str
        The recommendation.
    """
    if len(tried) == 1:
        return 0, f"Only {tried[0].name} was tried: there is nothing to compare with."
    known = np.asarray(ious, dtype=np.float64)
    seconds = np.array([one.seconds for one in tried])
    if np.isfinite(known).all():
        good = np.flatnonzero(known >= known.max() - _AS_GOOD)
        best = int(good[np.argmin(seconds[good])])
        text = (
            f"Take {tried[best].name}: IoU {known[best]:.3f} in {_time(seconds[best])}."
        )
        top = int(np.argmax(known))
        if top != best:
            text += (
                f" {tried[top].name} has {known[top]:.3f}, but takes "
                f"{_time(seconds[top])}."
            )
        elif best != 0:
            text += f" {tried[0].name} has {known[0]:.3f}."
        return best, text
    if min(agreements) >= _SAME:
        best = int(np.argmin(seconds))
        return best, (
            f"All masks agree with that of {tried[0].name} to an IoU of at least "
            f"{min(agreements):.2f}: the resolution matters little, and "
            f"{tried[best].name} is the fastest ({_time(seconds[best])})."
        )
    across = np.array([one.width / one.cell for one in tried])
    fine = np.flatnonzero(across >= _CELLS_ACROSS)
    best = (
        int(fine[np.argmin(seconds[fine])])
        if len(fine)
        else int(np.argmax(np.nan_to_num(across)))
    )
    least = int(np.argmin(agreements))
    return best, (
        f"The masks differ: {tried[least].name} and {tried[0].name} agree to an IoU of "
        f"{agreements[least]:.2f}. Without a truth only your eyes can tell which is "
        f"right; look at {tried[best].name} first, where objects are about "
        f"{across[best]:.0f} cells across ({_time(seconds[best])})."
    )


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 99.5 else f"{seconds / 60:.0f} min"
