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
import torch.nn.functional as F

from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.scoring.similarity import BACKGROUND_SHARE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Scoring
    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.scoring.class_vectors import ClassVectors
    from napari_dinoprompt.core.scoring.similarity import ScoredPlane


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

MOST_PEAKS = 30
"""How many of the best matches are kept."""

# Enough for a histogram; all of a large map would cost more than scoring it.
_POINTS = 65_536


def rarity_of(scoring: Scoring) -> float:
    """Return how much rare values count with a scoring, see `choose_threshold`."""
    return _RARITY[scoring]


def most_prompted_planes(planes: Sequence[PlaneIndex]) -> list[PlaneIndex]:
    """Choose the planes of a stack whose maps thresholds are taken from.

    In order.
    """
    held = Counter(planes)
    crowded = sorted(held, key=lambda index: (-held[index], index))
    return sorted(crowded[:_MOST_PLANES])


@dataclass(frozen=True, eq=False)
class SourceView:
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


def auto_thresholds(
    reference: ClassVectors, looks: Sequence[SourceView]
) -> dict[str, float]:
    """Choose the threshold of each object class of a new reference.

    By object class.
    """
    maps: dict[str, list[SourceMap]] = {name: [] for name in reference.object_classes}
    for look in looks:
        with torch.inference_mode():
            for number, name in enumerate(reference.object_classes):
                points = look.points[look.inside & reference.members(name)]
                maps[name].append(sample_map(look.scored, number, points))
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
        shown = sample_map(scored, number, np.zeros((0, 2)))
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


@dataclass(frozen=True, eq=False)
class SourceMap:
    """What the similarity map of a class shows on one plane of its source.

    Attributes
    ----------
    values, slopes : (M,) ndarrays of float32
        Similarity along the edges of the image at points spread over the plane, and
        how fast it changes there.
    peaks : (P,) ndarray of float32
        Similarities of the cells that resemble the prompts most, away from them and
        from each other.
    at_prompts : (n,) ndarray of float32
        Similarity along the edges at the class's prompts on this plane.
    """

    values: NDArray[np.float32]
    slopes: NDArray[np.float32]
    peaks: NDArray[np.float32]
    at_prompts: NDArray[np.float32]


def sample_map(
    plane: ScoredPlane, number: int, points: NDArray[np.float64]
) -> SourceMap:
    """Look at the map of one class on one plane.

    points: (n, 2) float64.
    """
    features, cells = plane.features, plane.objects[number]
    fitted = plane.fitted
    if fitted is None:
        step, shown = features.grid.cell, cells
    else:
        step, shown = float(fitted.guide.step), fitted.blocks(number).clamp(-1, 1)
    values, slopes = _spread_points(shown, features.no_data)
    last = np.asarray(shown.shape) - 1
    y, x = np.clip(np.floor((points + 0.5) / step), 0, last).astype(np.int64).T
    return SourceMap(
        values=values,
        slopes=slopes,
        peaks=_peaks(cells, features, points),
        at_prompts=shown.cpu().numpy()[y, x],
    )


def _spread_points(
    shown: torch.Tensor, no_data: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows, columns = shown.shape
    stride = max(1, int((rows * columns / _POINTS) ** 0.5))
    padded = F.pad(shown[None], (1, 1, 1, 1), "replicate")[0]
    middle = slice(1, rows + 1, stride), slice(1, columns + 1, stride)
    dy = padded[2 : rows + 2, 1 : columns + 1] - padded[:rows, 1 : columns + 1]
    dx = padded[1 : rows + 1, 2 : columns + 2] - padded[1 : rows + 1, :columns]
    slopes = torch.hypot(dy[::stride, ::stride], dx[::stride, ::stride]) / 2
    values = padded[middle]
    if no_data is None:
        return values.reshape(-1).cpu().numpy(), slopes.reshape(-1).cpu().numpy()
    # A point counts if its pixel holds data; the fall into a gap is no object's edge.
    held = torch.from_numpy(~no_data).float()[None, None]
    held = -F.adaptive_max_pool2d(-held, (rows, columns))
    held = -F.max_pool2d(-held, 3, stride=1, padding=1)
    keep = (held[0, 0, ::stride, ::stride] == 1).to(shown.device)
    return values[keep].cpu().numpy(), slopes[keep].cpu().numpy()


def _peaks(
    cells: torch.Tensor, features: FeatureMap, points: NDArray[np.float64]
) -> NDArray[np.float32]:
    # A peak is above all blocks around its own: about a window of the guide.
    size = max(1, features.guide_radius)
    blocks = F.max_pool2d(cells[None, None], size, ceil_mode=True)
    peaks = (blocks == F.max_pool2d(blocks, 3, stride=1, padding=1))[0, 0]
    peaks &= blocks[0, 0] > 0
    last = np.asarray(peaks.shape) - 1
    at = np.floor((features.grid.to_cells(points) + 0.5) / size)
    for row, column in np.clip(at, 0, last).astype(np.int64):
        peaks[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = False
    found = blocks[0, 0][peaks]
    best: NDArray[np.float32]
    best = torch.topk(found, min(MOST_PEAKS, len(found))).values.cpu().numpy()
    return best


def fitted_peaks(scored: ScoredPlane, number: int) -> NDArray[np.float32]:
    """Find the best matches along the edges of the image, as `at_prompts` has them.

    Returns (P,) float32: the best first; at most `MOST_PEAKS`.
    """
    cells = scored.objects[number]
    if scored.fitted is not None:
        blocks = scored.fitted.blocks(number).clamp(-1, 1)
        cells = F.adaptive_max_pool2d(blocks[None, None], tuple(cells.shape))[0, 0]
    return _peaks(cells, scored.features, np.zeros((0, 2)))
