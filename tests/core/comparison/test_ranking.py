"""Average precision, against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dinoprompt.core.comparison.metrics import average_precision


def ap(truth: list[int], scores: list[float]) -> float:
    return average_precision(np.array([truth]) > 0, np.array([scores], np.float32))


def brute_force(truth: np.ndarray, scores: np.ndarray) -> float:
    """The definition: threshold by threshold, from the highest score down."""
    total, before = 0.0, 0.0
    for threshold in np.unique(scores)[::-1]:
        found = scores >= threshold
        hits = (found & truth).sum()
        precision, recall = hits / found.sum(), hits / truth.sum()
        total += (recall - before) * precision
        before = recall
    return total


def test_the_example_of_scikit_learn() -> None:
    """From the documentation of average_precision_score: 0.83."""
    assert ap([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == pytest.approx(5 / 6)


def test_best_worst_and_chance() -> None:
    assert ap([0, 0, 1, 1], [0, 1, 2, 3]) == 1
    assert ap([1, 0, 0, 0], [0, 1, 2, 3]) == 0.25
    # Equal scores say nothing: the share of the mask.
    assert ap([1, 0, 0, 0], [0.5] * 4) == 0.25
    assert ap([0, 0, 0, 1], [0.5] * 4) == 0.25
    assert ap([1, 1], [0, 1]) == 1


@settings(deadline=None, max_examples=100)
@given(
    arrays(bool, (4, 5), elements=st.booleans()).filter(lambda mask: mask.any()),
    arrays(np.float32, (4, 5), elements=st.integers(-4, 4).map(lambda n: n / 4)),
)
def test_it_is_the_definition_ties_included(
    truth: np.ndarray, scores: np.ndarray
) -> None:
    found = average_precision(truth, scores)
    assert found == pytest.approx(brute_force(truth, scores))
    assert 0 < found <= 1
    # No threshold, so only the order counts.
    assert average_precision(truth, np.exp(3 * scores)) == pytest.approx(found)


def test_pixels_without_data_are_left_out() -> None:
    truth = np.array([[1, 0, 1, 0]], bool)
    scores = np.array([[0.9, 0.95, 0.8, 0.1]], np.float32)
    valid = np.array([[True, False, True, True]])
    assert average_precision(truth, scores) < 1
    assert average_precision(truth, scores, valid) == 1
    assert average_precision(truth, np.where(valid, scores, np.nan)) == 1


def test_without_anything_true_nothing_can_be_said() -> None:
    assert math.isnan(ap([0, 0], [1, 2]))
    nothing = np.zeros((2, 2), bool)
    assert math.isnan(average_precision(~nothing, np.zeros((2, 2)), nothing))
