"""Thresholds that were tried on the product's map."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import torch
from skimage.filters import threshold_otsu

from napari_dinoprompt.core.prompts import OBJECT
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.scoring.auto_threshold import choose_threshold, sample_map
from napari_dinoprompt.core.scoring.similarity import score_plane
from quality_parts.methods import Scored, method
from quality_parts.trying import cut, prompt_units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.scoring.similarity import ScoredPlane


_SHARE = 0.8


def _try(name: str, choose: Callable[[Reference, ScoredPlane], float]) -> None:
    """Register a threshold that is chosen from a reference and its source's map."""

    def score(
        source: FeatureMap,
        target: FeatureMap,
        image: NDArray[np.generic],
        points: NDArray[np.float64],
        classes: Sequence[str],
    ) -> Scored:
        reference = Reference.from_prompts(source, points, classes)
        start = perf_counter()
        with torch.inference_mode():
            plane = score_plane(source, reference)
            threshold = choose(reference, plane)
            if target is not source:
                plane = score_plane(target, reference)
        return cut(plane, reference, threshold, start)

    method(name, background=False)(score)


def _share_of_agreement(reference: Reference, plane: ScoredPlane) -> float:
    agreement = reference.leave_one_out(OBJECT)
    return _SHARE * float(np.median(agreement)) if len(agreement) else _SHARE


def _otsu(reference: Reference, plane: ScoredPlane) -> float:
    return float(threshold_otsu(plane.object_pixels()[0].numpy()))


def _with_rarity(rarity: float) -> Callable[[Reference, ScoredPlane], float]:
    def choose(reference: Reference, plane: ScoredPlane) -> float:
        return choose_threshold(
            prompt_units(reference) @ reference.prototype(OBJECT),
            reference.leave_one_out(OBJECT),
            [sample_map(plane, 0, reference.points)],
            rarity=rarity,
        )

    return choose


_try(f"loo-{_SHARE:g}", _share_of_agreement)
_try("otsu", _otsu)
_try("steepest", _with_rarity(0))
_try("rarest", _with_rarity(1))
