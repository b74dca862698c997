"""The quality protocol: which prompts on which plane are applied where."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from napari_dinoprompt.core.metrics import measure_agreement
from napari_dinoprompt.core.prompts import BACKGROUND, OBJECT
from quality_parts.cases import Case, Outcome, Unit
from quality_parts.data import FAKES, IMAGE, MITO_SETS, STAIN_SETS
from quality_parts.fakes import EMPTY, draw_empty
from quality_parts.figures import best_iou, boundary_f_score
from quality_parts.store import protocol_upscale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from quality_parts.data import Plane
    from quality_parts.methods import Method, Scored
    from quality_parts.store import FeatureStore

__all__ = ["PROTOCOLS", "USUAL", "plan_units", "run_case", "score_case"]

PROTOCOLS = ("self", "transfer", "stain")
USUAL = 5
"""Prompts of the transfer and stain protocols, and background prompts added."""


def plan_units(
    planes: Sequence[Plane],
    protocols: Sequence[str],
    prompts: Sequence[int],
    draws: int,
) -> list[Unit]:
    """Write down everything that a protocol asks for.

    Parameters
    ----------
    planes : sequence of Plane
    protocols : sequence of str
        Of `PROTOCOLS`.
    prompts : sequence of int
        Numbers of prompts of the self protocol.
    draws : int
        The first so many.

    Returns
    -------
    list of Unit
        All that concern a plane follow each other.
    """
    units = []
    for plane in planes:
        fly = plane.set_name in STAIN_SETS
        first = next(one for one in planes if one.set_name == plane.set_name)
        some = range(min(draws, len(first.draws)))
        usual = tuple(Case(IMAGE, USUAL, 0, draw) for draw in some)
        if "self" in protocols and not fly:
            cases = [Case(IMAGE, k, 0, draw) for k in prompts for draw in some]
            cases += [Case(IMAGE, USUAL, USUAL, draw) for draw in some]
            units.append(Unit("self", plane, plane, tuple(cases)))
        follows = plane.set_name in MITO_SETS and plane is not first
        if "transfer" in protocols and follows:
            units.append(Unit("transfer", first, plane, usual))
        if "stain" in protocols and fly:
            stains = [name for name in (IMAGE, *FAKES) if name in plane.files]
            cases = [
                Case(stain, USUAL, 0, draw)
                for stain in (*stains, *EMPTY)
                for draw in some
            ]
            units.append(Unit("stain", plane, plane, tuple(cases)))
    return units


def score_case(
    unit: Unit,
    case: Case,
    method: Method,
    store: FeatureStore,
    upscale: float | None = None,
) -> Scored:
    """Apply a method to one case.

    Parameters
    ----------
    unit : Unit
    case : Case
        Of the unit.
    method : Method
    store : FeatureStore
    upscale : float, optional
        Instead of the protocol's.

    Returns
    -------
    Scored
    """
    plane = unit.source
    prompted = _image(plane, IMAGE)
    if upscale is None:
        backbone = store.backbone.info.name
        upscale = protocol_upscale(plane.set_name, prompted.shape, backbone)
    source = store.features(prompted, upscale)
    if case.stain in EMPTY:
        image = draw_empty(case.stain, prompted, source.window)
    else:
        image = _image(unit.target, case.stain)
    # As the product does by default: what the prompts saw as 0 and 1 is kept.
    same = case.stain == IMAGE and unit.target is plane
    target = source if same else store.features(image, upscale, source.window)
    draw = plane.draws[case.draw]
    objects, around = draw.objects[: case.prompts], draw.background[: case.background]
    return method.score(
        source=source,
        target=target,
        image=image,
        points=np.concatenate([objects, around]),
        classes=[OBJECT] * len(objects) + [BACKGROUND] * len(around),
    )


def run_case(
    unit: Unit,
    case: Case,
    method: Method,
    store: FeatureStore,
    upscale: float | None = None,
) -> Outcome:
    """Apply a method to one case and measure what comes out.

    Parameters
    ----------
    unit, case, method, store, upscale
        As `score_case`.

    Returns
    -------
    Outcome
    """
    scored = score_case(unit, case, method, store, upscale)
    _, objects = ndi.label(scored.mask, np.ones((3, 3)))
    return Outcome(
        **_agreement(scored, None if case.stain in EMPTY else unit.target.truth),
        threshold_own=float(scored.threshold),
        objects=int(objects),
        pixels=int(np.count_nonzero(scored.mask)),
        above=int(np.count_nonzero(scored.map > scored.threshold)),
        seconds=scored.seconds,
    )


def _agreement(scored: Scored, truth: NDArray[np.bool_] | None) -> dict[str, float]:
    if truth is None:
        names = ("iou_best", "threshold_best", "boundary_best", "iou_own")
        return dict.fromkeys((*names, "boundary_own"), math.nan)
    best = best_iou(scored.map, truth)
    best_mask = scored.map > np.float32(best.threshold)
    return {
        "iou_best": best.iou,
        "threshold_best": best.threshold,
        "boundary_best": boundary_f_score(best_mask, truth),
        "iou_own": measure_agreement(scored.mask, truth).iou,
        "boundary_own": boundary_f_score(scored.mask, truth),
    }


@lru_cache(maxsize=8)
def _image(plane: Plane, stain: str) -> NDArray[np.generic]:
    return plane.image(stain)
