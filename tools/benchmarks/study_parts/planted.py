"""Is a bad prompt among good ones found?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import napari_dinoprompt as dp
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.prompt_study.influence import iter_influence
from study_parts.cases import Case, subject_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Backbone


def planted_rows(
    case: Case, backbone: Backbone, counts: tuple[int, ...] = (3, 5, 10)
) -> list[dict[str, object]]:
    """Plant a prompt on background among good ones, in ten draws."""
    features = dp.extract_features(case.image, backbone, upscale=case.upscale(backbone))
    rows: list[dict[str, object]] = []
    for count in counts:
        found = alone = least = alarms = 0
        for objects, bad in _ten_draws(case, count):
            points = np.concatenate((objects, bad[None]))
            judged = run_to_end(iter_influence(subject_of(case, features, points)))
            found += count in judged.outliers
            alone += judged.outliers == (count,)
            least += int(np.nanargmin(judged.similarity) == count)
            clean = run_to_end(iter_influence(subject_of(case, features, objects)))
            alarms += bool(clean.outliers)
        rows.append(
            {
                "image": case.name,
                "backbone": backbone.info.name,
                "good prompts": count,
                "found": found,
                "and nothing else named": alone,
                "least alike": least,
                "of": 10,
                "alarms without a bad one": alarms,
            }
        )
    return rows


def _ten_draws(
    case: Case, count: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    for draw in case.draws:
        # From the start and from the middle: of 12 clicks two times 10 share 8.
        there = len(draw.objects)
        for half, start in enumerate((0, min(there // 2, there - count))):
            yield draw.objects[start:][:count], draw.background[half]
