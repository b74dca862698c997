"""Whose threshold counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.references.reference import Reference, resolve_thresholds

if TYPE_CHECKING:
    from napari_dinoprompt.core.features.feature_map import FeatureMap


@pytest.fixture
def reference(make_map) -> Reference:
    features: FeatureMap = make_map()
    points = [(2, 3), (5, 9), (11, 7), (18, 22), (0, 29)]
    return Reference.from_prompts(features, points, ["a", "a", "a", "b", "background"])


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
