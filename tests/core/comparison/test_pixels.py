"""Agreement of masks, against pixels counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dinoprompt.core.comparison.columns import (
    BOTH,
    NEITHER,
    ONLY_IN_FAKE,
    ONLY_IN_REAL,
)
from napari_dinoprompt.core.comparison.metrics import map_agreement, measure_agreement

REAL = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], dtype=bool)
FAKE = np.array([[1, 1, 0, 0], [0, 1, 0, 0]], dtype=bool)

masks = arrays(bool, (3, 4), elements=st.booleans())


def test_figures_counted_by_hand() -> None:
    found = measure_agreement(FAKE, REAL)
    assert found.iou == pytest.approx(2 / 5)
    assert found.dice == pytest.approx(4 / 7)
    assert found.precision == pytest.approx(2 / 3)
    assert found.recall == pytest.approx(2 / 4)


def test_map_counted_by_hand() -> None:
    assert (NEITHER, BOTH, ONLY_IN_REAL, ONLY_IN_FAKE) == (0, 1, 2, 3)
    found = map_agreement(REAL, FAKE)
    assert found.dtype == np.uint8
    assert found.tolist() == [[1, 1, 2, 0], [2, 3, 0, 0]]


def test_pixels_without_data_are_left_out() -> None:
    valid = np.ones_like(REAL)
    valid[1] = False
    found = measure_agreement(FAKE, REAL, valid)
    assert found.iou == pytest.approx(2 / 3)
    assert found.precision == 1
    assert map_agreement(REAL, FAKE, valid).tolist() == [[1, 1, 2, 0], [0, 0, 0, 0]]


def test_two_empty_masks_say_nothing() -> None:
    found = measure_agreement(np.zeros_like(REAL), np.zeros_like(REAL))
    figures = (found.iou, found.dice, found.precision, found.recall)
    assert all(math.isnan(one) for one in figures)


@given(masks, masks)
def test_bounds_symmetry_and_the_definition_of_dice(
    a: np.ndarray, b: np.ndarray
) -> None:
    one, other = measure_agreement(b, a), measure_agreement(a, b)
    np.testing.assert_equal((one.iou, one.dice), (other.iou, other.dice))
    np.testing.assert_equal(one.precision, other.recall)
    total = a.sum() + b.sum()
    if total:
        assert 0 <= one.iou <= one.dice <= 1
        assert one.dice == pytest.approx(2 * (a & b).sum() / total)


@given(masks.filter(lambda mask: mask.any()))
def test_a_mask_is_its_own_perfect_fake(mask: np.ndarray) -> None:
    found = measure_agreement(mask, mask)
    assert (found.iou, found.dice, found.precision, found.recall) == (1, 1, 1, 1)
    assert set(np.unique(map_agreement(mask, mask))) <= {NEITHER, BOTH}


@given(masks, masks, masks)
def test_the_map_holds_the_counts(
    real: np.ndarray, fake: np.ndarray, valid: np.ndarray
) -> None:
    counts = np.bincount(map_agreement(real, fake, valid).ravel(), minlength=4)
    assert counts[BOTH] == (real & fake & valid).sum()
    assert counts[ONLY_IN_REAL] == (real & ~fake & valid).sum()
    assert counts[ONLY_IN_FAKE] == (fake & ~real & valid).sum()
