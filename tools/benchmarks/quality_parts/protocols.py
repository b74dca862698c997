"""The quality protocol: which prompts on which plane are applied where."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from napari_dinoprompt.core.backbones.load import FILTERBANK
from napari_dinoprompt.core.comparison.metrics import measure_agreement
from napari_dinoprompt.core.prompts import BACKGROUND, OBJECT
from quality_parts.cases import APART, CORRECTIONS, Case, Outcome, Unit
from quality_parts.data import FAKES, IMAGE, MITO_SETS, STAIN_SETS
from quality_parts.fakes import EMPTY, draw_empty
from quality_parts.figures import best_iou, boundary_f_score
from quality_parts.scorings import fitted_upscale
from quality_parts.store import protocol_upscale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from quality_parts.data import Plane
    from quality_parts.methods import Method, Scored
    from quality_parts.store import FeatureStore


AUTO = "auto"
PROTOCOLS = ("self", "correct", "transfer", "stain")
USUAL = 5
"""Prompts of the transfer and stain protocols, and background prompts added."""
_BEFORE_CORRECTION, _CORRECTING = 3, 2


def plan_units(
    planes: Sequence[Plane],
    protocols: Sequence[str],
    prompts: Sequence[int],
    draws: int | None,
) -> list[Unit]:
    """Write down everything that a protocol asks for.

    Parameters
    ----------
    planes : sequence of Plane
    protocols : sequence of str
        Of `PROTOCOLS`.
    prompts : sequence of int
        Numbers of prompts of the self protocol.
    draws : int or None
        The first so many; None is all.

    Returns
    -------
    list of Unit
        All that concern a plane follow each other.
    """
    units = []
    for plane in planes:
        first = next(one for one in planes if one.set_name == plane.set_name)
        target = {
            "self": plane.set_name not in STAIN_SETS,
            "correct": plane.set_name not in STAIN_SETS,
            "transfer": plane.set_name in MITO_SETS and plane is not first,
            "stain": plane.set_name in STAIN_SETS,
        }
        for protocol in protocols:
            if target[protocol]:
                source = first if protocol == "transfer" else plane
                cases = tuple(
                    case
                    for placed, drawn in source.draws.items()
                    for case in _cases(
                        protocol, plane, placed, range(len(drawn))[:draws], prompts
                    )
                )
                units.append(Unit(protocol, source, plane, cases))
    return units


def _cases(
    protocol: str,
    plane: Plane,
    placed: str,
    draws: range,
    prompts: Sequence[int],
) -> list[Case]:
    if protocol == "self":
        counts = [*((k, 0) for k in prompts), (USUAL, USUAL)]
        return [Case(IMAGE, placed, *count, draw) for count in counts for draw in draws]
    if protocol == "correct":
        return [
            Case(IMAGE, placed, _BEFORE_CORRECTION, count, draw, where)
            for where, count in (
                ("", 0),
                *((where, _CORRECTING) for where in CORRECTIONS),
            )
            for draw in draws
        ]
    stains = [IMAGE]
    if protocol == "stain":
        stains = [name for name in (IMAGE, *FAKES) if name in plane.files] + [*EMPTY]
    return [Case(stain, placed, USUAL, 0, draw) for stain in stains for draw in draws]


def score_case(
    unit: Unit,
    case: Case,
    method: Method,
    store: FeatureStore,
    upscale: float | str | None = None,
) -> Scored:
    """Apply a method to one case.

    Parameters
    ----------
    unit : Unit
    case : Case
        Of the unit.
    method : Method
    store : FeatureStore
    upscale : float or "auto", optional
        Instead of the protocol's; auto goes by the objects that the prompts are on.

    Returns
    -------
    Scored
    """
    plane = unit.source
    prompted = _image(plane, IMAGE)
    draw = plane.draws[case.placed][case.draw]
    objects = draw.objects[: case.prompts]
    backbone = store.backbone.info.name
    if upscale == AUTO:
        upscale = 1.0
        if backbone != FILTERBANK:
            found = [OBJECT] * len(objects)
            upscale = fitted_upscale(store.features(prompted, 1.0), objects, found)
    elif upscale is None:
        upscale = protocol_upscale(plane.set_name, prompted.shape, backbone)
    source = store.features(prompted, float(upscale))
    if case.stain in EMPTY:
        image = draw_empty(case.stain, prompted, source.window)
    else:
        image = _image(unit.target, case.stain)
    # As the product does by default: what the prompts saw as 0 and 1 is kept.
    same = case.stain == IMAGE and unit.target is plane
    target = source
    if not same:
        target = store.features(image, float(upscale), source.window)

    def score_with(around: NDArray[np.float64]) -> Scored:
        return method.score(
            source=source,
            target=target,
            image=image,
            points=np.concatenate([objects, around]),
            classes=[OBJECT] * len(objects) + [BACKGROUND] * len(around),
        )

    if not case.corrects:
        return score_with(draw.background[: case.background])
    found = score_with(np.empty((0, 2))).mask
    wrong = wrong_places(found, plane.truth, apart=case.corrects == APART)
    return score_with(wrong[: case.background])


def wrong_places(
    mask: NDArray[np.bool_], truth: NDArray[np.bool_], *, apart: bool
) -> NDArray[np.float64]:
    """Find the middles of what a mask finds wrongly, the largest region first.

    Parameters
    ----------
    mask, truth : (H, W) ndarrays of bool
    apart : bool
        Leave out regions that touch a true object.

    Returns
    -------
    (N, 2) ndarray of float64
        y and x of the pixel of each region that lies furthest inside it.
    """
    eight = np.ones((3, 3))
    regions, count = ndi.label(mask & ~truth, eight)
    numbers = np.arange(1, count + 1)
    if apart:
        touching = np.unique(regions[ndi.binary_dilation(truth, eight)])
        numbers = np.setdiff1d(numbers, touching)
    sizes = np.bincount(regions.ravel(), minlength=count + 1)[numbers]
    numbers = numbers[np.argsort(-sizes, kind="stable")]
    depth = ndi.distance_transform_edt(np.pad(regions > 0, 1))[1:-1, 1:-1]
    places = ndi.maximum_position(depth, regions, numbers) if len(numbers) else []
    return np.array(places, dtype=np.float64).reshape(-1, 2)


def run_case(
    unit: Unit,
    case: Case,
    method: Method,
    store: FeatureStore,
    upscale: float | str | None = None,
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
