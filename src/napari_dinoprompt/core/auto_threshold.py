"""Where a similarity map is cut if nobody says where.

The prompts tell what similarity objects have, from a single prompt on; the map of
their source tells where, below that, objects end. The constants were chosen by
measurement; what a choice without the set in question gives is in docs/quality.md.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.similarity import BACKGROUND_SHARE
from napari_dinoprompt.core.source_maps import MOST_PEAKS, fitted_peaks, look_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Scoring
    from napari_dinoprompt.core.class_vectors import ClassVectors
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.similarity import ScoredPlane
    from napari_dinoprompt.core.source_maps import SourceMap

__all__ = [
    "Look",
    "auto_thresholds",
    "choose_threshold",
    "crowded_planes",
    "rarity_of",
    "threshold_elsewhere",
    "typical_similarity",
]

# Of a stack with prompts on many planes, those with most of them.
_MOST_PLANES = 4
# The best matches of the source stand in for prompts, as far as they come near the
# best of them: where few objects are, the others are none.
_COMPARABLE = 0.7
_PEAKS_COUNT_AS = 2
# The cut lies between these shares of what is typical of objects: their rims are less
# like the prompts than their insides.
_LOWEST, _HIGHEST = 0.5, 0.95
_STEPS = 61
# Of a lone prompt on a plane without any other match.
_LONE_SHARE = 0.7
# Below this the prompts have nothing in common and say nothing about a cut.
_LEAST_TYPICAL = 0.05
# Half widths in similarity within which slopes are averaged and points counted.
_SLOPE_WINDOW, _COUNT_WINDOW = 0.05, 0.1
_LEAST_POINTS = 20
# How much a rare value counts beside a steep part of the map, which has the rest.
# Similarities of tokens gather at a few values, those of filter responses do not.
_RARITY: dict[Scoring, float] = {"plain": 0.1, "centred": 0.1, "standardised": 0.7}
_TIE = 0.03


def rarity_of(scoring: Scoring) -> float:
    """Return how much rare values count with a scoring, see `choose_threshold`."""
    return _RARITY[scoring]


def crowded_planes(planes: Sequence[PlaneIndex]) -> list[PlaneIndex]:
    """Choose the planes of a stack whose maps thresholds are taken from.

    In order.
    """
    held = Counter(planes)
    crowded = sorted(held, key=lambda index: (-held[index], index))
    return sorted(crowded[:_MOST_PLANES])


@dataclass(frozen=True, eq=False)
class Look:
    """A plane of the source, or a part of one, with its prompts.

    Attributes
    ----------
    scored : ScoredPlane
    points : (N, 2) ndarray of float64
        Of all prompts of the reference, y and x in pixels of what was scored.
    inside : (N,) ndarray of bool
        Which of them lie there.
    """

    scored: ScoredPlane
    points: NDArray[np.float64]
    inside: NDArray[np.bool_]


def auto_thresholds(reference: ClassVectors, looks: Sequence[Look]) -> dict[str, float]:
    """Choose the threshold of each object class of a new reference.

    By object class.
    """
    maps: dict[str, list[SourceMap]] = {name: [] for name in reference.object_classes}
    for look in looks:
        with torch.inference_mode():
            for number, name in enumerate(reference.object_classes):
                points = look.points[look.inside & reference.members(name)]
                maps[name].append(look_at(look.scored, number, points))
    return {
        name: choose_threshold(
            *_prompt_similarities(reference, name),
            maps[name],
            rarity=_RARITY[reference.scoring],
        )
        for name in reference.object_classes
    }


def threshold_elsewhere(
    reference: ClassVectors, scored: ScoredPlane, name: str, otherwise: float
) -> float:
    """Choose the threshold of a class as on the source, but for another image.

    The best matches of the image stand in for the prompts, which lie elsewhere. That
    forgives a similarity that is lower or higher throughout, and finds something in
    almost any image.

    In (0, 1).
    """
    number = reference.object_classes.index(name)
    with torch.inference_mode():
        shown = look_at(scored, number, np.zeros((0, 2)))
        fitted = fitted_peaks(scored, number)
    if len(shown.peaks) == 0 or len(fitted) == 0:
        return float(otherwise)
    own, agreement = _prompt_similarities(reference, name)
    matches = _comparable(shown.peaks)
    # What others have of an example's similarity is the same as among the prompts.
    lower = float(np.median(matches)) / max(float(np.median(own)), 0.05)
    return choose_threshold(
        matches,
        agreement * np.float32(lower),
        [replace(shown, at_prompts=_comparable(fitted))],
        # As for a lone prompt: the range is uncertain.
        rarity=0.0,
    )


def _comparable(peaks: NDArray[np.float32]) -> NDArray[np.float32]:
    best = np.sort(peaks)[::-1][:MOST_PEAKS]
    return np.asarray(best[best >= _COMPARABLE * best[0]])


def _prompt_similarities(
    reference: ClassVectors, name: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Score a class's prompts as cells are: with all of them, and left out in turn."""
    units = reference.unit_vectors()
    members = reference.members(name)
    own = units[members] @ reference.prototype(name)
    agreement = reference.leave_one_out(name)
    if BACKGROUND in reference.classes:
        near = units[members] @ units[reference.members(BACKGROUND)].T
        taken = BACKGROUND_SHARE * near.max(axis=1).clip(min=0)
        own = own - taken
        agreement = agreement - taken if len(agreement) else agreement
    return own, agreement


