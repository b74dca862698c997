"""From prompts on the planes of an image to all that a reference consists of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.features.feature_map import CellLengths, FeatureMap
from napari_dinoprompt.core.images.fingerprint import hash_planes
from napari_dinoprompt.core.progress import Notice, Progress
from napari_dinoprompt.core.prompts import BACKGROUND, PlaneIndex, Prompts
from napari_dinoprompt.core.scoring.places import (
    Places,
    all_values,
    auto_thresholds,
    fitting_upscale,
    iter_places,
    match_places,
    most_prompted_planes,
    object_vectors,
)
from napari_dinoprompt.core.scoring.similarity import ScoredPlane, score_plane

from .header import ReferenceFields, Source

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, MutableMapping

    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.large import LazyFeatures
    from napari_dinoprompt.core.features.statistics import SourceMeasures
    from napari_dinoprompt.core.scoring.places import ClassValues, Place, PlaceKey


@dataclass(frozen=True, eq=False)
class NewReference:
    """A reference to be, and what was scored to choose its thresholds.

    Attributes
    ----------
    fields : ReferenceFields
    values : mapping of str to ClassValues
        By which the thresholds were chosen.
    fitting_upscale : float or None
        At which the objects would be large enough; None if none was found.
    scored : mapping of plane index to ScoredPlane
        Some of the planes that hold prompts; none that are too large to hold.
    """

    fields: ReferenceFields
    values: Mapping[str, ClassValues]
    fitting_upscale: float | None
    scored: Mapping[PlaneIndex, ScoredPlane]


def iter_reference(
    features: Mapping[PlaneIndex, FeatureMap | LazyFeatures],
    prompts: Prompts,
    measures: SourceMeasures,
    *,
    source: str,
    points_only: bool = False,
    lengths: Mapping[PlaneIndex, CellLengths] | None = None,
    places: MutableMapping[PlaceKey, Place] | None = None,
    pixel_size: tuple[float, float] | None = None,
) -> Generator[Progress | Notice, None, NewReference]:
    """Look up the prompts' vectors and choose the thresholds, as `from_planes`.

    `lengths` are those of the planes' features under `measures`, as far as they are
    known; `places` those of earlier prompts under these measures, which is added to.
    """
    first = features[prompts.planes[0]]
    clicked = yield from _iter_clicked(features, prompts)
    contents = {index: features[index].content_hash for index in prompts.planes}
    fields = ReferenceFields(
        vectors=clicked,
        classes=prompts.classes,
        points=prompts.points,
        planes=prompts.planes,
        sources=(Source(source, first.grid.shape, pixel_size, hash_planes(contents)),),
        source_of=np.zeros(len(clicked), dtype=np.int64),
        areas=np.zeros(len(clicked)),
        backbone=first.backbone,
        upscale=float(first.grid.upscale),
        window=first.window,
        statistics=measures.statistics,
        scoring=measures.scoring,
    )
    if not fields.object_classes:
        return NewReference(fields, {}, None, {})
    known = {} if places is None else places
    found = yield from iter_places(
        features, fields, prompts.planes, prompts.points, prompts.regions, known
    )
    if not points_only:
        fields = replace(
            fields,
            vectors=object_vectors(clicked, found),
            areas=np.array([0.0 if one is None else one.found.area for one in found]),
        )
    scored: list[ScoredPlane] = []
    corners: list[tuple[PlaneIndex, NDArray[np.int64]]] = []
    whole = {}
    looked_at = most_prompted_planes(prompts.planes, prompts.classes)
    for index in looked_at:
        on_plane = features[index]
        if isinstance(on_plane, FeatureMap):
            known_lengths = lengths.get(index) if lengths else None
            with torch.inference_mode():
                whole[index] = score_plane(on_plane, fields, known_lengths)
            scored.append(whole[index])
            corners.append((index, np.zeros(2, np.int64)))
            continue
        for sample in (yield from on_plane.iter_sample()):
            with torch.inference_mode():
                scored.append(score_plane(sample.features, fields))
            corners.append((index, sample.corner))
    chosen_places = Places(
        tuple(
            place if plane in looked_at else None
            for place, plane in zip(found, prompts.planes, strict=True)
        ),
        {
            name: _matches(fields, scored, corners, name, found)
            for name in fields.object_classes
            if fields.classes.count(name) == 1
        },
    )
    values = all_values(fields, chosen_places)
    chosen = auto_thresholds(fields, values, scored)
    fields = replace(fields, auto_thresholds=chosen)
    objects = [
        place
        for place, name in zip(found, fields.classes, strict=True)
        if name != BACKGROUND
    ]
    return NewReference(fields, values, fitting_upscale(objects, first.grid), whole)


def _iter_clicked(
    features: Mapping[PlaneIndex, FeatureMap | LazyFeatures], prompts: Prompts
) -> Generator[Progress | Notice, None, NDArray[np.float32]]:
    """Look up the vectors at the prompts."""
    dimension = features[prompts.planes[0]].backbone.dimension
    vectors = np.empty((len(prompts.points), dimension), np.float32)
    for plane in dict.fromkeys(prompts.planes):
        here = np.array([index == plane for index in prompts.planes])
        on_plane, points = features[plane], prompts.points[here]
        if isinstance(on_plane, FeatureMap):
            vectors[here] = on_plane.at(points)
        else:
            vectors[here] = yield from on_plane.iter_at(points)
        yield Progress(0, 0)
    return vectors


def _matches(
    fields: ReferenceFields,
    scored: list[ScoredPlane],
    corners: list[tuple[PlaneIndex, NDArray[np.int64]]],
    name: str,
    found: list[Place | None],
) -> tuple[Place, ...]:
    """Find what resembles the only prompt of a class, away from it."""
    number = fields.classes.index(name)
    place = found[number]
    radius = 0.0 if place is None else place.found.radius
    away = [
        fields.points[[number]] - corner
        if plane == fields.planes[number]
        else np.zeros((0, 2))
        for plane, corner in corners
    ]
    return match_places(fields, scored, name, radius, away)
