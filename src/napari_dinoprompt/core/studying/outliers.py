"""Prompts that look like none of the others, and prompts that say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["alike_groups", "find_outliers", "likeness"]

# An outlier's similarity with the others is below this share of their threshold, or
# its likeness is below theirs by this many robust standard deviations and this gap;
# chosen by measurement (docs/prompt-study.md).
_FAR_BELOW = 0.5
_DEVIATIONS, _LEAST_GAP = 2.0, 0.2
# Of a normal distribution, the standard deviation over the median deviation.
_ROBUST = 1.4826
_LEAST_PROMPTS = 3
# Above this cosine two prompts point the same way.
_ALIKE = 0.95


def likeness(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much each prompt looks like the others.

    Parameters
    ----------
    gram : (n, n) ndarray of float64
        Cosines between prompts.

    Returns
    -------
    (n,) ndarray of float64
        Median cosine with the others: unlike with a mean, one bad prompt hardly
        lowers that of the good ones. NaN for a lone prompt.
    """
    if len(gram) < 2:
        return np.full(len(gram), np.nan)
    others = gram[~np.eye(len(gram), dtype=np.bool_)].reshape(len(gram), -1)
    return np.asarray(np.median(others, axis=1))


def find_outliers(
    likeness: NDArray[np.float64],
    similarity: NDArray[np.float64],
    threshold: NDArray[np.float64],
    missed: NDArray[np.bool_],
) -> tuple[int, ...]:
    """Find the prompts that look like none of the others.

    Each is asked of the others, as a place of the image: they do not find it. Beside
    that, its similarity with them is not even near to what they are cut at, or it
    stands apart from theirs with each other.

    Parameters
    ----------
    likeness : (n,) ndarray of float64
        Median cosine of each prompt with the others.
    similarity : (n,) ndarray of float64
        Cosine of each prompt with the prototype of the others.
    threshold : (n,) ndarray of float64
        What the others are cut at.
    missed : (n,) ndarray of bool
        Which prompts lie outside the mask of the others.

    Returns
    -------
    tuple of int
        The least alike first; at most every third prompt, and none of fewer than
        three, of which nobody could tell.
    """
    count = len(likeness)
    if count < _LEAST_PROMPTS:
        return ()
    apart = (similarity < _FAR_BELOW * threshold) | (likeness < _lower_end(likeness))
    order = np.argsort(likeness)
    return tuple(int(i) for i in order if apart[i] and missed[i])[: max(1, count // 3)]


def _lower_end(likeness: NDArray[np.float64]) -> float:
    """Return what likeness the prompts have at least, but for the least alike."""
    rest = np.sort(likeness)[1:]
    middle = float(np.median(rest))
    spread = _ROBUST * float(np.median(np.abs(rest - middle)))
    return middle - max(_DEVIATIONS * spread, _LEAST_GAP)


def alike_groups(
    gram: NDArray[np.float64], spare: Sequence[bool]
) -> tuple[tuple[int, ...], ...]:
    """Find prompts that say the same.

    Parameters
    ----------
    gram : (n, n) ndarray of float64
        Cosines between prompts.
    spare : sequence of n bool
        Which prompts can be left out without changing the mask.

    Returns
    -------
    tuple of tuple of int
        Groups of two and more; in each all are alike.
    """
    free = [i for i in range(len(gram)) if spare[i]]
    groups: list[tuple[int, ...]] = []
    while free:
        first, *rest = free
        group = [first]
        for other in rest:
            if all(gram[other, one] >= _ALIKE for one in group):
                group.append(other)
        if len(group) > 1:
            groups.append(tuple(group))
        free = [i for i in rest if i not in group]
    return tuple(groups)