def choose_threshold(
    own: NDArray[np.float32],
    agreement: NDArray[np.float32],
    maps: list[SourceMap],
    *,
    rarity: float,
) -> float:
    """Choose the threshold of a class from its prompts and the map of their source.

    What is typical of objects gives a range. Within it the cut is where the map is
    steepest, for there objects end, with some preference for values that are rare.

    Parameters
    ----------
    own, agreement : (n,) ndarrays of float32
        Similarities of the prompts with their prototype, and with that of the
        others; the latter is empty for one prompt.
    maps : list of SourceMap
        At least one.
    rarity : float
        From 0, the steepest place, to 1, the rarest value. A lone prompt, whose
        range is the least certain, always takes the steepest.

    Returns
    -------
    float
        In (0, 1).

    References
    ----------
    Steep: Weszka, Nagel, Rosenfeld, "A threshold selection technique", IEEE Trans.
    Computers C-23, 1974. Rare: Prewitt, Mendelsohn, Ann. N. Y. Acad. Sci. 128, 1966.
    """
    typical = typical_similarity(
        own,
        agreement,
        peaks=np.concatenate([shown.peaks for shown in maps]),
        shown=np.concatenate([shown.at_prompts for shown in maps]),
    )
    candidates = np.linspace(_LOWEST * typical, _HIGHEST * typical, _STEPS)
    values = np.concatenate([shown.values for shown in maps])
    order = np.argsort(values)
    values = values[order]
    slopes = np.concatenate([shown.slopes for shown in maps])[order]
    first, last = _within(values, candidates, _SLOPE_WINDOW)
    sums = np.concatenate(([0.0], np.cumsum(slopes, dtype=np.float64)))
    steepness = (sums[last] - sums[first]) / np.maximum(last - first, 1)
    steepness[last - first < _LEAST_POINTS] = 0
    low, high = _within(values, candidates, _COUNT_WINDOW)
    share = (high - low) / max(1, len(values))
    rarity = rarity if len(agreement) else 0.0
    score = (1 - rarity) * np.log(steepness + 1e-9) - rarity * np.log(share + 1e-4)
    # Of several places that are as good the widest, and of that the middle.
    good = score >= score.max() - _TIE
    edges = np.flatnonzero(np.diff(np.concatenate(([False], good, [False]))))
    starts, ends = edges[::2], edges[1::2]
    widest = int(np.argmax(ends - starts))
    return float(candidates[starts[widest] : ends[widest]].mean())


def typical_similarity(
    own: NDArray[np.float32],
    agreement: NDArray[np.float32],
    *,
    peaks: NDArray[np.float32],
    shown: NDArray[np.float32],
) -> float:
    """Estimate what similarity the inside of an object has in the map.

    Prompts resemble their own prototype more than other objects do, so it is asked
    how much each resembles the others'. The best matches of the source are further,
    less certain examples, and all there is for a single prompt.

    own, agreement: (n,) float32; peaks: (P,) float32; shown: (n,) float32. In (0, 1].
    """
    at_prompts = float(np.median(shown))
    own_similarity = float(np.median(own))
    examples = []
    weights = []
    if len(agreement):
        others = float(np.median(agreement)) / max(own_similarity, 0.05)
        examples.append(at_prompts * others)
        weights.append(len(agreement))
    if len(peaks):
        best = _comparable(peaks)
        left = float(np.clip(at_prompts / max(own_similarity, 0.1), 0.2, 1))
        examples.append(float(np.median(best)) * left)
        weights.append(_PEAKS_COUNT_AS)
    if not examples:
        return max(_LONE_SHARE * at_prompts, _LEAST_TYPICAL)
    return min(1.0, max(float(np.average(examples, weights=weights)), _LEAST_TYPICAL))


def _within(
    ordered: NDArray[np.float32], centres: NDArray[np.float64], width: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return (
        np.searchsorted(ordered, centres - width),
        np.searchsorted(ordered, centres + width),
    )
