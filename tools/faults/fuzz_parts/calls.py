"""The public functions, tried on whatever is drawn."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

import napari_dinoprompt as dp
from napari_dinoprompt.core.images.intensity import IntensityWindow
from napari_dinoprompt.core.io.atomic import clean_name, free_name

from . import choices, subjects
from .checks import (
    check_features,
    check_map,
    check_segmentation,
    expect,
    no_data_of,
    same,
    unchanged,
)
from .pictures import Picture, pictures

Case = dict[str, Any]


def _cases(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    return st.fixed_dictionaries(parts)


def _bytes_of(image: Any) -> bytes:
    return np.asarray(image).tobytes()


WINDOWS = _cases(picture=pictures(), lower=choices.any_floats, upper=choices.any_floats)


def try_window(case: Case) -> None:
    """`measure_window` and what it measures."""
    image = case["picture"].array()
    before = _bytes_of(image)
    window = dp.measure_window(image)
    expect(np.isfinite([window.low, window.high]).all(), "a window is finite")
    expect(window.low <= window.high, "a window is not upside down")
    shown = window.apply(np.asarray(image))
    expect(shown.dtype == np.float32, "windowed values are float32")
    expect(((shown >= 0) & (shown <= 1)).all(), "windowed values lie in [0, 1]")
    unchanged(image, before)
    dp.measure_window(image, lower=case["lower"], upper=case["upper"])


INTERVALS = _cases(
    low=choices.any_floats, high=choices.any_floats, picture=pictures(odd=False)
)


def try_interval(case: Case) -> None:
    """`IntensityWindow` of any two numbers."""
    shown = IntensityWindow(case["low"], case["high"]).apply(
        np.asarray(case["picture"].array())
    )
    expect(((shown >= 0) & (shown <= 1)).all(), "windowed values lie in [0, 1]")


FEATURES = _cases(
    picture=pictures(),
    backbone=st.sampled_from(subjects.BACKBONES),
    upscale=choices.upscales,
    window=st.none()
    | st.tuples(choices.any_floats, choices.any_floats)
    | st.just((0, 255)),
    twice=st.booleans(),
)
FeatureCase = Case


def try_features(case: Case) -> None:
    """`extract_features`."""
    image = case["picture"].array()
    before = _bytes_of(image)
    make = subjects.backbone(case["backbone"])
    options = {"upscale": case["upscale"], "window": case["window"]}
    found = dp.extract_features(image, make, **options)
    check_features(found, image)
    unchanged(image, before)
    if case["twice"]:
        same(found.vectors, dp.extract_features(image, make, **options).vectors)


@st.composite
def prompts(draw: st.DrawFn) -> Case:
    """Draw an image and prompts on it."""
    picture = draw(pictures(odd=False))
    points = draw(choices.point_lists(picture.shape))
    return {
        "picture": picture,
        "points": points,
        "classes": draw(choices.class_lists(len(points))),
        "backbone": draw(st.sampled_from(subjects.BACKBONES)),
        "thresholds": draw(
            st.dictionaries(choices.names, choices.any_floats, max_size=2)
        ),
    }


PromptCase = Case


def try_prompts(case: Case) -> None:
    """`Reference.from_prompts`, and all that a reference can do."""
    image = case["picture"].array()
    features = dp.extract_features(image, subjects.backbone(case["backbone"]))
    found = dp.Reference.from_prompts(features, case["points"], case["classes"])
    _check_reference(found, len(case["points"]))
    for name in found.class_names:
        check_map(dp.similarity_map(features, found, name), no_data_of(image))
    with tempfile.TemporaryDirectory() as folder:
        again = dp.Reference.load(found.save(Path(folder) / "a"))
    expect((again.vectors == found.vectors).all(), "what is saved is read again")
    _check_reference(again, len(case["points"]))
    _check_reference(found + again, None)
    if case["thresholds"]:
        found.with_thresholds(case["thresholds"])


def _check_reference(found: dp.Reference, count: int | None) -> None:
    expect(np.isfinite(found.vectors).all(), "vectors are finite")
    expect(count is None or len(found.vectors) == count, "one vector per prompt")
    expect(np.isfinite(found.unit_vectors()).all(), "unit vectors are finite")
    expect(
        set(found.auto_thresholds) == set(found.object_classes),
        "a threshold per object class",
    )
    for value in found.auto_thresholds.values():
        expect(np.isfinite(value) and abs(value) <= 2, f"threshold {value}")
    for name in found.class_names:
        length = np.linalg.norm(found.prototype(name))
        expect(length < 1e-6 or abs(length - 1) < 1e-3, "a prototype has length 1")
        alone = found.leave_one_out(name)
        expect(np.isfinite(alone).all(), "similarities of prompts are finite")


SEGMENTS = _cases(
    picture=pictures(),
    source=st.sampled_from(subjects.REFERENCES),
    classes=st.none() | st.just(("object", "object", "b", "background", "b")),
    options=choices.options(),
    like=st.none() | st.none() | pictures(),
    twice=st.booleans(),
)
SegmentCase = Case


def try_segment(case: Case) -> None:
    """`segment`."""
    image = case["picture"].array()
    before = _bytes_of(image)
    reference = subjects.reference(case["source"], case["classes"])
    make = subjects.backbone_of(case["source"])
    options = choices.make_options(case["options"])
    like = None if case["like"] is None else case["like"].array()
    if like is not None and options.window in ("reference", "image"):
        options = replace(options, window="histogram")
    found = dp.segment(image, reference, make, options, like=like)
    check_segmentation(found, image, reference)
    unchanged(image, before)
    if case["twice"]:
        again = dp.segment(image, reference, make, options, like=like)
        same(found.similarity, again.similarity)
        same(found.instances, again.instances)


NAMES = st.lists(choices.names, min_size=1, max_size=4)


def try_names(case: list[str]) -> None:
    """Names that people give, as names of files."""
    from napari_dinoprompt.core.comparison.report import comparison_paths

    cleaned = [clean_name(name) for name in case]
    for name in cleaned:
        expect(name and name == name.strip(), "a name is not empty")
        expect(not set(name) & set('/\\:*?"<>|\0\n'), "a name is one of a file")
        expect(not name.startswith("."), "a name is not hidden")
        expect(len(name.encode()) < 200, "a name is short enough")
        free_name(name, cleaned)
    folder = Path("/folder")
    paths = comparison_paths(folder, case)
    expect(len(set(paths)) == len(paths), "no two files of one name")
    for path in paths:
        expect(path.parent == folder, "files stay in their folder")
        expect(len(path.name.encode()) < 250, "names of files are short enough")


def picture_of(shape: tuple[int, ...] = (24, 24)) -> Picture:
    """Return a plain image."""
    return Picture("spots", shape, "u1", 1)
