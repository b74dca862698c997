"""What trials share: another similarity of cells, cut and masked as the product does.

A trial changes one step and leaves all others to the product, so that its figures
tell what the step is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from napari_dinoprompt.core.features.feature_map import CellLengths
from napari_dinoprompt.core.features.statistics import unit_vectors
from napari_dinoprompt.core.prompts import BACKGROUND, OBJECT
from napari_dinoprompt.core.scoring.auto_threshold import (
    _RARITY,
    choose_threshold,
    sample_map,
)
from napari_dinoprompt.core.scoring.similarity import ScoredPlane, cosines
from napari_dinoprompt.core.segmentation.similarities import scores_to_pixels
from quality_parts.methods import Scored

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.references.reference import Reference


@dataclass(frozen=True, eq=False)
class Trial:
    """Another similarity with the objects.

    Attributes
    ----------
    cells : function of FeatureMap
        Similarity of each cell, a (rows, columns) tensor.
    own, agreement : (n,) ndarrays of float32
        The same for the prompts: with all of them, and with the others.
    competes : bool
        Whether the prototype of background prompts competes in the mask.
    """

    cells: Callable[[FeatureMap], torch.Tensor]
    own: NDArray[np.float32]
    agreement: NDArray[np.float32]
    competes: bool = True


def prompt_units(reference: Reference, name: str = OBJECT) -> NDArray[np.float32]:
    """Return the unit vectors of a class's prompts."""
    return reference.unit_vectors()[reference.members(name)]


def cells_like(
    features: FeatureMap, reference: Reference, units: NDArray[np.float32]
) -> torch.Tensor:
    """Return the cosine of each cell with some vectors.

    Returns
    -------
    (N, rows, columns) tensor of float32
    """
    lengths = CellLengths.of(features, reference.statistics, reference.scoring)
    return cosines(features, reference, units, lengths)


def source_view(
    trial: Trial, reference: Reference, source: FeatureMap
) -> tuple[ScoredPlane, float]:
    """Score the source and choose the threshold on it, as the product does.

    Parameters
    ----------
    trial : Trial
    reference : Reference
        Of the source.
    source : FeatureMap

    Returns
    -------
    plane : ScoredPlane
    threshold : float
    """
    plane = _plane(trial, reference, source)
    points = reference.points[reference.members(OBJECT)]
    threshold = choose_threshold(
        trial.own,
        trial.agreement,
        [sample_map(plane, 0, points)],
        rarity=_RARITY[reference.scoring],
    )
    return plane, threshold


def settle(
    trial: Trial, reference: Reference, source: FeatureMap, target: FeatureMap
) -> Scored:
    """Carry a trial through to the mask of a target.

    Parameters
    ----------
    trial : Trial
    reference : Reference
        Of the source.
    source, target : FeatureMap

    Returns
    -------
    Scored
    """
    start = perf_counter()
    with torch.inference_mode():
        plane, threshold = source_view(trial, reference, source)
        if target is not source:
            plane = _plane(trial, reference, target)
    return cut(plane, reference, threshold, start)


def cut(
    plane: ScoredPlane, reference: Reference, threshold: float, start: float
) -> Scored:
    """Make the mask of a scored plane.

    Parameters
    ----------
    plane : ScoredPlane
    reference : Reference
    threshold : float
    start : float
        When the work began.

    Returns
    -------
    Scored
    """
    similarities = scores_to_pixels(plane, reference)
    mask = similarities.mask({OBJECT: threshold})
    seconds = perf_counter() - start
    return Scored(similarities.of(OBJECT), threshold, mask == 1, seconds)


def _plane(trial: Trial, reference: Reference, features: FeatureMap) -> ScoredPlane:
    background = None
    if trial.competes and BACKGROUND in reference.classes:
        prototype = unit_vectors(
            prompt_units(reference, BACKGROUND).mean(axis=0, keepdims=True)
        )
        background = cells_like(features, reference, prototype)[0]
    return ScoredPlane(features, trial.cells(features)[None], background)
