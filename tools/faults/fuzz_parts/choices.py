"""Points, classes, numbers and options as people give them, and as nobody should."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from napari_dinoprompt.core.images.intensity import IntensityWindow
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.segmentation.segment import SegmentOptions

_NAMES = (
    *("object", "background", "nucleus", "", " ", "Zellkern ü", "細胞核", "a" * 3000),
    *("..", "../x", "/etc/passwd", "C:\\x", "CON", "a\0b", "a\nb", "=1+1", "@x", "-"),
    *("{0}", "%s", "[red]", "\ud800", "a\u202eb", "real", "fake"),
)
names = st.sampled_from(_NAMES) | st.text(max_size=8)
"""Names of classes, fakes and sources."""

any_floats = st.floats() | st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 0.5, 1e-3, 1e6, 1e-320, 1e308, math.nan, math.inf]
)
upscales = st.sampled_from(
    [1.0, 1.0, 1, 2.0, 0.5, 0.37, 3.3, 1e-3, 1e6, 0, -1.0, math.nan, math.inf, 1e-300]
) | st.floats(0.05, 4)
thresholds = st.none() | st.floats(-1, 1) | st.floats(-1, 1) | any_floats


def point_lists(shape: tuple[int, ...]) -> st.SearchStrategy[list[tuple[float, float]]]:
    """Draw points on a plane, and elsewhere, and many."""
    height, width = (*shape[:2], 1, 1)[:2] if len(shape) < 2 else shape[:2]
    inside = st.tuples(
        st.floats(-0.5, max(-0.5, height - 0.5)),
        st.floats(-0.5, max(-0.5, width - 0.5)),
    )
    odd = st.tuples(any_floats, any_floats)
    few = st.lists(inside, min_size=1, max_size=5)
    return (
        few
        | few
        | few
        | inside.map(lambda point: [point] * 4)
        | st.lists(inside | odd, max_size=3)
        | st.integers(0, 99).map(lambda seed: many_points(seed, height, width))
    )


def many_points(seed: int, height: int, width: int) -> list[tuple[float, float]]:
    """Return 1000 points."""
    rng = np.random.default_rng(seed)
    return [
        (float(y), float(x))
        for y, x in rng.uniform(-0.5, (height - 0.5, width - 0.5), (1000, 2))
    ]


def class_lists(count: int) -> st.SearchStrategy[list[str] | None]:
    """Draw the classes of some points, or none."""
    usual = st.sampled_from(["object", "object", "nucleus", "background"])
    if count > 20:
        return st.none() | names.map(lambda name: [name] * count)
    return (
        st.none()
        | st.lists(usual, min_size=count, max_size=count)
        | st.lists(names, min_size=count, max_size=count)
        | st.lists(names, max_size=count + 1)
        | st.just(["background"] * count)
    )


windows = (
    st.sampled_from(["reference", "image", "image", "histogram"])
    | st.sampled_from(["other", "", (1, 2, 3), 7])
    | st.tuples(st.integers(0, 100), st.integers(0, 60000))
    | st.tuples(any_floats, any_floats)
    | st.builds(IntensityWindow, st.floats(-1e3, 0), st.floats(1, 1e5))
)

_sizes = st.sampled_from([0, 0, 1, 2, 2, 5, 20, 20, 10**9, -1, 2.5, math.nan])
cleanings = st.tuples(_sizes, st.booleans(), st.booleans())
"""What `Cleaning` is made of."""

_SPACINGS: tuple[object, ...] = (
    *((1.0, 1.0, 1.0), (3.0, 0.5, 0.5), (1e5, 1, 1), (1.0, 1e9, 1.0), (1e300,) * 3),
    *((0, 1, 1), (1, 1), (1e-300, 1.0, 1.0), (math.nan,) * 3, "abc"),
)
spacings = st.sampled_from(_SPACINGS)


@st.composite
def options(draw: st.DrawFn) -> dict[str, object]:
    """Draw options of `segment`, mostly the usual ones."""
    found: dict[str, object] = {}
    if draw(st.booleans()):
        found["window"] = draw(windows)
    if draw(st.booleans()):
        found["threshold"] = draw(thresholds)
    if draw(st.booleans()):
        found["cleaning"] = draw(cleanings)
    if draw(st.integers(0, 3)) == 3:
        found["objects_3d"] = True
        found["spacing"] = draw(st.none() | spacings)
    return found


def make_options(said: dict[str, object]) -> SegmentOptions:
    """Make options of what was drawn; they may refuse."""
    made = dict(said)
    if "cleaning" in made:
        made["cleaning"] = Cleaning(*made["cleaning"])  # type: ignore[misc]
    return SegmentOptions(**made)  # type: ignore[arg-type]
