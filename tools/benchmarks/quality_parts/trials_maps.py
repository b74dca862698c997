"""Feature maps used in another way: other ways to pixels, other statistics."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from napari_dinoprompt.core.features.feature_map import CellLengths
from napari_dinoprompt.core.prompts import OBJECT
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.scoring.similarity import ScoredPlane, cosines
from quality_parts.methods import Scored, find_methods, method
from quality_parts.trying import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap


def _try(
    name: str,
    change_source: Callable[[FeatureMap], FeatureMap],
    change_target: Callable[[FeatureMap], FeatureMap],
) -> None:
    """Register the product's method on feature maps that are changed first."""

    def score(
        source: FeatureMap,
        target: FeatureMap,
        image: NDArray[np.generic],
        points: NDArray[np.float64],
        classes: Sequence[str],
    ) -> Scored:
        (product,) = find_methods(["product"])
        changed = change_source(source)
        same = target is source and change_source is change_target
        return product.score(
            source=changed,
            target=changed if same else change_target(target),
            image=image,
            points=points,
            classes=classes,
        )

    method(name)(score)


# Once per map, so that a map that is used again keeps its guide and measures.
@lru_cache(maxsize=4)
def _plainly(features: FeatureMap) -> FeatureMap:
    return replace(features, guide_radius=0)


@lru_cache(maxsize=4)
def _widely(features: FeatureMap) -> FeatureMap:
    return replace(features, guide_radius=2 * features.guide_radius)


def _pixels(radius: int) -> Callable[[FeatureMap], FeatureMap]:
    """Make the guide's window reach so many pixels, or a cell where that is more."""

    @lru_cache(maxsize=4)
    def change(features: FeatureMap) -> FeatureMap:
        cells = max(1, round(radius / features.grid.cell))
        return replace(features, guide_radius=cells)

    return change


@lru_cache(maxsize=4)
def _unguarded(features: FeatureMap) -> FeatureMap:
    return replace(features, featureless=False)


_try("bilinear", _plainly, _plainly)
_try("guide-double", _widely, _widely)
for _radius in (8, 16):
    _change = _pixels(_radius)
    _try(f"guide-{_radius}px", _change, _change)
_try("no-guard", lambda features: features, _unguarded)


@method("target-statistics", background=False)
def _target_statistics(
    source: FeatureMap,
    target: FeatureMap,
    image: NDArray[np.generic],
    points: NDArray[np.float64],
    classes: Sequence[str],
) -> Scored:
    """Apply each image's own statistics, empty ones included: the mistake to avoid."""
    start = perf_counter()
    reference = Reference.from_prompts(source, points, classes)
    prototype = reference.prototype(OBJECT)[None]
    own = replace(reference, statistics=target.measures.statistics)
    lengths = CellLengths.of(target, own.statistics, own.scoring)
    features = _unguarded(target)
    with torch.inference_mode():
        plane = ScoredPlane(features, cosines(target, own, prototype, lengths), None)
    return cut(plane, reference, reference.auto_thresholds[OBJECT], start)
