"""The product's own path, of points only, and with another scoring."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING

from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.prompts import OBJECT, Prompts
from napari_dinoprompt.core.references.from_prompts import iter_reference
from napari_dinoprompt.core.references.reference import Reference, resolve_thresholds
from napari_dinoprompt.core.segmentation.similarities import score_classes
from quality_parts.methods import Scored, method

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Scoring
    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.features.statistics import SourceMeasures
    from napari_dinoprompt.core.references.from_prompts import NewReference
    from napari_dinoprompt.core.scoring.places import Place, PlaceKey


@method("product")
def _product(
    source: FeatureMap,
    target: FeatureMap,
    image: NDArray[np.generic],
    points: NDArray[np.float64],
    classes: Sequence[str],
) -> Scored:
    return _score(source, target, points, classes, source.scoring)


@method("points")
def _points(
    source: FeatureMap,
    target: FeatureMap,
    image: NDArray[np.generic],
    points: NDArray[np.float64],
    classes: Sequence[str],
) -> Scored:
    return _score(source, target, points, classes, source.scoring, points_only=True)


@method("plain")
def _plain(
    source: FeatureMap,
    target: FeatureMap,
    image: NDArray[np.generic],
    points: NDArray[np.float64],
    classes: Sequence[str],
) -> Scored:
    return _score(source, target, points, classes, "plain")


@method("centred")
def _centred(
    source: FeatureMap,
    target: FeatureMap,
    image: NDArray[np.generic],
    points: NDArray[np.float64],
    classes: Sequence[str],
) -> Scored:
    return _score(source, target, points, classes, "centred")


def _score(
    source: FeatureMap,
    target: FeatureMap,
    points: NDArray[np.float64],
    classes: Sequence[str],
    scoring: Scoring,
    *,
    points_only: bool = False,
) -> Scored:
    measures = _measures(source, scoring)
    start = perf_counter()
    reference = Reference.of(
        _make(source, points, classes, measures, points_only=points_only).fields
    )
    thresholds = resolve_thresholds(reference)
    similarities = score_classes(target, reference)
    mask = similarities.mask(thresholds)
    seconds = perf_counter() - start
    number = similarities.names.index(OBJECT) + 1
    return Scored(
        map=similarities.of(OBJECT),
        threshold=thresholds[OBJECT],
        mask=mask == number,
        seconds=seconds,
    )


def fitted_upscale(
    source: FeatureMap, points: NDArray[np.float64], classes: Sequence[str]
) -> float:
    """Return the upscale that the objects of prompts ask for.

    Parameters
    ----------
    source : FeatureMap
        At upscale 1.
    points : (N, 2) ndarray of float64
        y and x in pixels.
    classes : sequence of N str

    Returns
    -------
    float
        1 if no object is found.
    """
    measures = _measures(source, source.scoring)
    return _make(source, points, classes, measures).fitting_upscale or 1.0


def _make(
    source: FeatureMap,
    points: NDArray[np.float64],
    classes: Sequence[str],
    measures: SourceMeasures,
    *,
    points_only: bool = False,
) -> NewReference:
    """Make a reference as `Reference.from_prompts`, with objects found before."""
    return run_to_end(
        iter_reference(
            {(): source},
            Prompts(points, tuple(classes)),
            measures,
            source="image",
            points_only=points_only,
            places=_places(source, measures.scoring),
        )
    )


@lru_cache(maxsize=4)
def _places(source: FeatureMap, scoring: Scoring) -> dict[PlaceKey, Place]:
    """Keep the objects that were found for prompts, as the dock does."""
    return {}


@lru_cache(maxsize=4)
def _measures(source: FeatureMap, scoring: Scoring) -> SourceMeasures:
    """Measure a source once for all draws, as the dock does."""
    return replace(source.measures, scoring=scoring)
