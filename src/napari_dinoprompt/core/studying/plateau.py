"""The range of thresholds in which the result hardly depends on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["find_plateau"]

# Largest over smallest area within a plateau.
_RATIO = 1.1
# A narrower range is no plateau: a slider is not set more finely by hand.
_LEAST_WIDTH = 0.05
# Below 0 a place is no more like the prompts than like their opposite; next to
# everything and next to nothing do not change either.
_LOWEST = 0.0
_MOST, _LEAST = 0.9, 0.0005


def find_plateau(
    thresholds: NDArray[np.float64], fraction: NDArray[np.float64]
) -> tuple[float, float] | None:
    """Find the longest range of thresholds over which the area hardly changes.

    Parameters
    ----------
    thresholds : (T,) ndarray of float64
        Rising.
    fraction : (T,) ndarray of float64
        Share of the plane above each; falling.

    Returns
    -------
    (float, float) or None
        Its ends, from 0 on: the largest area in it is at most 1.1 times the smallest.
        None if none is as wide as 0.05. Of several as long, the one with the least
        change.

    References
    ----------
    Matas et al., "Robust wide-baseline stereo from maximally stable extremal
    regions", BMVC 2002: regions that stay the same over many thresholds.
    """
    best: tuple[float, float, int, int] | None = None
    usable = (fraction <= _MOST) & (fraction >= _LEAST) & (thresholds > _LOWEST - 1e-6)
    first = 0
    for last in np.flatnonzero(usable):
        while not usable[first] or fraction[first] > _RATIO * fraction[last]:
            first += 1
        # Widths that differ by rounding are the same.
        width = round(float(thresholds[last] - thresholds[first]), 6)
        steady = -float(fraction[first] / fraction[last])
        if best is None or (width, steady) > best[:2]:
            best = (width, steady, first, int(last))
    if best is None or best[0] < _LEAST_WIDTH:
        return None
    return float(thresholds[best[2]]), float(thresholds[best[3]])
