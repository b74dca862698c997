"""Scorings that were tried beside the product's."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_dinoprompt.core.features.statistics import unit_vectors
from napari_dinoprompt.core.prompts import BACKGROUND, OBJECT
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.scoring.similarity import score_plane
from quality_parts.methods import Scored, method
from quality_parts.trying import Trial, cells_like, prompt_units, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.features.statistics import SourceMeasures


_SHRINKAGES = (0.5, 0.2, 0.05)
_SEVERAL = 3


def _try(
    name: str,
    make: Callable[[Reference, FeatureMap], Trial],
    *,
    background: bool = False,
) -> None:
    """Register a trial that is made from a reference and its source."""

    def score(
        source: FeatureMap,
        target: FeatureMap,
        image: NDArray[np.generic],
        points: NDArray[np.float64],
        classes: Sequence[str],
    ) -> Scored:
        reference = Reference.from_prompts(
            source, points, classes, measures=_measures(source)
        )
        return settle(make(reference, source), reference, source, target)

    method(name, background=background)(score)


@lru_cache(maxsize=4)
def _measures(source: FeatureMap) -> SourceMeasures:
    return source.measures


def _mean_unit(units: NDArray[np.float32]) -> NDArray[np.float32]:
    return unit_vectors(units.mean(axis=0, keepdims=True))


def _others(units: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the prototype of the others for each of some prompts; none for one."""
    return unit_vectors(units.sum(axis=0) - units) if len(units) > 1 else units[:0]


def _along(
    units: NDArray[np.float32], directions: NDArray[np.float32]
) -> NDArray[np.float32]:
    return np.asarray((units[: len(directions)] * directions).sum(axis=1))


def _competition_only(reference: Reference, source: FeatureMap) -> Trial:
    """Background prompts compete, but nothing of them is subtracted."""
    units = prompt_units(reference)
    prototype = _mean_unit(units)
    return Trial(
        cells=lambda features: cells_like(features, reference, prototype)[0],
        own=units @ prototype[0],
        agreement=_along(units, _others(units)),
    )


def _subtracted(reference: Reference, source: FeatureMap) -> Trial:
    """The object prototype less the background prototype is the prototype."""
    units = prompt_units(reference)
    around = np.zeros((1, units.shape[1]), dtype=np.float32)
    if BACKGROUND in reference.classes:
        around = _mean_unit(prompt_units(reference, BACKGROUND))
    prototype = unit_vectors(_mean_unit(units) - around)
    return Trial(
        cells=lambda features: cells_like(features, reference, prototype)[0],
        own=units @ prototype[0],
        agreement=_along(units, unit_vectors(_others(units) - around)),
        competes=False,
    )


def _nearest(count: int) -> Callable[[Reference, FeatureMap], Trial]:
    """Several prototypes: the mean similarity with the nearest few prompts."""

    def make(reference: Reference, source: FeatureMap) -> Trial:
        units = prompt_units(reference)

        def cells(features: FeatureMap) -> torch.Tensor:
            # Half of a large map at a time would do; prompts are few.
            found = cells_like(features, reference, units)
            return found.topk(min(count, len(units)), dim=0).values.mean(dim=0)

        among = units @ units.T
        own = _best(among, count)
        apart = among[~np.eye(len(units), dtype=bool)].reshape(len(units), -1)
        return Trial(cells, own, _best(apart, count) if len(units) > 1 else own[:0])

    return make


def _best(among: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    return np.asarray(np.sort(among, axis=1)[:, -count:].mean(axis=1))


def _whitened(shrinkage: float) -> Callable[[Reference, FeatureMap], Trial]:
    """Cosine after whitening with the source's covariance, shrunk to a sphere."""

    def make(reference: Reference, source: FeatureMap) -> Trial:
        whitening = _whitening(source, shrinkage)
        mean, inverse = reference.affine()
        applied = ((reference.vectors - mean) * inverse) @ whitening
        units = unit_vectors(applied.astype(np.float32))[reference.members(OBJECT)]
        prototype = _mean_unit(units)[0]

        def cells(features: FeatureMap) -> torch.Tensor:
            rows, columns, dimension = features.vectors.shape
            vectors = features.vectors.reshape(-1, dimension)
            parts = []
            for part in vectors.split(65_536):
                applied = (part - torch.from_numpy(mean)) * torch.from_numpy(inverse)
                applied = applied @ torch.from_numpy(whitening)
                along = applied @ torch.from_numpy(prototype)
                parts.append(along / applied.norm(dim=1).clamp_min(1e-12))
            return torch.cat(parts).reshape(rows, columns)

        return Trial(cells, units @ prototype, _along(units, _others(units)))

    return make


@lru_cache(maxsize=4)
def _whitening(source: FeatureMap, shrinkage: float) -> NDArray[np.float32]:
    """Return the inverse root of the source's covariance, shrunk (Ledoit, Wolf)."""
    measures = _measures(source)
    mean, inverse = measures.statistics.affine(measures.scoring)
    vectors = source.vectors.reshape(-1, len(mean)).numpy()
    step = max(1, len(vectors) // 65_536)
    covariance = np.cov((vectors[::step] - mean) * inverse, rowvar=False)
    dimension = len(mean)
    sphere = np.eye(dimension) * np.trace(covariance) / dimension
    values, axes = np.linalg.eigh((1 - shrinkage) * covariance + shrinkage * sphere)
    root: NDArray[Any] = (axes / np.sqrt(np.maximum(values, 1e-12))) @ axes.T
    return root.astype(np.float32)


def _refined(reference: Reference, source: FeatureMap) -> Trial:
    """The prototype mixed half with what it finds in its source, one round."""
    with torch.inference_mode():
        found = score_plane(source, reference).objects[0]
    vectors = source.vectors[found > reference.auto_thresholds[OBJECT]].numpy()
    mean, inverse = reference.affine()
    units = prompt_units(reference)
    support = np.zeros((1, units.shape[1]), dtype=np.float32)
    if len(vectors):
        support = _mean_unit(unit_vectors((vectors - mean) * inverse))
    prototype = unit_vectors(_mean_unit(units) + support)
    return Trial(
        cells=lambda features: cells_like(features, reference, prototype)[0],
        own=units @ prototype[0],
        agreement=_along(units, unit_vectors(_others(units) + support)),
    )


_try("no-background-share", _competition_only, background=True)
_try("background-subtracted", _subtracted, background=True)
_try("nearest-prompt", _nearest(1))
_try(f"nearest-{_SEVERAL}", _nearest(_SEVERAL))
for _shrinkage in _SHRINKAGES:
    _try(f"whitened-{_shrinkage:g}", _whitened(_shrinkage))
_try("refined", _refined)
