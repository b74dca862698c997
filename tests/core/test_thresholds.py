"""Where a similarity map is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.reference import Reference
from napari_dinoprompt.core.thresholds import choose_threshold, resolve_thresholds

if TYPE_CHECKING:
    from napari_dinoprompt.core.features import FeatureMap

AGREE = np.full(5, 0.8, dtype=np.float32)
cosines = st.floats(-1, 1, width=32)


@pytest.fixture
def reference(make_map) -> Reference:
    features: FeatureMap = make_map()
    points = [(2, 3), (5, 9), (11, 7), (18, 22), (0, 29)]
    return Reference.from_prompts(features, points, ["a", "a", "a", "b", "background"])


def heap(centre: float, count: int, spread: float = 0.03) -> np.ndarray:
    return np.random.default_rng(0).normal(centre, spread, count).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.float32, st.integers(0, 6), elements=cosines),
    arrays(np.float32, st.integers(1, 30), elements=cosines),
)
def test_whatever_the_source_auto_stays_near_what_prompts_agree_on(
    agreement: np.ndarray, similarities: np.ndarray
) -> None:
    threshold = choose_threshold(agreement, similarities)
    assert 0 < threshold < 1
    if len(agreement) and np.median(agreement) > 0.1:
        share = threshold / np.median(agreement)
        assert 0.5 - 1e-5 <= share <= 0.9 + 1e-5


@pytest.mark.parametrize("objects", [20, 2000])
@pytest.mark.parametrize(("low", "high"), [(0.0, 0.9), (0.35, 0.8), (0.4, 0.75)])
def test_auto_lies_in_the_valley_however_few_the_objects(
    low: float, high: float, objects: int
) -> None:
    similarities = np.concatenate([heap(low, 5000), heap(high, objects)])
    threshold = choose_threshold(AGREE, similarities)
    assert low + 0.09 < threshold < high - 0.09


def test_auto_does_not_cut_through_a_heap_between_two_gaps() -> None:
    similarities = np.concatenate([heap(0.0, 500, 0.01), heap(0.56, 500, 0.01)])
    threshold = choose_threshold(AGREE, similarities)
    assert abs(threshold - 0.56) > 0.05


def test_better_agreement_gives_a_higher_auto_threshold() -> None:
    similarities = np.linspace(-1, 1, 1000, dtype=np.float32)
    low, high = (
        choose_threshold(np.full(3, value, np.float32), similarities)
        for value in (0.4, 0.9)
    )
    assert low < high - 0.2


def test_every_object_class_has_one_and_background_none(reference: Reference) -> None:
    assert set(reference.auto_thresholds) == {"a", "b"}
    assert resolve_thresholds(reference) == reference.auto_thresholds


def test_the_user_s_threshold_comes_before_auto(reference: Reference) -> None:
    found = resolve_thresholds(reference.with_thresholds({"b": 0.125}))
    assert found == {"a": reference.auto_thresholds["a"], "b": 0.125}


def test_the_caller_s_threshold_comes_before_all(reference: Reference) -> None:
    carried = reference.with_thresholds({"b": 0.125})
    assert resolve_thresholds(carried, 0.5) == {"a": 0.5, "b": 0.5}
    assert resolve_thresholds(carried, 0) == {"a": 0, "b": 0}


@pytest.mark.parametrize("threshold", [np.nan, 1.5, -2])
def test_impossible_thresholds_are_refused(
    reference: Reference, threshold: float
) -> None:
    with pytest.raises(InputError):
        resolve_thresholds(reference, threshold)
