"""The constants of the automatic threshold over a small grid, case by case.

The product's own function chooses the threshold, with its constants replaced. What a
threshold is worth is looked up in a table of the source's map, so that a whole grid
costs little more than one combination.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from napari_dinoprompt.core.prompts import OBJECT
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.scoring import auto_threshold
from napari_dinoprompt.core.scoring.auto_threshold import choose_threshold, sample_map
from napari_dinoprompt.core.scoring.similarity import score_plane
from napari_dinoprompt.core.segmentation.similarities import scores_to_pixels
from quality_parts.figures import best_iou
from quality_parts.trying import prompt_units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.features.statistics import SourceMeasures
    from napari_dinoprompt.core.scoring.auto_threshold import SourceMap


_CUTS = np.linspace(-1, 1, 2001)


class Combination(NamedTuple):
    """One setting of the constants.

    Attributes
    ----------
    lowest, highest : float
        Shares of the typical similarity that the cut lies between.
    rarity : float
        How much a rare value counts beside a steep place.
    peaks : float
        As how many prompts the best matches count.
    """

    lowest: float
    highest: float
    rarity: float
    peaks: float

    def __str__(self) -> str:
        return f"{self.lowest:g}-{self.highest:g}, {self.rarity:g}, {self.peaks:g}"


GRID = tuple(
    Combination(*values)
    for values in product(
        (0.4, 0.5, 0.6), (0.9, 0.95), (0.1, 0, 0.3, 0.5, 0.7, 0.9), (2, 0, 5)
    )
)


def shipped(scoring: str) -> Combination:
    """Return the product's own constants for a scoring.

    Parameters
    ----------
    scoring : {"plain", "centred", "standardised"}

    Returns
    -------
    Combination
    """
    rarities = {str(name): rarity for name, rarity in auto_threshold._RARITY.items()}
    return Combination(
        auto_threshold._LOWEST,
        auto_threshold._HIGHEST,
        rarities[scoring],
        auto_threshold._PEAKS_COUNT_AS,
    )


@dataclass(frozen=True, eq=False)
class CutCase:
    """What every combination is worth for the prompts of one case.

    Attributes
    ----------
    best : float
        IoU at the best threshold.
    own : tuple of float
        IoU at the threshold that each combination of `GRID` chooses.
    """

    best: float
    own: tuple[float, ...]


def cut_case(
    features: FeatureMap,
    measures: SourceMeasures,
    points: NDArray[np.float64],
    truth: NDArray[np.bool_],
) -> CutCase:
    """Try every combination on one plane with one draw of prompts.

    Parameters
    ----------
    features : FeatureMap
        Of the plane.
    measures : SourceMeasures
        Of `features`.
    points : (N, 2) ndarray of float64
        Prompts on objects.
    truth : (H, W) ndarray of bool

    Returns
    -------
    CutCase
    """
    reference = Reference.from_prompts(features, points, measures=measures)
    with torch.inference_mode():
        plane = score_plane(features, reference)
        shown = sample_map(plane, 0, points)
    pixels = scores_to_pixels(plane, reference).of(OBJECT)
    scores = _iou_by_cut(pixels, truth)
    shown = _in_order(shown)
    own = prompt_units(reference) @ reference.prototype(OBJECT)
    agreement = reference.leave_one_out(OBJECT)
    found = []
    for one in GRID:
        with _constants(one):
            threshold = choose_threshold(own, agreement, [shown], rarity=one.rarity)
        found.append(float(np.interp(threshold, _CUTS, scores)))
    return CutCase(best_iou(pixels, truth).iou, tuple(found))


@contextmanager
def _constants(one: Combination) -> Iterator[None]:
    names = ("_LOWEST", "_HIGHEST", "_PEAKS_COUNT_AS")
    before = [getattr(auto_threshold, name) for name in names]
    values = (one.lowest, one.highest, one.peaks)
    try:
        for name, value in zip(names, values, strict=True):
            setattr(auto_threshold, name, value)
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(auto_threshold, name, value)


def _in_order(shown: SourceMap) -> SourceMap:
    """Sort what the product sorts, which is then quickly done again."""
    order = np.argsort(shown.values)
    return replace(shown, values=shown.values[order], slopes=shown.slopes[order])


def _iou_by_cut(
    pixels: NDArray[np.float32], truth: NDArray[np.bool_]
) -> NDArray[np.float64]:
    held = np.isfinite(pixels)
    found = _above(pixels[held])
    both = _above(pixels[held & truth])
    either = found + np.count_nonzero(truth) - both
    return np.asarray(both / np.maximum(either, 1))


def _above(values: NDArray[np.float32]) -> NDArray[np.int64]:
    return len(values) - np.searchsorted(np.sort(values), _CUTS, side="right")
