"""Inputs that once crashed something: used now, or refused in one line."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fuzz_parts.damage import Edit
from fuzz_parts.pictures import Picture
from fuzz_parts.targets import TARGETS
from fuzz_parts.verdict import judge

PATIENCE = 200.0

SPOTS = Picture("spots", (24, 20), "u1", 1)
HUGE = Picture("extremes", (31, 64), "<f8", 7)
MASKED = Picture("spots", (24, 20), "u1", 1, "masked")


def volume(**said: Any) -> dict[str, Any]:
    return {
        "shape": [7, 7, 7],
        "dtype": "u1",
        "kind": "random",
        "seed": 11,
        "cleaning": (2, True, True),
        "spacing": (1.0,) * 3,
        "holes": False,
        **said,
    }


def features(picture: Picture, **said: Any) -> dict[str, Any]:
    plain = {"backbone": "filterbank", "upscale": 1, "window": None, "twice": True}
    return {"picture": picture, **plain, **said}


def segment(picture: Picture, **said: Any) -> dict[str, Any]:
    plain = {"source": "uint8", "classes": None, "options": {}, "like": None}
    return {"picture": picture, **plain, "twice": False, **said}


def prompts(*classes: Any, **said: Any) -> dict[str, Any]:
    points = [(3.0, 4.0 + n) for n in range(len(classes))]
    plain = {"picture": SPOTS, "points": points, "backbone": "filterbank"}
    return {**plain, "classes": list(classes), "thresholds": {}, **said}


def compare(**said: Any) -> dict[str, Any]:
    plain = {"real": SPOTS, "fakes": [SPOTS], "same_size": False, "source": "flat"}
    rest = {"options": {}, "truth": None, "names": None, "draws": 0, "seed": 0}
    return {**plain, **rest, "saved": False, **said}


def study(**said: Any) -> dict[str, Any]:
    plain = {"picture": SPOTS, "points": [(3.0, 4.0), (9.0, 9.0)], "classes": None}
    rest = {"truth": None, "upscale": 1.0, "orders": 1, "upscales": []}
    return {
        **plain,
        **rest,
        "parts": ["convergence"],
        "seed": 0,
        "saved": False,
        **said,
    }


def tiff(kind: str, *edits: Edit, other: str = "plain") -> dict[str, Any]:
    return {"kind": kind, "other": other, "edits": edits, "content": None}


def store(which: int, edit: Edit) -> dict[str, Any]:
    return {"which": which, "edits": (edit,)}


# Target, input, and what is said against it; empty where it is used.
SEEDS: list[tuple[str, Any, str]] = [
    # numpy refused percentiles in its own words.
    *(
        ("window", {"picture": SPOTS, "lower": low, "upper": high}, "Percentiles lie")
        for low, high in [(-1.0, 50.0), (0.0, 101.0), (math.nan, 50.0), (60.0, 50.0)]
    ),
    # Windows narrower, wider or further away than single precision can tell.
    *(
        ("interval", {"low": low, "high": high, "picture": picture}, "")
        for low, high, picture in [
            (-1.4e-107, 0.0, Picture("spots", (1, 1), "?")),
            (1e-320, 4.3e-58, Picture("extremes", (1, 9), "?", 87)),
            (0.0, 1e-320, Picture("extremes", (17, 2, 1), "<u8", 173)),
            (-3.2e16, 4.7e153, Picture("spots", (1, 9), ">f2", 112)),
            (4.1e203, 4.1e203, Picture("zeros", (3, 3), "i1", 220)),
            (-1.7e308, 1.7e308, HUGE),
        ]
    ),
    ("features", features(SPOTS, window=(-4.9e128, 0.5)), ""),
    ("features", features(SPOTS, window=(-9.3e-60, 4.1e-252)), ""),
    # 80 bits have no place in a hash; no camera gives them.
    ("features", features(Picture("stripes", (3, 17), "g", 200)), "numbers are needed"),
    # Squares and sums of the largest numbers are infinite.
    ("segment", segment(HUGE, source="uint16"), ""),
    ("compare", compare(real=HUGE, fakes=[HUGE]), ""),
    # What is masked is no data.
    ("segment", segment(MASKED), ""),
    ("parts", segment(MASKED), ""),
    # Names of classes that broke the line, or could not be saved later.
    ("prompts", prompts("object", "a\nb"), "A class is a text"),
    ("prompts", prompts("object", "\ud800"), "A class is a text"),
    ("prompts", prompts("a" * 3000), "A class is a text"),
    ("prompts", prompts("object", 7), "A class is a text"),
    ("prompts", prompts("a\u202eb", thresholds={"x\n": 0.5}), "has no class"),
    # Millions of tiles were listed before anybody said no.
    (
        "lazy",
        {
            "picture": SPOTS,
            "backbone": "filterbank",
            "upscale": 1e6,
            "points": [(1.0, 1.0)],
        },
        "too large at this upscale",
    ),
    # Masks of other types, none at all, and voxels of no shape.
    ("volume", volume(dtype="?"), ""),
    ("volume", volume(dtype="f4"), "A mask holds class numbers"),
    ("volume", volume(shape=[12, 1, 12, 0]), "is no volume"),
    ("volume", volume(spacing="abc"), "three distances above"),
    ("volume", volume(spacing=(1.0, 1e9, 1.0)), "too uneven"),
    ("volume", volume(cleaning=(2.5, False, False)), "The smallest object"),
    ("volume", volume(cleaning=(math.nan, True, True)), "The smallest object"),
    ("compare", compare(seed=-1), "The seed is a whole number"),
    ("study", study(seed=-1), "The seed is a whole number"),
    # A number, and then an image, are not the rows of one.
    (
        "compare",
        compare(
            fakes=[Picture("zeros", (), "<f4"), Picture("spots", (1, 8, 4), "<f2")]
        ),
        "rows are of different lengths",
    ),
    (
        "stack",
        {
            "stack": Picture("ramp", (3, 9, 9), ">f8"),
            "source": "uint8",
            "options": {},
            "planes": None,
            "rgb": None,
            "stored": True,
            "like": Picture("noise", (0, 3, 3), "<i4"),
        },
        "The image is empty",
    ),
    # Files of results that were longer than file systems allow.
    ("names", ["a" * 3000, "a" * 3000], ""),
    # TIFFs whose description contradicts itself or what they hold.
    ("tiff", tiff("float", Edit("byte", 0.0183, 181)), ""),
    ("tiff", tiff("bigtiff", Edit("remove", 0.0167, 1192), other="float"), "image"),
    (
        "tiff",
        tiff(
            "colour",
            *(Edit("remove", 0.102, 3072), Edit("byte", 0.16, 3194)),
            other="imagej",
        ),
        "image",
    ),
    ("tiff", tiff("predictor", Edit("head", 0.4079, 83480), other="jpeg"), ""),
    # Results of a stack that somebody has changed.
    ("store", store(0, Edit("flip", 0.0)), "are damaged"),
    ("store", store(2, Edit("remove", 0.5, 40)), "are damaged"),
    ("store", store(7, Edit("flip", 0.0)), ""),
    # An array that is none, where one has to be made.
    (
        "store",
        {
            "which": 0,
            "edits": (
                *(Edit("json", 0.2342, 84799), Edit("json", 0.9999, 2342)),
                Edit("json", 0.9999, 2342),
            ),
        },
        "are damaged",
    ),
    # What was quoted had no end.
    (
        "points",
        {
            "header": "index,axis-0," + "\0" * 3000,
            "text": "1,2,3",
            "edits": (),
            "content": None,
        },
        "the column … is missing",
    ),
    # Thousands of taps for a plane of a few pixels.
    ("features", features(Picture("spots", (1, 400), "<u2", 482), upscale=1e-3), ""),
    ("scheduler", "local:" + "9" * 5000, "--scheduler is local:N"),
    ("scheduler", "local:99999", "--scheduler is local:N"),
]


@pytest.mark.parametrize(("target", "case", "said"), SEEDS)
def test_what_once_crashed_is_used_or_refused(
    target: str, case: Any, said: str
) -> None:
    found = judge(lambda: TARGETS[target].attempt(case), PATIENCE)
    assert said in found
