"""The public functions that do more than one plane, or one at a time in parts."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import strategies as st

import napari_dinoprompt as dp
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.prompt_study.report import PARTS as PARTS_OF_STUDY

from . import choices, subjects
from .checks import check_numbering, check_segmentation, expect
from .pictures import Picture, pictures, stacks

Case = dict[str, Any]


def _cases(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    return st.fixed_dictionaries(parts)


PARTS = _cases(
    picture=pictures(),
    source=st.sampled_from(["uint8", "float", "flat", "toy"]),
    classes=st.none() | st.just(("object", "object", "b", "background", "b")),
    options=choices.options(),
)


def try_parts(case: Case) -> None:
    """`segment` of a plane that is too large to hold; here any is."""
    image = case["picture"].array()
    reference = subjects.reference(case["source"], case["classes"])
    with patch("napari_dinoprompt.core.features.extraction._WHOLE_BYTES", 0):
        found = dp.segment(
            image,
            reference,
            subjects.backbone_of(case["source"]),
            choices.make_options(case["options"]),
        )
        expect(isinstance(found, dp.LargeSegmentation), "it went part by part")
        check_segmentation(found, image, reference)


@st.composite
def lazy_cases(draw: st.DrawFn) -> Case:
    """Draw an image and places on it."""
    picture = draw(pictures())
    return {
        "picture": picture,
        "backbone": draw(st.sampled_from(subjects.BACKBONES)),
        "upscale": draw(choices.upscales),
        "points": draw(choices.point_lists(picture.shape)),
    }


def try_lazy(case: Case) -> None:
    """`lazy_features` and what it can be asked."""
    found = dp.lazy_features(
        case["picture"].array(),
        subjects.backbone(case["backbone"]),
        upscale=case["upscale"],
    )
    statistics = found.measures.statistics
    expect(np.isfinite(statistics.mean).all(), "the mean is finite")
    points = np.array(case["points"][:6], dtype=float).reshape(-1, 2)
    vectors = found.at(points)
    expect(vectors.shape == (len(points), found.backbone.dimension), "a vector each")
    expect(np.isfinite(vectors).all(), "vectors are finite")
    if len(points):
        dp.Reference.from_prompts(found, points)


STACKS = _cases(
    stack=stacks(),
    source=st.sampled_from(subjects.REFERENCES),
    options=choices.options(),
    planes=st.none()
    | st.lists(st.tuples(st.integers(-1, 2)), max_size=2)
    | st.just([(0, 0)]),
    rgb=st.sampled_from([None, None, True, False]),
    like=st.none() | st.none() | pictures(),
    stored=st.booleans(),
)


def try_stack(case: Case) -> None:
    """`segment_stack`, in memory and in a store."""
    stack = case["stack"].array()
    reference = subjects.reference(case["source"])
    with tempfile.TemporaryDirectory() as folder:
        found = dp.segment_stack(
            stack,
            reference,
            subjects.backbone_of(case["source"]),
            choices.make_options(case["options"]),
            planes=case["planes"],
            rgb=case["rgb"],
            like=None if case["like"] is None else case["like"].array(),
            store=f"{folder}/store" if case["stored"] else None,
        )
        mask, numbers = np.asarray(found.mask[...]), np.asarray(found.instances[...])
    check_numbering(mask, numbers, 1)
    expect(mask.shape == found.similarity.shape, "results have one shape")


VOLUMES = _cases(
    shape=st.lists(st.sampled_from([1, 2, 3, 7, 12]), min_size=3, max_size=4)
    | st.lists(st.sampled_from([0, 1, 2, 3, 7, 12]), min_size=0, max_size=4),
    dtype=st.sampled_from(["u1", "u1", "u1", "?", "i4", "f4", "u2"]),
    kind=st.sampled_from(["random", "sparse", "full", "empty", "boxes"]),
    seed=st.integers(0, 99),
    cleaning=choices.cleanings,
    spacing=choices.spacings,
    holes=st.booleans(),
)


def try_volume(case: Case) -> None:
    """`finish_volume`."""
    rng = np.random.default_rng(case["seed"])
    shape = tuple(case["shape"])
    values = {
        "random": lambda: rng.integers(0, 3, shape),
        "sparse": lambda: (rng.random(shape) > 0.9) * rng.integers(1, 3, shape),
        "full": lambda: np.ones(shape),
        "empty": lambda: np.zeros(shape),
        "boxes": lambda: (
            np.indices(shape).sum(axis=0) % 5 > 0 if shape else np.ones(())
        ),
    }[case["kind"]]()
    mask = np.asarray(values).astype(case["dtype"])
    before = mask.copy()
    missing = rng.random(shape) > 0.8 if case["holes"] else None
    cleaned, numbers = dp.finish_volume(
        mask, Cleaning(*case["cleaning"]), case["spacing"], missing
    )
    check_numbering(cleaned, numbers, 255)
    expect(missing is None or not cleaned[missing].any(), "no object without data")
    expect((mask == before).all(), "the input is not changed")


COMPARISONS = _cases(
    real=pictures(),
    fakes=st.lists(pictures(), max_size=2)
    | st.lists(pictures(), min_size=1, max_size=2),
    same_size=st.sampled_from([True, True, True, False]),
    source=st.sampled_from(subjects.REFERENCES),
    options=choices.options(),
    truth=st.none() | pictures(),
    names=st.none() | st.none() | st.lists(choices.names, max_size=3),
    draws=st.sampled_from([0, 0, 0, 2, 2, 3, 3, 1, -1]),
    seed=st.sampled_from([0, 7, -1, 2**70]),
    saved=st.booleans(),
)


def try_comparison(case: Case) -> None:
    """`compare` and its files."""

    def shaped(one: Picture | None) -> Any:
        if one is None:
            return None
        if case["same_size"] and len(case["real"].shape) >= 2:
            one = replace(one, shape=case["real"].shape[:2])
        return one.array()

    found = dp.compare(
        case["real"].array(),
        [shaped(one) for one in case["fakes"]],
        subjects.reference(case["source"]),
        backbone=subjects.backbone_of(case["source"]),
        truth=shaped(case["truth"]),
        options=choices.make_options(case["options"]),
        names=case["names"],
        draws=case["draws"],
        seed=case["seed"],
    )
    shape = found.real.mask.shape
    expect(found.agreement.shape == shape, "maps have the shape of the real")
    expect(len(found.reports) == len(case["fakes"]), "one report per fake")
    for row in found.table:
        for key in ("iou", "dice"):
            value = row.get(key, 0.0)
            expect(np.isnan(value) or 0 <= value <= 1, f"{key} is {value}")
    if case["saved"]:
        with tempfile.TemporaryDirectory() as folder:
            for path in found.save(folder):
                expect(path.is_file(), "what is named is there")


@st.composite
def study_cases(draw: st.DrawFn) -> Case:
    """Draw an image, prompts, and what is to be studied."""
    picture = draw(pictures())
    points = draw(choices.point_lists(picture.shape))
    return {
        "picture": picture,
        "points": points[:8],
        "classes": draw(choices.class_lists(len(points[:8]))),
        "truth": draw(st.none() | pictures(odd=False)),
        "upscale": draw(choices.upscales),
        "orders": draw(st.sampled_from([3, 1, 0, -1])),
        "upscales": draw(st.lists(choices.upscales, max_size=2)),
        "parts": draw(
            st.lists(
                st.sampled_from([*PARTS_OF_STUDY, *PARTS_OF_STUDY, "other"]),
                min_size=draw(st.sampled_from([0, 1, 1, 1])),
                max_size=3,
            )
        ),
        "seed": draw(st.sampled_from([0, 7, -1, 2**70])),
        "saved": draw(st.booleans()),
    }


def try_study(case: Case) -> None:
    """`study` and its files."""
    truth = case["truth"]
    if truth is not None and len(case["picture"].shape) >= 2:
        truth = replace(truth, shape=case["picture"].shape[:2])
    found = dp.study(
        case["picture"].array(),
        case["points"],
        case["classes"],
        subjects.backbone("filterbank"),
        truth=None if truth is None else truth.array(),
        upscale=case["upscale"],
        orders=case["orders"],
        upscales=case["upscales"],
        parts=case["parts"],
        seed=case["seed"],
    )
    for line in found.sentences:
        expect(line and "\n" not in line, "answers are sentences")
    if case["saved"]:
        with tempfile.TemporaryDirectory() as folder:
            for path in found.save(folder):
                expect(path.is_file(), "what is named is there")
