"""Two references become one: `a + b`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import IncompatibleReferenceError
from napari_dinoprompt.core.features.statistics import SourceMeasures, pool_measures
from napari_dinoprompt.core.images.intensity import IntensityWindow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .header import ReferenceFields, Source


_ROUNDING = 1e-9

# What makes a prompt the same as another.
Key = tuple[object, ...]


def join_references(first: ReferenceFields, second: ReferenceFields) -> ReferenceFields:
    """Join the prompts and sources of two references.

    Mean and scale of the features are pooled as if measured on the cells of both.
    Two images hardly ever have the same intensity window, and the vectors were made in
    their own; for further images low and high are averaged, weighted with the same
    numbers of cells. Automatic thresholds are averaged by the prompts of their class;
    a threshold that a user set stays only where both have the same, or only one has
    the class.

    Joining is associative but for rounding, as long as no prompt is in two of the
    references; which one comes first decides only the order.

    The prompts of the first, then those of the second that the first does not have. An
    image of the same name, shape and content is one source.
    """
    _check_alike(first, second)
    sources, place = _join_sources((*first.sources, *second.sources))
    stay = place[first.source_of]
    moved = place[len(first.sources) + second.source_of]
    known = set(_prompt_keys(first, stay))
    keys = _prompt_keys(second, moved)
    kept = [at for at, key in enumerate(keys) if key not in known]
    measures = pool_measures(
        [SourceMeasures(one.statistics, one.scoring) for one in (first, second)]
    )
    return replace(
        first,
        vectors=np.concatenate([first.vectors, second.vectors[kept]]),
        classes=(*first.classes, *(second.classes[i] for i in kept)),
        areas=np.concatenate([first.areas, second.areas[kept]]),
        points=np.concatenate([first.points, second.points[kept]]),
        planes=(*first.planes, *(second.planes[i] for i in kept)),
        sources=sources,
        source_of=np.concatenate([stay, moved[kept]]),
        window=_pool_windows(first, second),
        statistics=measures.statistics,
        scoring=measures.scoring,
        auto_thresholds=_pool_auto_thresholds(first, second),
        thresholds=_shared_thresholds(first, second),
    )


def _check_alike(first: ReferenceFields, second: ReferenceFields) -> None:
    first.check_backbone(second.backbone)
    if not math.isclose(first.upscale, second.upscale, rel_tol=_ROUNDING):
        both = max(first.upscale, second.upscale)
        raise IncompatibleReferenceError(
            f"One reference was made at an upscale of {first.upscale:g}, the other at "
            f"{second.upscale:g}; they cannot be joined. Make both with --upscale "
            f"{both:g}, or choose ×{both:g} under upscale in the dock."
        )
    if first.scoring != second.scoring:
        raise IncompatibleReferenceError(
            f"One reference is scored {first.scoring}, the other {second.scoring}; "
            "they cannot be joined."
        )


def _join_sources(
    sources: tuple[Source, ...],
) -> tuple[tuple[Source, ...], NDArray[np.int64]]:
    """Return each image once, and the place among them of each that was given."""
    joined: list[Source] = []
    places = []
    for source in sources:
        same = [at for at, known in enumerate(joined) if _same_image(known, source)]
        if not same:
            joined.append(source)
        elif joined[same[0]].pixel_size is None:
            joined[same[0]] = source
        places.append(same[0] if same else len(joined) - 1)
    return tuple(joined), np.array(places, dtype=np.int64)


def _same_image(one: Source, other: Source) -> bool:
    return replace(one, pixel_size=None) == replace(other, pixel_size=None)


def _prompt_keys(reference: ReferenceFields, source_of: NDArray[np.int64]) -> list[Key]:
    return list(
        zip(
            reference.classes,
            map(tuple, reference.points.tolist()),
            reference.planes,
            source_of.tolist(),
            strict=True,
        )
    )


def _pool_windows(first: ReferenceFields, second: ReferenceFields) -> IntensityWindow:
    if first.window == second.window:
        return first.window
    cells = (first.statistics.count, second.statistics.count)
    return IntensityWindow(
        _average((first.window.low, second.window.low), cells),
        _average((first.window.high, second.window.high), cells),
    )


def _pool_auto_thresholds(
    first: ReferenceFields, second: ReferenceFields
) -> dict[str, float]:
    pooled = dict(first.auto_thresholds)
    for name, value in second.auto_thresholds.items():
        if name in pooled:
            prompts = (first.classes.count(name), second.classes.count(name))
            value = _average((pooled[name], value), prompts)
        pooled[name] = value
    return pooled


def _shared_thresholds(
    first: ReferenceFields, second: ReferenceFields
) -> dict[str, float]:
    mine, others = set(first.classes), set(second.classes)
    kept = {}
    for name in dict.fromkeys((*first.thresholds, *second.thresholds)):
        values = {
            reference.thresholds.get(name)
            for reference, classes in ((first, mine), (second, others))
            if name in classes
        }
        # None where one of them is on auto.
        (value, *more) = values
        if value is not None and not more:
            kept[name] = value
    return kept


def _average(values: tuple[float, float], weights: tuple[int, int]) -> float:
    share = weights[1] / (weights[0] + weights[1])
    return values[0] + share * (values[1] - values[0])
