"""From prompts on the planes of an image to all that a reference consists of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.features.feature_map import FeatureMap
from napari_dinoprompt.core.images.fingerprint import hash_planes
from napari_dinoprompt.core.progress import Notice, Progress, runs_to_end
from napari_dinoprompt.core.references.header import ReferenceFields, Source
from napari_dinoprompt.core.scoring.auto_threshold import (
    SourceView,
    auto_thresholds,
    most_prompted_planes,
)
from napari_dinoprompt.core.scoring.similarity import score_plane

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from napari_dinoprompt.core.features.feature_map import CellLengths
    from napari_dinoprompt.core.features.large import LazyFeatures
    from napari_dinoprompt.core.features.statistics import SourceMeasures
    from napari_dinoprompt.core.prompts import PlaneIndex, Prompts
    from napari_dinoprompt.core.scoring.similarity import ScoredPlane


@dataclass(frozen=True, eq=False)
class NewReference:
    """A reference to be, and what was scored to choose its thresholds.

    Attributes
    ----------
    fields : ReferenceFields
    scored : mapping of plane index to ScoredPlane
        Some of the planes that hold prompts; none that are too large to hold.
    """

    fields: ReferenceFields
    scored: Mapping[PlaneIndex, ScoredPlane]


def iter_reference(
    features: Mapping[PlaneIndex, FeatureMap | LazyFeatures],
    prompts: Prompts,
    measures: SourceMeasures,
    *,
    source: str,
    lengths: Mapping[PlaneIndex, CellLengths] | None = None,
    pixel_size: tuple[float, float] | None = None,
) -> Generator[Progress | Notice, None, NewReference]:
    """Look up the prompts' vectors and choose the thresholds, as `from_planes`.

    `lengths` are those of the planes' features under `measures`, as far as they are
    known.
    """
    first = features[prompts.planes[0]]
    vectors = np.empty((len(prompts.points), first.backbone.dimension), np.float32)
    for plane in dict.fromkeys(prompts.planes):
        here = np.array([index == plane for index in prompts.planes])
        on_plane, points = features[plane], prompts.points[here]
        if isinstance(on_plane, FeatureMap):
            vectors[here] = on_plane.at(points)
        else:
            vectors[here] = yield from on_plane.iter_at(points)
        yield Progress(0, 0)
    contents = {index: features[index].content_hash for index in prompts.planes}
    fields = ReferenceFields(
        vectors=vectors,
        classes=prompts.classes,
        points=prompts.points,
        planes=prompts.planes,
        sources=(Source(source, first.grid.shape, pixel_size, hash_planes(contents)),),
        source_of=np.zeros(len(vectors), dtype=np.int64),
        backbone=first.backbone,
        upscale=float(first.grid.upscale),
        window=first.window,
        statistics=measures.statistics,
        scoring=measures.scoring,
    )
    if not fields.object_classes:
        return NewReference(fields, {})
    looks = []
    whole = {}
    for index in most_prompted_planes(prompts.planes):
        here = np.array([plane == index for plane in prompts.planes])
        on_plane = features[index]
        if isinstance(on_plane, FeatureMap):
            known = lengths.get(index) if lengths else None
            with torch.inference_mode():
                whole[index] = score_plane(on_plane, fields, known)
            looks.append(SourceView(whole[index], fields.points, here))
            continue
        views = yield from on_plane.iter_views(prompts.points[here])
        for view in views:
            with torch.inference_mode():
                scored = score_plane(view.features, fields)
            inside = here & view.holds(fields.points)
            looks.append(SourceView(scored, view.place(fields.points), inside))
    chosen = auto_thresholds(fields, looks)
    return NewReference(replace(fields, auto_thresholds=chosen), whole)


make_reference = runs_to_end("make_reference", iter_reference)
