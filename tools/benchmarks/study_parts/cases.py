"""The pictures that the prompt study is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from quality_parts.data import find_planes, sample_planes

import napari_dinoprompt as dp
from napari_dinoprompt.core.prompt_study.subject import make_subject

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from quality_parts.data import Draw, Plane

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.prompt_study.subject import Subject


SETS = ("nuclei_fluo", "nuclei_bright", "nuclei_histo", "mito_lucchi", "mito_vnc")
_SMALL = 700
_DRAWS = 5


@dataclass(frozen=True, eq=False)
class Case:
    """One picture with its truth and draws of prompts."""

    name: str
    group: str
    image: NDArray[np.generic]
    truth: NDArray[np.bool_]
    draws: tuple[Draw, ...]

    def upscale(self, backbone: Backbone) -> float:
        """Small nuclei are enlarged for transformers, as in the quality protocol."""
        small = min(self.image.shape[:2]) < _SMALL and self.group != "mito"
        return 4.0 if small and backbone.info.name != "filterbank" else 1.0


def find_cases(data: Path | None, each: int, placed: str) -> list[Case]:
    """List the sample and, of each set, so many planes around the middle."""
    planes = [next(sample_planes())]
    for name in SETS if data is not None else ():
        found = find_planes(data, (name,), None)
        # Not the first: the rules were chosen on the first planes.
        middle = len(found) // 2
        planes += found[middle : middle + each]
    return [_case(plane, placed) for plane in planes]


def _case(plane: Plane, placed: str) -> Case:
    name = "sample" if plane.set_name == "sample" else plane.key
    return Case(
        name,
        plane.set_name.partition("_")[0],
        plane.image(),
        plane.truth,
        plane.prompts(placed)[:_DRAWS],
    )


def lay_out(
    objects: NDArray[np.float64], ground: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Put object and background prompts together."""
    classes = ("object",) * len(objects) + ("background",) * len(ground)
    return np.concatenate((objects, ground)), classes


def subject_of(
    case: Case,
    features: FeatureMap,
    points: NDArray[np.float64],
    classes: tuple[str, ...] | None = None,
) -> Subject:
    """Make what is studied."""
    reference = dp.Reference.from_prompts(features, points, classes)
    return make_subject(features, reference, truth=case.truth)
