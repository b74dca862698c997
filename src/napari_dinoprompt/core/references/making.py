"""From prompts on the planes of an image to a reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.auto_threshold import Look, auto_thresholds, crowded_planes
from napari_dinoprompt.core.content_hash import hash_planes
from napari_dinoprompt.core.features import FeatureMap
from napari_dinoprompt.core.progress import Notice, Progress, run_through
from napari_dinoprompt.core.references.reference import Reference, Source
from napari_dinoprompt.core.similarity import score_plane

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from napari_dinoprompt.core.cell_lengths import CellLengths
    from napari_dinoprompt.core.prompts import PlaneIndex, Prompts
    from napari_dinoprompt.core.similarity import ScoredPlane
    from napari_dinoprompt.core.statistics import SourceMeasures
    from napari_dinoprompt.core.streaming.lazy_features import LazyFeatures

__all__ = ["NewReference", "iter_reference", "make_reference"]


@dataclass(frozen=True, eq=False)
class NewReference:
    """A reference, and what was scored to choose its thresholds.

    Attributes
    ----------
    reference : Reference
    scored : mapping of plane index to ScoredPlane
        Some of the planes that hold prompts; none that are too large to hold.
    """

    reference: Reference
    scored: Mapping[PlaneIndex, ScoredPlane]


def make_reference(
    features: Mapping[PlaneIndex, FeatureMap | LazyFeatures],
    prompts: Prompts,
    measures: SourceMeasures,
    *,
    source: str,
    lengths: Mapping[PlaneIndex, CellLengths],
    pixel_size: tuple[float, float] | None = None,
) -> NewReference:
    """Look up the prompts' vectors and choose the thresholds.

    Parameters
    ----------
    features, prompts, measures, source, pixel_size
        As `Reference.from_planes`.
    lengths : mapping of plane index to CellLengths
        Of the planes' features under `measures`, as far as they are known.

    Returns
    -------
    NewReference

    Raises
    ------
    InputError
        If a prompt lies outside its plane or on no-data.
    """
    return run_through(
        iter_reference(
            features,
            prompts,
            measures,
            source=source,
            lengths=lengths,
            pixel_size=pixel_size,
        )
    )


def iter_reference(
    features: Mapping[PlaneIndex, FeatureMap | LazyFeatures],
    prompts: Prompts,
    measures: SourceMeasures,
    *,
    source: str,
    lengths: Mapping[PlaneIndex, CellLengths],
    pixel_size: tuple[float, float] | None = None,
) -> Generator[Progress | Notice, None, NewReference]:
    """Make a reference as `make_reference` does, step by step."""
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
    reference = Reference(
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
        auto_thresholds={},
    )
    if not reference.object_classes:
        return NewReference(reference, {})
    looks = []
    whole = {}
    for index in crowded_planes(prompts.planes):
        here = np.array([plane == index for plane in prompts.planes])
        plane_features = features[index]
        if isinstance(plane_features, FeatureMap):
            with torch.inference_mode():
                scored = score_plane(plane_features, reference, lengths.get(index))
            whole[index] = scored
            looks.append(Look(scored, reference.points, here))
            continue
        views = yield from plane_features.iter_views(prompts.points[here])
        for view in views:
            with torch.inference_mode():
                scored = score_plane(view.features, reference)
            inside = here & view.holds(reference.points)
            looks.append(Look(scored, view.place(reference.points), inside))
    thresholds = auto_thresholds(reference, looks)
    return NewReference(replace(reference, auto_thresholds=thresholds), whole)
