"""The window "histogram": grey values exchanged for those of a real image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_dinoprompt as dp
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.histograms import match_histogram

Blobs = Any  # of the conftest, which cannot be imported


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
