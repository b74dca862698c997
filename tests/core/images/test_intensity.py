"""Intensity windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

import napari_dinoprompt as dp
from napari_dinoprompt import cli
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.intensity import (
    IntensityWindow,
    match_histogram,
    measure_window,
    notice_of_window,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_dinoprompt.core.backbones.base import Backbone
Blobs = Any  # of the conftest, which cannot be imported

WINDOW = IntensityWindow(20, 200)
SAID = "do not fit the intensity window of the reference"
STORED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "16 bits": lambda image: image.astype(np.uint16) * 257,
    "black and white": lambda image: image > 100,
    "eight times dimmer": lambda image: image // 8,
    "times sixteen": lambda image: image.astype(np.uint16) * 16,
    "-1 to 1": lambda image: image / np.float32(127.5) - 1,
    "z-scored": lambda image: (image - image.mean()) / image.std(),
    "0 to 1": lambda image: (image / 255).astype(np.float32),
}


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


def test_any_rising_curve_is_undone() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(100, 20, (40, 50))
    curved = np.exp(real / 30)
    np.testing.assert_allclose(match_histogram(curved, real), real)
    rgb = np.stack([curved] * 3, axis=2)
    found = match_histogram(rgb, real)
    assert found.shape == (40, 50, 3)
    np.testing.assert_allclose(found[:, :, 1], real, atol=2)


def test_sizes_types_and_no_data_may_differ() -> None:
    rng = np.random.default_rng(0)
    real = rng.integers(50, 150, (60, 80)).astype(np.uint8)
    image = rng.normal(0, 1, (30, 30)).astype(np.float32)
    image[3] = np.nan
    found = match_histogram(image, real)
    assert found.dtype == np.float32
    assert np.isnan(found[3]).all()
    held = found[np.isfinite(found)]
    assert 50 <= held.min() < held.max() <= 150
    assert np.median(held) == pytest.approx(np.median(real), abs=3)
    assert np.isnan(image).sum() == 30, "the caller's image has changed"


def test_a_blank_image_stays_blank() -> None:
    real = np.arange(100.0).reshape(10, 10)
    assert np.ptp(match_histogram(np.full((8, 8), 7), real)) == 0


def test_segment_forgives_a_curve_with_the_histogram_only(
    blobs: Blobs, blob_reference, filterbank
) -> None:
    curved = (255 * (blobs.image / 255) ** 3).astype(np.uint8)
    found = {
        window: dp.segment(
            curved,
            blob_reference,
            filterbank,
            dp.SegmentOptions(window=window),
            like=blobs.image if window == "histogram" else None,
        ).mask
        for window in ("reference", "histogram")
    }
    expected = dp.segment(blobs.image, blob_reference, filterbank).mask
    wrong = {window: (mask != expected).mean() for window, mask in found.items()}
    assert wrong["histogram"] < 0.02 < wrong["reference"]


@pytest.mark.parametrize("kind", ["blank", "noise"])
def test_nothing_stays_nothing(blobs: Blobs, blob_reference, filterbank, kind) -> None:
    nothing = np.full(blobs.image.shape, 9, np.uint8)
    if kind == "noise":
        nothing = np.random.default_rng(0).poisson(3, blobs.image.shape)
    found = dp.segment(
        nothing,
        blob_reference,
        filterbank,
        dp.SegmentOptions(window="histogram"),
        like=blobs.image,
    )
    assert not found.mask.any()


def test_policy_and_image_go_together(blobs: Blobs, blob_reference, filterbank) -> None:
    options = dp.SegmentOptions(window="histogram")
    with pytest.raises(InputError, match="--like REAL"):
        dp.segment(blobs.image, blob_reference, filterbank, options)
    with pytest.raises(InputError, match="window='histogram'"):
        dp.segment(blobs.image, blob_reference, filterbank, like=blobs.image)


@pytest.mark.parametrize("how", STORED)
def test_the_same_image_stored_otherwise_is_told_of(
    how: str, blobs, blob_reference: dp.Reference, filterbank: Backbone
) -> None:
    image = STORED[how](blobs.image)
    with pytest.warns(RuntimeWarning, match=SAID):
        dp.segment(image, blob_reference, filterbank)
    # What the warning says to do.
    found = dp.segment(
        image, blob_reference, filterbank, dp.SegmentOptions(window="image")
    )
    assert found.objects >= 3


@pytest.mark.parametrize(
    "image",
    [
        np.full((64, 64), 255, np.uint8),
        np.eye(64, dtype=np.uint8) * 0 + 3,
        # Dim and bright, but to be seen.
        np.arange(4096, dtype=np.uint16).reshape(64, 64) // 80,
        np.arange(4096, dtype=np.uint16).reshape(64, 64) // 5,
        # One hot pixel.
        np.where(np.arange(4096).reshape(64, 64) == 9, 9999, 0),
        np.full((64, 64), np.nan),
    ],
)
def test_what_can_be_seen_or_never_could_is_not(image: np.ndarray) -> None:
    assert notice_of_window([image], WINDOW) is None


def test_an_empty_field_is_no_matter_of_storage(
    blob_reference: dp.Reference, filterbank: Backbone
) -> None:
    """Warnings are errors here."""
    noise = np.random.default_rng(0).normal(30, 2, (64, 64)).astype(np.uint8)
    assert not dp.segment(noise, blob_reference, filterbank).mask.any()


def test_an_8_bit_image_is_too_dark_for_a_window_of_16_bits() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert notice_of_window([image], IntensityWindow(0, 40000)) is not None
    assert notice_of_window([image.astype(np.uint16)], IntensityWindow(0, 900)) is None


def test_a_stack_tells_once(
    blobs, blob_reference: dp.Reference, filterbank: Backbone
) -> None:
    stack = np.stack([blobs.image[:48, :48]] * 3).astype(np.uint16) * 257
    with pytest.warns(RuntimeWarning, match=SAID) as heard:
        dp.segment_stack(stack, blob_reference, filterbank)
    assert len(heard) == 1


def test_a_plane_in_parts_tells(
    blobs,
    blob_reference: dp.Reference,
    filterbank: Backbone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_dinoprompt.core.features.extraction._WHOLE_BYTES", 0)
    image = blobs.image[:64, :64].astype(np.uint16) * 257
    with pytest.warns(RuntimeWarning, match=SAID):
        dp.segment(image, blob_reference, filterbank)


def test_the_command_names_the_image(
    tmp_path: Path,
    blobs,
    blob_reference: dp.Reference,
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd, plain = tmp_path / "odd.tif", tmp_path / "plain.tif"
    tifffile.imwrite(odd, blobs.image.astype(np.uint16) * 257)
    tifffile.imwrite(plain, blobs.image)
    reference = blob_reference.save(tmp_path / "blobs")
    call = ["segment", odd, plain, "--reference", reference]
    with pytest.raises(SystemExit) as ended:
        cli.main([*map(str, call), "--output", str(tmp_path / "out")])
    assert not ended.value.code
    lines = [one for one in capsys.readouterr().err.splitlines() if SAID in one]
    assert len(lines) == 1
    assert lines[0].startswith(f"dinoprompt: {odd}: The grey values of the image")
