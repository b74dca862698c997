"""How far the answer without a truth is from that with one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

import napari_dinoprompt as dp
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.prompt_study.convergence import (
    iter_convergence,
    stop_without_truth,
)
from napari_dinoprompt.core.prompt_study.prompt_maps import (
    Subset,
    iou,
    make_prompt_maps,
)
from napari_dinoprompt.core.prompt_study.subject import make_subject
from napari_dinoprompt.core.prompt_study.threshold import iter_threshold
from study_parts.cases import Case, lay_out, subject_of

if TYPE_CHECKING:
    from quality_parts.data import Draw

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features.feature_map import FeatureMap


_SHOWN = (1, 2, 3, 5, 10)
_MEDIAN = 2
_THRESHOLDS = ("automatic", "best", "most informative")
_IOUS = (
    "IoU automatic",
    "IoU plateau",
    "IoU informative",
    "IoU best",
    "IoU on the grid",
)


def curves_rows(case: Case, backbone: Backbone, orders: int) -> list[dict[str, object]]:
    """Study convergence with the first draw, without and with background prompts."""
    features = dp.extract_features(case.image, backbone, upscale=case.upscale(backbone))
    rows: list[dict[str, object]] = []
    for grounds in (0, 5):
        draw = case.draws[0]
        points, classes = lay_out(draw.objects, draw.background[:grounds])
        subject = subject_of(case, features, points, classes)
        found = run_to_end(iter_convergence(subject, orders=orders))
        shown = (*_SHOWN, len(draw.objects))
        enough, truth = found.enough, found.enough_by_truth
        # What is given up by stopping where the label-free answer says.
        stop = (enough or len(found.counts)) - 1
        row: dict[str, object] = {
            "image": case.name,
            "backbone": backbone.info.name,
            "background prompts": grounds,
            **{f"IoU at {k}": round(found.score[_MEDIAN, k - 1], 3) for k in shown},
            **{f"change at {k}": round(found.change[_MEDIAN, k - 1], 3) for k in shown},
            "enough, label-free": enough or "not yet",
            "enough, truth": truth,
            "IoU given up": round(
                float(found.score[_MEDIAN].max() - found.score[_MEDIAN, stop]), 3
            ),
        }
        for tolerance in (0.02, 0.1):
            other = stop_without_truth(found.change[_MEDIAN], tolerance)
            row[f"enough at {tolerance:.0%}"] = other or "not yet"
        rows.append(row)
    return rows


def threshold_rows(case: Case, backbone: Backbone) -> list[dict[str, object]]:
    """Cut the maps of five prompts at all thresholds; means over the draws."""
    features = dp.extract_features(case.image, backbone, upscale=case.upscale(backbone))
    cuts = [_cut(case, draw, features) for draw in case.draws]
    row: dict[str, object] = {"image": case.name, "backbone": backbone.info.name}
    for name in _THRESHOLDS:
        values = [cut[name] for cut in cuts]
        row[name] = f"{min(values):.2f} to {max(values):.2f}"
    ious = np.array([[cut[name] for name in _IOUS] for cut in cuts])
    row["plateaus"] = int(np.isfinite(ious[:, _IOUS.index("IoU plateau")]).sum())
    for name, values in zip(_IOUS, ious.T, strict=True):
        there = values[np.isfinite(values)]
        row[name] = round(float(there.mean()), 3) if len(there) else ""
    row["least IoU automatic"] = round(min(cut["IoU automatic"] for cut in cuts), 3)
    return [row]


def _cut(case: Case, draw: Draw, features: FeatureMap) -> dict[str, float]:
    points, classes = lay_out(draw.objects[:5], np.zeros((0, 2)))
    subject = subject_of(case, features, points, classes)
    found = run_to_end(iter_threshold(subject))
    maps = make_prompt_maps(subject)
    grid = Subset(maps, range(maps.count)).find()
    low, high = found.plateau or (np.nan, np.nan)
    middle = (low + high) / 2
    return {
        "automatic": found.automatic,
        "best": found.best,
        "most informative": found.most_informative,
        "IoU automatic": found.at(found.automatic, found.iou),
        "IoU plateau": (
            np.nan if found.plateau is None else found.at(middle, found.iou)
        ),
        "IoU informative": found.at(found.most_informative, found.iou),
        "IoU best": float(found.iou.max()),
        "IoU on the grid": iou(grid.mask, maps.truth),
    }


def timing_rows(backbone: Backbone) -> list[dict[str, object]]:
    """Time 200 orders of 20 prompts on a plane of 1024 x 1024."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:1024, :1024] % 64 - 32
    truth = y**2 + x**2 < 15**2
    image = (30 + 150 * truth + rng.normal(0, 12, truth.shape)).clip(0, 255)
    features = dp.extract_features(image.astype(np.uint8), backbone)
    inside, outside = np.argwhere(truth), np.argwhere(~truth)
    rows: list[dict[str, object]] = []
    for grounds in (0, 5):
        points, classes = lay_out(
            rng.permutation(inside)[:20].astype(np.float64),
            rng.permutation(outside)[:grounds].astype(np.float64),
        )
        reference = dp.Reference.from_prompts(features, points, classes)
        subject = make_subject(features, reference, truth=truth)
        started, worked = time.perf_counter(), time.process_time()
        found = run_to_end(iter_convergence(subject, orders=200))
        rows.append(
            {
                "backbone": backbone.info.name,
                "cells": " x ".join(map(str, features.grid.cells)),
                "background prompts": grounds,
                "orders": found.orders,
                "seconds": round(time.perf_counter() - started, 1),
                "seconds of processor": round(time.process_time() - worked, 1),
            }
        )
    return rows
