"""A suggested next prompt against a random one, labelled by the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import napari_dinoprompt as dp
from napari_dinoprompt.core.similarities import score
from napari_dinoprompt.core.studying.subsets import iou
from napari_dinoprompt.core.studying.suggestion import suggest
from study_parts.cases import Case, subject_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features import FeatureMap

__all__ = ["places_rows"]

_START = 3
_ADDED = 3


def places_rows(case: Case, backbone: Backbone) -> list[dict[str, object]]:
    """Start with three prompts on objects and add three, in five draws."""
    features = dp.extract_features(case.image, backbone, upscale=case.upscale(backbone))
    rules = ("change", "crowd", "nearest", "random place", "random object")
    gains: dict[str, list[list[float]]] = {rule: [] for rule in rules}
    starts = []
    for number in range(len(case.draws)):
        points = case.draws[number].objects[:_START]
        first = _iou(case, features, points, ("object",) * _START)
        starts.append(first)
        for rule in rules:
            curve = _add(case, features, number, rule)
            gains[rule].append([value - first for value in curve])
    rows: list[dict[str, object]] = []
    for rule in rules:
        found = np.array(gains[rule])
        row: dict[str, object] = {
            "image": case.name,
            "backbone": backbone.info.name,
            "next prompt": rule,
            "IoU of 3": round(float(np.mean(starts)), 3),
        }
        for added in range(_ADDED):
            row[f"gain of {added + 1} more"] = round(float(found[:, added].mean()), 3)
        row["draws that gain by 3"] = int((found[:, -1] > 0).sum())
        row["draws"] = len(found)
        rows.append(row)
    return rows


def _add(case: Case, features: FeatureMap, number: int, rule: str) -> list[float]:
    draw = case.draws[number]
    points = draw.objects[:_START]
    classes = ("object",) * _START
    rng = np.random.default_rng(number)
    curve = []
    for added in range(_ADDED):
        if rule == "random object":
            place = draw.objects[_START + added]
        elif rule == "random place":
            place = rng.uniform(0, np.asarray(case.truth.shape) - 1)
        else:
            subject = subject_of(case, features, points, classes, with_truth=False)
            found = suggest(subject, rule=rule, count=1)  # type: ignore[arg-type]
            if not found.places:
                curve.append(_iou(case, features, points, classes))
                continue
            place = np.array(found.places[0].point)
        y, x = np.rint(place).astype(int)
        classes = (*classes, "object" if case.truth[y, x] else "background")
        points = np.concatenate((points, place[None]))
        curve.append(_iou(case, features, points, classes))
    return curve


def _iou(
    case: Case,
    features: FeatureMap,
    points: NDArray[np.float64],
    classes: tuple[str, ...],
) -> float:
    reference = dp.Reference.from_prompts(features, points, classes)
    mask = score(features, reference).mask(reference.auto_thresholds)
    return iou(mask != 0, case.truth)
