"""Bringing a fake onto the real's grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.alignment import (
    check_same_field,
    match_labels,
    match_plane,
    match_range,
)

if TYPE_CHECKING:
    from collections.abc import Callable
RNG = np.random.default_rng(0)
SMOOTH = ndi.gaussian_filter(RNG.random((60, 84)), 4)
SMOOTH = 255 * (SMOOTH - SMOOTH.min()) / np.ptp(SMOOTH)

GREY = np.array([[0, 51], [102, 255]], dtype=np.uint8)


def centroid(plane: np.ndarray) -> np.ndarray:
    return np.array(ndi.center_of_mass(plane))


def test_planes_of_one_shape_are_returned_as_they_are() -> None:
    plane, labels = SMOOTH.astype(np.uint8), SMOOTH.astype(np.int32)
    assert match_plane(plane, (60, 84)) is plane
    assert match_labels(labels, (60, 84)) is labels


def test_a_four_times_enlarged_plane_comes_back() -> None:
    large = np.kron(SMOOTH, np.ones((4, 4)))
    found = match_plane(large, (60, 84))
    assert found.shape == (60, 84)
    assert np.abs(found - SMOOTH).max() < 4
    assert np.abs(found - SMOOTH).mean() < 0.5


@pytest.mark.parametrize("shape", [(15, 21), (240, 336), (90, 126)])
def test_planes_are_matched_edge_to_edge(shape: tuple[int, int]) -> None:
    """A ramp over the field stays where it is; a shift by half a pixel would show."""
    factor = shape[0] / 60
    ramp = np.broadcast_to((np.arange(84) + 0.5) / 84, (60, 84))
    found = match_plane(ramp, shape)
    expected = np.broadcast_to((np.arange(shape[1]) + 0.5) / shape[1], shape)
    edge = int(np.ceil(4 * max(1, factor)))
    inner = found[:, edge:-edge] - expected[:, edge:-edge]
    assert np.abs(inner).max() < 1e-3 / 84


def test_shrinking_does_not_alias() -> None:
    """Stripes finer than the new pixels become grey."""
    stripes = np.zeros((80, 80))
    stripes[:, ::2] = 1
    found = match_plane(stripes, (16, 16))
    assert found[:, 2:-2] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.uint8, np.float32),
        (np.uint16, np.float32),
        (np.float32, np.float32),
        (np.int32, np.float64),
        (np.float64, np.float64),
    ],
)
def test_grey_values_keep_their_range(dtype: type, expected: type) -> None:
    plane = (SMOOTH * (200 if dtype is np.uint16 else 1)).astype(dtype)
    found = match_plane(plane, (120, 168))
    assert found.dtype == expected
    assert found.max() == pytest.approx(float(plane.max()), rel=0.02)
    assert plane.min() <= found.min()
    assert found.max() <= plane.max()


def test_bool_planes_and_colours() -> None:
    found = match_plane(SMOOTH > 128, (30, 42))
    assert (found.min(), found.max()) == (0, 1)
    colours = np.stack([SMOOTH, SMOOTH / 2, SMOOTH * 0], axis=2).astype(np.float32)
    found = match_plane(colours, (30, 42))
    assert found.shape == (30, 42, 3)
    for channel in range(3):
        alone = match_plane(colours[:, :, channel], (30, 42))
        np.testing.assert_allclose(found[:, :, channel], alone, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("shape", [(30, 42), (120, 168)])
def test_no_data_stays_where_it_is(shape: tuple[int, int], colours: bool) -> None:
    plane = SMOOTH.astype(np.float32)
    plane[20:40, 40:60] = np.nan
    plane[0, 0] = np.inf
    if colours:
        plane = np.stack([plane, plane, plane], axis=2)
        plane[20:40, 40:60, 1:] = 7
    found = match_plane(plane, shape)
    factor = shape[0] / 60
    missing = np.isnan(found)
    missing = missing.any(axis=2) if colours else missing
    hole = np.zeros(shape, bool)
    hole[int(20 * factor) : int(40 * factor), int(40 * factor) : int(60 * factor)] = 1
    assert (missing & hole).sum() > 0.95 * hole.sum()
    if factor < 1:
        assert not missing[0, 0]  # one pixel of four
        assert (missing & ~hole).sum() == 0
    else:
        assert (missing & ~hole).sum() <= 4
    assert not np.isinf(found).any()
    # What is left is not darkened by the hole beside it.
    whole = match_plane(SMOOTH.astype(np.float32), shape)
    kept = found[:, :, 0] if colours else found
    assert np.nanmax(np.abs(kept - whole)) < 12


def test_a_constant_plane_stays_constant() -> None:
    for plane in (np.full((60, 84), 0.1, np.float32), np.full((60, 84), 7, np.uint8)):
        assert np.unique(match_plane(plane, (45, 63))).tolist() == [plane[0, 0]]
    holed = np.full((60, 84), 0.1, np.float32)
    holed[10:30, 10:30] = np.nan
    found = match_plane(holed, (45, 63))
    assert np.unique(found[np.isfinite(found)]).tolist() == [holed[0, 0]]


def test_labels_take_the_nearest_and_keep_their_numbers() -> None:
    labels = RNG.integers(0, 2**31 - 1, (20, 30)).astype(np.int32)
    large = match_labels(labels, (80, 120))
    assert large.dtype == np.int32
    assert (large == np.kron(labels, np.ones((4, 4), np.int32))).all()
    assert (match_labels(large, (20, 30)) == labels).all()
    assert match_labels(labels > 5, (40, 60)).dtype == bool


def test_labels_and_planes_lie_on_each_other() -> None:
    mask = np.zeros((63, 84), bool)
    mask[10:31, 40:62] = True
    for shape in ((21, 28), (252, 336), (90, 120)):
        a = centroid(match_labels(mask, shape).astype(float))
        b = centroid(match_plane(mask.astype(np.float32), shape))
        expected = (centroid(mask.astype(float)) + 0.5) * shape[0] / 63 - 0.5
        assert b == pytest.approx(expected, abs=0.1 * max(1, shape[0] / 63))
        assert a == pytest.approx(expected, abs=0.5)


@settings(deadline=None)
@given(
    st.tuples(st.integers(8, 3000), st.integers(8, 3000)),
    st.floats(0.1, 8),
    st.sampled_from([np.floor, np.round, np.ceil]),
)
def test_rounding_to_whole_pixels_is_forgiven(
    shape: tuple[int, int], factor: float, rounding: Callable[[float], float]
) -> None:
    height, width = (int(max(1, rounding(side * factor))) for side in shape)
    check_same_field(shape, (height, width))
    check_same_field((height, width), shape)


@pytest.mark.parametrize(
    ("real", "fake"),
    [((512, 512), (512, 540)), ((60, 84), (84, 60)), ((100, 200), (25, 46))],
)
def test_another_field_is_refused_with_both_shapes(
    real: tuple[int, int], fake: tuple[int, int]
) -> None:
    message = f"{real[0]} x {real[1]} pixels.* {fake[0]} x {fake[1]}"
    with pytest.raises(InputError, match=message):
        match_plane(np.zeros(fake), real)
    with pytest.raises(InputError, match=message):
        match_labels(np.zeros(fake, np.int32), real)


def test_one_per_cent_is_forgiven() -> None:
    check_same_field((1000, 1000), (2000, 2019))
    with pytest.raises(InputError):
        check_same_field((1000, 1000), (2000, 2030))


def test_single_pixels_work() -> None:
    assert match_plane(np.full((1, 1), 5, np.uint8), (3, 3)).tolist() == [[5] * 3] * 3
    assert match_plane(np.full((4, 8), 5.0), (1, 2)).tolist() == [[5, 5]]


@pytest.mark.parametrize(
    ("plane", "real", "expected"),
    [
        (GREY.astype(np.uint16) * 257, GREY, GREY),
        (GREY / 255, GREY, GREY),
        (GREY / np.float32(255) * 1.05, GREY, GREY * 1.05),
        (GREY, GREY.astype(np.uint16) * 257, GREY * 257.0),
        (GREY, GREY.astype(np.uint16) * 16, GREY * (4095 / 255)),
        (GREY.astype(np.uint16) * 16, GREY / 255, GREY * (16 / 4095)),
        (GREY, GREY / 255, GREY / 255),
        (GREY > 99, GREY, (GREY > 99) * 255),
    ],
)
def test_white_stays_white(plane, real, expected) -> None:
    np.testing.assert_allclose(match_range(plane, real), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("plane", "real"),
    [
        (GREY, GREY),
        (GREY, GREY.astype(np.uint16)),
        (GREY.astype(np.uint16), GREY),
        # A dark fake of the same type stays dark.
        (GREY.astype(np.uint16), GREY.astype(np.uint16) * 257),
        (GREY, GREY.astype(np.float32)),
        (GREY.astype(np.float32), GREY),
        (GREY.astype(np.int64), GREY),
        (GREY, GREY.astype(np.int32)),
        (np.full((2, 2), np.nan), GREY),
    ],
)
def test_what_is_not_known_is_left(plane, real) -> None:
    assert match_range(plane, real) is plane


def test_no_data_stays_without_and_says_nothing() -> None:
    plane = np.array([[0, np.nan], [0.5, 1]], dtype=np.float32)
    found = match_range(plane, GREY)
    np.testing.assert_array_equal(found, [[0, np.nan], [127.5, 255]])
    assert found.dtype == np.float32
