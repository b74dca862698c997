"""How well a similarity map ranks the pixels of a mask above all others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["average_precision"]


def average_precision(
    truth: NDArray[np.bool_],
    scores: NDArray[np.floating],
    valid: NDArray[np.bool_] | None = None,
) -> float:
    """Compute the average precision of scores against a mask.

    The sum over all thresholds of (R_n - R_(n-1)) P_n, with precision P and recall R
    of the pixels at or above the n-th highest score. No threshold is chosen, and
    there is no interpolation, which would flatter. A map that ranks at random gets
    the fraction of true pixels. The definition is that of scikit-learn's
    ``average_precision_score``.

    Takes truth, scores, valid (H, W).

    References
    ----------
    Davis and Goadrich, "The relationship between precision-recall and ROC curves",
    ICML 2006 (why not to interpolate); Boyd, Eng and Page, "Area under the
    precision-recall curve", ECML PKDD 2013 (the estimator).
    """
    if truth.shape != scores.shape:
        msg = f"The mask is {truth.shape} pixels, the map {scores.shape}."
        raise InputError(msg)
    counted = ~np.isnan(scores)
    if valid is not None:
        counted &= valid
    falling, values = truth[counted], scores[counted]
    order = np.argsort(values)[::-1]
    falling, values = falling[order], values[order]
    # The last pixel of each run of equal scores.
    steps = np.flatnonzero(np.r_[values[1:] != values[:-1], True][: len(values)])
    hits = np.cumsum(falling)[steps]
    if len(hits) == 0 or hits[-1] == 0:
        return math.nan
    return float(np.sum(np.diff(hits, prepend=0) * (hits / (steps + 1))) / hits[-1])
