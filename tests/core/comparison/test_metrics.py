"""Figures about masks, against examples counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dinoprompt.core.comparison.metrics import measure_agreement, measure_extent
from napari_dinoprompt.core.errors import InputError

MASK = np.array([[1, 1, 0, 0], [2, 0, 0, 0]], dtype=np.uint8)
TRUTH = np.array([[7, 0, 0, 0], [9, 9, 0, 0]], dtype=np.uint16)


def test_pixels_are_counted_whatever_their_number() -> None:
    found = measure_agreement(MASK, TRUTH)
    assert found.iou == 2 / 4
    assert found.precision == 2 / 3
    assert found.recall == 2 / 3


def test_a_mask_agrees_with_itself() -> None:
    found = measure_agreement(MASK, MASK)
    assert (found.iou, found.precision, found.recall) == (1, 1, 1)


def test_what_cannot_be_said_is_nan() -> None:
    nothing = np.zeros_like(MASK)
    found = measure_agreement(nothing, TRUTH)
    assert (found.iou, found.recall) == (0, 0)
    assert math.isnan(found.precision)
    found = measure_agreement(MASK, nothing)
    assert (found.iou, found.precision) == (0, 0)
    assert math.isnan(found.recall)
    assert math.isnan(measure_agreement(nothing, nothing).iou)


@given(
    arrays(bool, (3, 4), elements=st.booleans()),
    arrays(bool, (3, 4), elements=st.booleans()),
)
def test_exchanging_the_two_exchanges_precision_and_recall(a, b) -> None:
    one, other = measure_agreement(a, b), measure_agreement(b, a)
    np.testing.assert_equal(one.iou, other.iou)
    np.testing.assert_equal(one.precision, other.recall)


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match=r"\(2, 4\).*\(3, 4\)"):
        measure_agreement(MASK, np.zeros((3, 4)))


def test_extent_is_that_of_one_class() -> None:
    instances = np.array([[1, 2, 0, 0], [3, 0, 0, 0]], dtype=np.int32)
    first, second = (measure_extent(MASK, instances, number) for number in (1, 2))
    assert (first.objects, first.pixels, first.fraction) == (2, 2, 0.25)
    assert (second.objects, second.pixels, second.fraction) == (1, 1, 0.125)


def test_extent_of_a_class_that_is_nowhere() -> None:
    found = measure_extent(MASK, MASK.astype(np.int32), 5)
    assert (found.objects, found.pixels, found.fraction) == (0, 0, 0.0)


def test_extent_of_zarr_arrays_is_the_same() -> None:
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 3, (2100, 40)).astype(np.uint8)
    instances = (rng.integers(1, 99, mask.shape) * (mask > 0)).astype(np.int32)
    for number in (1, 2, 5):
        found = measure_extent(zarr.array(mask), zarr.array(instances), number)
        assert found == measure_extent(mask, instances, number)
