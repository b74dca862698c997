"""Intensity windows."""

import numpy as np
import pytest

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.intensity import IntensityWindow, measure_window


def test_the_window_maps_to_zero_and_one_and_clips() -> None:
    shown = IntensityWindow(10, 30).apply(np.array([0, 10, 15, 30, 99]))
    np.testing.assert_allclose(shown, [0, 0, 0.25, 1, 1])
    assert shown.dtype == np.float32


def test_no_data_is_shown_as_zero() -> None:
    shown = IntensityWindow(-5, 5).apply(np.array([np.nan, np.inf, -np.inf, 5.0]))
    assert shown.tolist() == [0, 0, 0, 1]


def test_a_window_without_width_shows_nothing() -> None:
    assert not IntensityWindow(3, 3).apply(np.array([0, 3, 9])).any()


@pytest.mark.parametrize(
    ("low", "high"), [(2, 1), (np.nan, 1), (0, np.inf), (-np.inf, 0)]
)
def test_impossible_windows_are_refused(low: float, high: float) -> None:
    with pytest.raises(InputError):
        IntensityWindow(low, high)


def test_a_window_of_numpy_numbers_does_not_overflow() -> None:
    """As from ``(plane.min(), plane.max())``."""
    pixels = np.array([-32768, 0, 32767], dtype=np.int16)
    shown = IntensityWindow(pixels.min(), pixels.max()).apply(pixels)
    np.testing.assert_allclose(shown, [0, 0.5, 1], atol=1e-4)


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_a_large_offset_costs_no_grey_levels(dtype: str) -> None:
    pixels = np.arange(101).astype(dtype)
    near, far = (
        IntensityWindow(offset, offset + 100).apply(pixels + offset)
        for offset in (0, 1_000_000_000)
    )
    np.testing.assert_allclose(far, near, atol=1e-6)


def test_small_bright_objects_are_not_clipped() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(10, 1, (300, 300))
    objects = np.zeros(image.shape, dtype=bool)
    objects[:30, :30] = True  # 1 % of the pixels
    image[objects] = rng.uniform(50, 200, 900)
    window = measure_window(image)
    assert (image[objects] > window.high).mean() < 0.15


def test_objects_rarer_than_the_percentile_still_get_a_window() -> None:
    image = np.zeros((200, 200), dtype=np.uint8)
    image[5, 5] = 200
    window = measure_window(image)
    assert (window.low, window.high) == (0, 200)


@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf])
def test_no_data_is_outside_the_percentiles(gap: float) -> None:
    image = np.random.default_rng(0).uniform(3, 9, (50, 50))
    holed = np.full((60, 50), gap)
    holed[:50] = image
    assert measure_window(holed) == measure_window(image)


def test_channels_share_one_window() -> None:
    image = np.zeros((100, 100, 4), dtype=np.uint8)
    image[..., 0] = np.arange(100)
    image[..., 1] = 150 + np.arange(100)
    image[..., 3] = 255  # alpha does not count
    window = measure_window(image)
    assert window.low == 0
    assert 245 <= window.high <= 249


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int32", "float16", "float32", "float64"]
)
def test_the_number_format_does_not_change_the_window(dtype: str) -> None:
    image = np.arange(100).reshape(10, 10)
    assert measure_window(image.astype(dtype)) == measure_window(image)


def test_a_boolean_plane_is_shown_in_full() -> None:
    window = measure_window(np.zeros((4, 4), dtype=bool))
    assert (window.low, window.high) == (0, 1)
    assert window.apply(np.array([False, True])).tolist() == [0, 1]


@pytest.mark.parametrize("value", [0, 7, -3])
def test_a_constant_plane_has_a_window_and_shows_nothing(value: int) -> None:
    image = np.full((5, 5), value)
    assert not measure_window(image).apply(image).any()
