"""Where a map is cut if nobody says where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage as ndi

from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.scoring.auto_threshold import (
    SourceMap,
    choose_threshold,
    most_prompted_planes,
    typical_similarity,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap

cosines = st.floats(-1, 1, width=32)
AGREE = np.full(5, 0.8, dtype=np.float32)
NONE = np.zeros(0, dtype=np.float32)


def look(values: NDArray[np.float32], slopes: NDArray[np.float32]) -> SourceMap:
    return SourceMap(values, slopes, peaks=NONE, at_prompts=AGREE)


def plateaus(low: float, high: float, width: float) -> SourceMap:
    """A map of discs with a soft rim: low outside, high inside."""
    discs = np.zeros((200, 200))
    discs[20::40, 20::40] = 1
    near = ndi.distance_transform_edt(discs == 0)
    values = low + (high - low) / (1 + np.exp((near - 12) / width))
    rng = np.random.default_rng(0)
    values += rng.normal(0, 0.01, values.shape)
    dy, dx = np.gradient(values)
    slopes = np.hypot(dy, dx)
    return look(values.ravel().astype(np.float32), slopes.ravel().astype(np.float32))


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.float32, st.integers(1, 6), elements=cosines),
    st.data(),
    arrays(np.float32, st.integers(0, 30), elements=cosines),
)
def test_whatever_the_source_auto_stays_near_what_is_typical(
    own: np.ndarray, data: st.DataObject, peaks: np.ndarray
) -> None:
    n = len(own) if len(own) > 1 else 0
    agreement = data.draw(arrays(np.float32, n, elements=cosines))
    values = data.draw(arrays(np.float32, st.integers(1, 30), elements=cosines))
    peaks = peaks[peaks > 0]
    shown = SourceMap(values, np.abs(values), peaks, at_prompts=own)
    threshold = choose_threshold(own, agreement, [shown], rarity=0.3)
    typical = typical_similarity(own, agreement, peaks=peaks, shown=own)
    assert 0 < typical <= 1
    assert 0.5 - 1e-5 <= threshold / typical <= 0.95 + 1e-5


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.9), (0.2, 0.8), (0.35, 0.85)])
@pytest.mark.parametrize("width", [1.0, 3.0])
@pytest.mark.parametrize("rarity", [0.1, 0.7])
def test_auto_cuts_at_the_rim(
    low: float, high: float, width: float, rarity: float
) -> None:
    threshold = choose_threshold(
        AGREE, AGREE, [plateaus(low, high, width)], rarity=rarity
    )
    middle = (low + high) / 2
    assert abs(threshold - max(middle, 0.5 * 0.8)) < 0.12


def test_better_agreement_gives_a_higher_auto_threshold() -> None:
    flat = look(np.linspace(-1, 1, 1000, dtype=np.float32), np.ones(1000, np.float32))
    low, high = (
        choose_threshold(AGREE, np.full(5, value, np.float32), [flat], rarity=0)
        for value in (0.4, 0.8)
    )
    assert low < high - 0.2


def test_a_lone_prompt_asks_the_best_matches_of_the_source() -> None:
    own, shown = np.ones(1, np.float32), np.full(1, 0.8, np.float32)
    strict, mild = (
        typical_similarity(own, NONE, peaks=np.full(9, p, np.float32), shown=shown)
        for p in (0.9, 0.5)
    )
    assert (strict, mild) == pytest.approx((0.72, 0.4))
    without = typical_similarity(own, NONE, peaks=NONE, shown=shown)
    assert without == pytest.approx(0.56)


def test_of_the_best_matches_only_comparable_ones_count() -> None:
    """Three objects in an image with a hundred other things."""
    peaks = np.array([0.9, 0.9, 0.88] + [0.5] * 27, dtype=np.float32)
    own = shown = np.ones(1, np.float32)
    assert typical_similarity(own, NONE, peaks=peaks, shown=shown) > 0.87


def test_more_prompts_outweigh_the_best_matches() -> None:
    peaks = np.full(30, 0.4, np.float32)
    few, many = (
        typical_similarity(*[np.full(n, 0.8, np.float32)] * 2, peaks=peaks, shown=AGREE)
        for n in (2, 50)
    )
    assert few == pytest.approx(0.6)
    assert many > 0.78


def test_a_hole_in_the_image_is_no_rim(make_map) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal([0, 1, 0.5], 0.1, (40, 40, 3)).astype(np.float32)
    vectors[:, :12] = rng.normal([1, 0.2, 0], 0.1, (40, 12, 3))
    whole: FeatureMap = make_map((40, 40), 1, vectors=vectors)
    gap = np.zeros((40, 40), dtype=bool)
    gap[:, 28:] = True
    lost = vectors.copy()
    lost[:, 28:] = 0
    holed: FeatureMap = make_map((40, 40), 1, vectors=lost, no_data=gap)
    points = [(4, 4), (9, 6), (30, 2)]
    expected = Reference.from_prompts(whole, points).auto_thresholds["object"]
    found = Reference.from_prompts(holed, points).auto_thresholds["object"]
    assert found == pytest.approx(expected, abs=0.1)


def test_of_many_planes_those_with_most_prompts_are_looked_at() -> None:
    planes = [(4,), (0,), (3,), (3,), (1,), (2,), (1,), (5,), (5,), (2,)]
    assert most_prompted_planes(planes) == [(1,), (2,), (3,), (5,)]
    assert most_prompted_planes([()]) == [()]


def test_background_prompts_move_it(blobs, blob_features) -> None:
    ground = np.argwhere(ndi.distance_transform_edt(blobs.truth == 0) > 6)[::900][:5]
    alone = Reference.from_prompts(blob_features, blobs.prompts)
    points = np.concatenate([blobs.prompts, ground])
    classes = ["object"] * 5 + ["background"] * len(ground)
    both = Reference.from_prompts(blob_features, points, classes)
    assert both.auto_thresholds.keys() == {"object"}
    assert both.auto_thresholds != alone.auto_thresholds


def test_no_object_class_no_threshold(make_map) -> None:
    reference = Reference.from_prompts(make_map(), [(1, 1)], ["background"])
    assert reference.auto_thresholds == {}
