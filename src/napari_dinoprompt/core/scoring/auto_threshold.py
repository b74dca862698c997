"""Where a similarity map is cut if nobody says where: by the clicked objects.

Each object and its surroundings tell how well a threshold parts them. How much of the
plane lies above a threshold tells what it would find beside objects like these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


_LEVELS = np.linspace(0.01, 0.99, 197)
# Where fewer of the objects' pixels are left, they say nothing about how many objects
# there are.
_LEAST_LEFT = 0.5
# Of the similarity inside the clicked object: less alike is something else.
_LEAST_ALIKE = 0.3
# Of the clicked objects, and of their surroundings in terms of their size.
_LEAST_KEPT, _MOST_SPILLED = 0.5, 1.0
_AS_GOOD = 0.9
# Of the similarity of points that are on no object.
_LONE_SHARE = 0.7
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class ObjectValues:
    """Similarities of an object and of its surroundings.

    Attributes
    ----------
    inside, around : (n,) and (m,) ndarrays of float32
    ratio : float
        Pixels around for each inside.
    """

    inside: NDArray[np.float32]
    around: NDArray[np.float32]
    ratio: float


def choose_threshold(
    own: Sequence[ObjectValues],
    left_out: Sequence[ObjectValues],
    plane: NDArray[np.float32],
) -> float:
    """Choose the threshold of a class.

    The product of two agreements is the highest: of the mask with the objects within
    their surroundings, and of the mask with all objects of the plane, as far as these
    are like the clicked ones. Of thresholds that are as good to a tenth the mean.

    Parameters
    ----------
    own : sequence of ObjectValues
        Of the map that is cut; at least one.
    left_out : sequence of ObjectValues
        The same objects in maps of the other prompts: a prompt resembles its own
        prototype more than other objects do. Empty for a lone prompt, whose map tells
        nothing about other objects; then only the first agreement counts.
    plane : (M,) ndarray of float32
        Similarities spread over the plane.

    Returns
    -------
    float
        In (0, 1).

    Notes
    -----
    With the share S(t) of the objects' pixels above t and the share P(t) of the
    plane's, objects take at most p = min P / S of the plane (Blanchard, Lee, Scott,
    "Semi-supervised novelty detection", JMLR 11, 2010), and the expected intersection
    over union is p S / (P + p (1 - S)).
    """
    parted = np.mean([_agreement(one) for one in own], axis=0)
    if not left_out:
        if not any(len(one.around) for one in own):
            # Points that are on no object, and nothing to compare them with.
            return _LONE_SHARE * max(
                _TINY, float(np.mean([one.inside.mean() for one in own]))
            )
        return float(_LEVELS[int(np.argmax(parted))])
    parted = parted + np.mean([_agreement(one) for one in left_out], axis=0)
    left = np.mean([_share_above(one.inside) for one in left_out], axis=0)
    above = np.maximum(_share_above(plane), _TINY)
    counted = left >= min(_LEAST_LEFT, float(left.max()))
    taken = float((above[counted] / np.maximum(left[counted], _TINY)).min())
    expected = taken * left / (above + taken * (1 - left))
    score = parted * expected
    return float(_LEVELS[score >= _AS_GOOD * score.max()].mean())


def stand_ins(
    matches: Sequence[ObjectValues], own: Sequence[ObjectValues]
) -> Sequence[ObjectValues]:
    """Choose what stands for the objects of a class in the map of its only prompt.

    The best matches of the plane, as far as they are somewhat like the clicked object:
    if that is the only one of its kind, they are whatever else there is. The clicked
    object itself if none is.
    """
    if not own:
        return matches
    least = _LEAST_ALIKE * np.mean([one.inside.mean() for one in own])
    return [one for one in matches if one.inside.mean() >= least] or own


def judge_threshold(own: Sequence[ObjectValues], threshold: float) -> str:
    """Say what a threshold does to the clicked objects.

    Returns "cores" if less than half of them is in the mask, "more" if as much of their
    surroundings is as they are large, else "".
    """
    if not own:
        return ""
    kept = sum(float(np.mean(one.inside > threshold)) for one in own) / len(own)
    spilled = [
        one.ratio * float(np.mean(one.around > threshold))
        for one in own
        if len(one.around)
    ]
    if kept < _LEAST_KEPT:
        return "cores"
    more = bool(spilled) and sum(spilled) / len(spilled) > _MOST_SPILLED
    return "more" if more else ""


def fit_threshold(own: Sequence[ObjectValues]) -> float:
    """Choose the threshold that parts the clicked objects best, whatever else is."""
    return choose_threshold(own, [], np.zeros(0, np.float32))


def _agreement(values: ObjectValues) -> NDArray[np.float64]:
    """Intersection over union of the mask and an object, at each level."""
    found = _share_above(values.inside)
    return found / (1 + values.ratio * _share_above(values.around))


def _share_above(values: NDArray[np.float32]) -> NDArray[np.float64]:
    if len(values) == 0:
        return np.zeros(len(_LEVELS))
    below = np.searchsorted(np.sort(values), _LEVELS, side="right")
    return np.asarray(1 - below / len(values), np.float64)
