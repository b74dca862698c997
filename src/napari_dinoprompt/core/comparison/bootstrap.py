"""Other draws of the prompts: how much of a figure hangs on which ones were clicked.

The prompts of each class are drawn again with replacement, as many as there are
(bootstrap). Features stay; prototypes and automatic thresholds follow the draw.

References
----------
Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7,
1979; Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13
(percentile intervals).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.scoring.places import (
    all_values,
    auto_thresholds,
    find_places,
    object_vectors,
)
from napari_dinoprompt.core.scoring.similarity import score_plane

from .measures import Side, measure_masks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.scoring.places import Places

    from .columns import Column
    from .prepared_images import PreparedImage


# Of fewer prompts there are too few different draws.
LEAST_PROMPTS = 3

_INTERVAL = (2.5, 97.5)
_BOUND = 95.0
_IDENTICAL = {
    "mse": 0.0,
    "psnr": math.inf,
    "ssim": 1.0,
    "pearson": 1.0,
    "feature_distance": 0.0,
    "lpips": 0.0,
}
# How far a prompt's vector may be from the one in the file, as a share of its length:
# half precision and another device differ by less, another image by much more.
_SAME = 0.02


def draw_references(
    reference: Reference, real: PreparedImage, draws: int, seed: int
) -> Iterator[Reference]:
    """Draw the prompts again and again, some of them several times.

    Where all of them lie on the real, it is their source, and automatic thresholds are
    chosen on it anew for each draw; otherwise they are kept.
    """
    rng = np.random.default_rng(seed)
    places = source_places(reference, real.features)
    for _ in range(draws):
        chosen = _draw(reference, rng)
        drawn = _take(reference, chosen)
        if places is not None:
            with torch.inference_mode():
                scored = score_plane(real.features, drawn, real.lengths)
            values = all_values(drawn, places.of(chosen))
            thresholds = auto_thresholds(drawn, values, [scored])
            drawn = replace(drawn, auto_thresholds=thresholds)
        yield drawn


def source_places(reference: Reference, features: FeatureMap) -> Places | None:
    """Find the places of prompts that were placed on an image; None if they were not.

    The vectors tell: they are those that the image has at the same places.
    """
    points = reference.points
    if len(set(reference.planes)) > 1 or not features.holds_data(points).all():
        return None
    everywhere = np.ones(len(points), dtype=np.bool_)
    places = find_places(features, reference, points, everywhere)
    found = features.interpolate(points)
    if reference.areas.any():
        found = object_vectors(found, places.prompts)
    apart = np.linalg.norm(found - reference.vectors, axis=1)
    lengths = np.linalg.norm(reference.vectors, axis=1)
    return places if (apart <= _SAME * lengths).all() else None


def _draw(reference: Reference, rng: np.random.Generator) -> NDArray[np.int64]:
    parts = []
    for name in reference.class_names:
        members = np.flatnonzero(reference.members(name))
        parts.append(rng.choice(members, len(members)))
    # In their old order: class numbers follow the first prompt of each class.
    return np.sort(np.concatenate(parts))


def _take(reference: Reference, chosen: NDArray[np.int64]) -> Reference:
    return replace(
        reference,
        vectors=reference.vectors[chosen],
        classes=tuple(reference.classes[i] for i in chosen),
        areas=reference.areas[chosen],
        points=reference.points[chosen],
        planes=tuple(reference.planes[i] for i in chosen),
        source_of=reference.source_of[chosen],
    )


@dataclass(eq=False)
class Drawn:
    """Figures under the draws of the prompts, collected one draw after the other.

    Attributes
    ----------
    views : int
        The real and its fakes.
    truth : (H, W) ndarray of int32 or None
    figures : list of list of dict
        One list per view, the real first, one dictionary per draw.
    floor : list of dict
        The real under one draw against the real under the next.
    """

    views: int
    truth: NDArray[np.int32] | None
    figures: list[list[dict[str, float]]] = field(init=False)
    floor: list[dict[str, float]] = field(default_factory=list)
    _first: Side | None = None
    _last: Side | None = None

    def __post_init__(self) -> None:
        self.figures = [[] for _ in range(self.views)]

    def add(self, sides: Sequence[Side]) -> None:
        """Measure one draw."""
        real = sides[0]
        against = true_side(real, self.truth)
        for figures, side in zip(self.figures, sides, strict=True):
            if side is not against:
                figures.append(measure_masks(against, side))
        if self._last is not None:
            self.floor.append(measure_masks(self._last, real))
        self._first = self._first or real
        self._last = real

    def close(self) -> None:
        """Pair the last draw with the first, so that there are as many pairs."""
        if self._first is not None and self._last is not None:
            self.floor.append(measure_masks(self._last, self._first))


def true_side(real: Side, truth: NDArray[np.int32] | None) -> Side:
    """Say what is true: the real's mask, itself an estimate, or labels by hand."""
    if truth is None:
        return real
    return replace(real, mask=truth != 0, instances=truth, own_mask=None)


def intervals(
    drawn: Sequence[Mapping[str, float]], columns: Sequence[Column]
) -> dict[str, tuple[float, float] | None]:
    """Find the 2.5 and 97.5 percentiles of each figure over the draws.

    None where a figure does not depend on the prompts or nothing was drawn.
    """
    found: dict[str, tuple[float, float] | None] = {}
    for one in columns:
        values = _values(drawn, one.key)
        found[one.key] = None
        if len(values):
            low, high = np.percentile(values, _INTERVAL)
            found[one.key] = float(low), float(high)
    return found


def noise_floor(
    drawn: Sequence[Mapping[str, float]], columns: Sequence[Column]
) -> dict[str, tuple[float, float]]:
    """Say what the real makes of itself under pairs of draws.

    Of each figure the median, and how bad the best 95 % of pairs are (where neither end
    is better, the 95th percentile). What doesn't depend on the prompts is what it is
    for identical images.
    """
    found: dict[str, tuple[float, float]] = {}
    if not drawn:
        return found
    for one in columns:
        if one.key not in drawn[0]:
            found[one.key] = _IDENTICAL[one.key], _IDENTICAL[one.key]
            continue
        values = _values(drawn, one.key)
        if len(values) == 0:
            found[one.key] = math.nan, math.nan
            continue
        worst = 100 - _BOUND if one.better == "higher" else _BOUND
        found[one.key] = float(np.median(values)), float(np.percentile(values, worst))
    return found


def _values(drawn: Sequence[Mapping[str, float]], key: str) -> NDArray[np.float64]:
    values = np.array([one[key] for one in drawn if key in one], dtype=np.float64)
    return np.asarray(values[np.isfinite(values)])
