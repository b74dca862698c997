"""Reading any part of an enlarged or reduced plane."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_dinoprompt.core.tiling.grid import mirror, resample, resampling_taps

upscales = st.floats(0.3, 4.0)
small = settings(deadline=None, max_examples=40)


def canvas(
    plane: np.ndarray, upscale: float, rows: tuple[int, int], columns: tuple[int, int]
) -> np.ndarray:
    down = resampling_taps(*rows, length=plane.shape[0], upscale=upscale)
    across = resampling_taps(*columns, length=plane.shape[1], upscale=upscale)
    return resample(plane[down.span, across.span], down, across)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width), dtype=np.float32)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_mirroring_repeats_the_edge_pixel(length: int) -> None:
    line = np.arange(length)
    expected = np.pad(line, 3 * length, mode="symmetric")
    indices = np.arange(-3 * length, 4 * length)
    np.testing.assert_array_equal(mirror(indices, length), expected)


def test_upscale_one_is_the_plane_itself_and_its_mirror_image() -> None:
    plane = picture(5, 7)
    expected = np.pad(plane, 4, mode="symmetric")
    np.testing.assert_array_equal(canvas(plane, 1, (-4, 9), (-4, 11)), expected)


@small
@given(upscales)
def test_samples_lie_where_the_factor_says(upscale: float) -> None:
    ramp = np.linspace(0.1, 0.9, 60, dtype=np.float32)
    slope = 0.8 / 59
    plane = np.broadcast_to(ramp[:, None], (60, 3))
    wanted = np.arange(round(10 * upscale), round(50 * upscale))
    found = canvas(plane, upscale, (wanted[0], wanted[-1] + 1), (0, 1))[:, 0]
    positions = (found - 0.1) / slope
    # Exact when enlarging; the widened kernel is only nearly symmetric.
    tolerance = 1e-4 if upscale >= 1 else 0.05
    np.testing.assert_allclose(
        positions, (wanted + 0.5) / upscale - 0.5, atol=tolerance
    )


@pytest.mark.parametrize("upscale", [0.5, 0.7, 1.3, 1.7, 2.0, 3.1])
def test_a_smooth_picture_stays_what_it_is(upscale: float) -> None:
    def wave(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return 0.5 + 0.2 * np.sin(y / 6) + 0.2 * np.cos(x / 7)

    y, x = np.arange(50.0), np.arange(64.0)
    plane = wave(y[:, None], x).astype(np.float32)
    rows = np.arange(int(10 * upscale), int(40 * upscale))
    columns = np.arange(int(10 * upscale), int(50 * upscale))
    found = canvas(
        plane, upscale, (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    )
    expected = wave(
        ((rows + 0.5) / upscale - 0.5)[:, None], (columns + 0.5) / upscale - 0.5
    )
    np.testing.assert_allclose(found, expected, atol=2e-3 if upscale >= 1 else 1e-2)


def test_reducing_does_not_alias() -> None:
    stripes = np.tile(np.array([0, 1], dtype=np.float32), (40, 20))
    found = canvas(stripes, 0.4, (4, 12), (4, 12))
    np.testing.assert_allclose(found, 0.5, atol=0.1)


@small
@given(st.integers(1, 4), st.integers(1, 4), upscales, st.floats(0, 1, width=32))
def test_a_constant_stays_constant_on_planes_of_any_size(
    height: int, width: int, upscale: float, value: float
) -> None:
    plane = np.full((height, width), value, dtype=np.float32)
    found = canvas(plane, upscale, (-20, 30), (-20, 30))
    assert found.shape == (50, 50)
    np.testing.assert_allclose(found, value, atol=1e-6)


@small
@given(
    upscales,
    st.integers(-30, 60),
    st.integers(1, 25),
    st.integers(-30, 60),
    st.integers(1, 25),
)
def test_reading_a_part_equals_cutting_the_whole(
    upscale: float, row: int, height: int, column: int, width: int
) -> None:
    plane = picture(11, 17)
    whole = canvas(plane, upscale, (-30, 90), (-30, 90))
    part = canvas(plane, upscale, (row, row + height), (column, column + width))
    cut = whole[row + 30 : row + 30 + height, column + 30 : column + 30 + width]
    np.testing.assert_array_equal(part, cut)


@small
@given(upscales)
def test_the_canvas_is_mirrored_at_the_edges_of_the_plane(upscale: float) -> None:
    """At a factor that makes whole canvas pixels the canvas mirrors as the plane."""
    whole = max(1, round(upscale))
    found = canvas(picture(6, 5), whole, (-8, 8), (0, 5 * whole))
    np.testing.assert_allclose(found[:8][::-1], found[8:], atol=1e-6)


@small
@given(upscales, st.integers(1, 30))
def test_weights_sum_to_one_and_indices_stay_inside(
    upscale: float, length: int
) -> None:
    taps = resampling_taps(-40, 80, length=length, upscale=upscale)
    np.testing.assert_allclose(taps.weights.sum(axis=1), 1, atol=1e-5)
    assert taps.indices.min() >= 0
    assert taps.indices.max() < length


@pytest.mark.parametrize("upscale", [1, 0.6, 2.3])
def test_channels_are_resampled_alike(upscale: float) -> None:
    planes = [picture(9, 8, seed) for seed in range(3)]
    joint = canvas(np.stack(planes, axis=2), upscale, (-3, 12), (-3, 12))
    for channel, plane in enumerate(planes):
        alone = canvas(plane, upscale, (-3, 12), (-3, 12))
        np.testing.assert_array_equal(joint[..., channel], alone)


def test_overshoot_at_an_edge_is_clipped() -> None:
    step = np.repeat(np.array([[0, 1]], dtype=np.float32), 6, axis=1)
    found = canvas(step, 3, (0, 3), (0, 36))
    assert found.min() == 0
    assert found.max() == 1
