"""The pictures that the prompt study is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
from quality_parts.data import RANDOM, Draw, find_planes

import napari_dinoprompt as dp
from napari_dinoprompt.core.prompt_study.subject import make_subject
from napari_dinoprompt.sample_data import sample_files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.prompt_study.subject import Subject


SETS = ("nuclei_fluo", "nuclei_bright", "nuclei_histo", "mito_lucchi", "mito_vnc")
_SMALL = 700


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


def find_cases(data: Path | None, each: int) -> list[Case]:
    """List the sample and, of each set, so many planes around the middle."""
    cases = [_sample()]
    if data is None:
        return cases
    for name in SETS:
        planes = find_planes(data, (name,), None)
        # Not the first: the rules were chosen on the first planes.
        middle = len(planes) // 2
        for plane in planes[middle : middle + each]:
            group = "mito" if name.startswith("mito") else "nuclei"
            cases.append(
                Case(plane.key, group, plane.image(), plane.truth, plane.draws[RANDOM])
            )
    return cases


def _sample() -> Case:
    files = sample_files("early")
    truth = np.asarray(iio.imread(files["nuclei_truth"])) != 0
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(5):
        objects, ground = np.argwhere(truth), np.argwhere(~truth)
        draws.append(
            Draw(
                rng.permutation(objects)[:20].astype(np.float64),
                rng.permutation(ground)[:20].astype(np.float64),
            )
        )
    image = np.asarray(iio.imread(files["nuclei_real"]))
    return Case("sample", "sample", image, truth, tuple(draws))


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
