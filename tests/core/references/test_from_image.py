"""A reference from an image: at the upscale that its objects need."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from large_planes import hold_nothing_whole

import napari_dinoprompt as dp
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features import extraction
from napari_dinoprompt.core.features.extraction import estimate
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.core.references.from_prompts import iter_reference

# Discs of 6 to 8 pixels, where a cell has 8: one and a half cells across.
ONCE_MORE = r"once more, at an upscale of 2 \(36 x 47 cells"


def same(one: dp.Reference, other: dp.Reference) -> bool:
    numbers = ("vectors", "areas", "points")
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in numbers
    ) and (one.upscale, one.window, one.auto_thresholds) == (
        other.upscale,
        other.window,
        other.auto_thresholds,
    )


@pytest.mark.parametrize("large", [False, True])
def test_small_objects_are_enlarged(blobs, toy_vit, monkeypatch, large: bool) -> None:
    if large:
        hold_nothing_whole(monkeypatch)
    with pytest.warns(RuntimeWarning, match=ONCE_MORE):
        found = dp.make_reference(blobs.image, blobs.prompts, backbone=toy_vit)
    asked = dp.make_reference(blobs.image, blobs.prompts, None, toy_vit, upscale=2)
    assert found.upscale == 2
    assert same(found, asked)


def test_large_objects_are_seen_as_they_are(blobs, toy_vit) -> None:
    image = np.kron(blobs.image, np.ones((3, 3), np.uint8))
    found = dp.make_reference(image, 3 * blobs.prompts + 1, backbone=toy_vit)
    assert found.upscale == 1


def test_a_number_wins(blobs, toy_vit) -> None:
    found = dp.make_reference(
        blobs.image, blobs.prompts, backbone=toy_vit, upscale=1, points_only=True
    )
    features = dp.extract_features(blobs.image, toy_vit)
    assert same(
        found, dp.Reference.from_prompts(features, blobs.prompts, points_only=True)
    )
    assert not found.areas.any()


def test_the_filter_bank_enlarges_nothing(filterbank) -> None:
    y, x = np.mgrid[:160, :160] % 20 - 10
    specks = (200 * (y**2 + x**2 <= 2)).astype(np.uint8)
    points = [(10, 50), (30, 90), (50, 10), (90, 110)]
    features = dp.extract_features(specks, filterbank)
    steps = iter_reference(
        {(): features}, Prompts.of(points), features.measures, source="specks"
    )
    assert run_to_end(steps).fitting_upscale == 2
    assert dp.make_reference(specks, points, backbone=filterbank).upscale == 1


def test_a_reference_is_applied_at_the_upscale_that_was_chosen(
    blobs, other_blobs, toy_vit, tmp_path
) -> None:
    with pytest.warns(RuntimeWarning, match=ONCE_MORE):
        made = dp.make_reference(blobs.image, blobs.prompts, backbone=toy_vit)
    reference = dp.Reference.load(made.save(tmp_path / "chosen"))
    found = dp.segment(other_blobs.image, reference, toy_vit)
    features = dp.extract_features(
        other_blobs.image, toy_vit, upscale=2, window=reference.window
    )
    np.testing.assert_array_equal(
        found.similarity, dp.similarity_map(features, reference)
    )


def test_without_the_memory_it_stays_as_it_is(blobs, toy_vit, monkeypatch) -> None:
    least, most = (estimate(blobs.image.shape, toy_vit, n).bytes for n in (1, 2))
    free = SimpleNamespace(available=(least + most) // 2)
    monkeypatch.setattr(extraction.psutil, "virtual_memory", lambda: free)
    with pytest.warns(RuntimeWarning, match="not enough memory for an upscale of 2"):
        found = dp.make_reference(blobs.image, blobs.prompts, backbone=toy_vit)
    assert found.upscale == 1


def test_a_study_stays_where_the_image_is_held_as_a_whole(
    blobs, toy_vit, monkeypatch
) -> None:
    least = estimate(blobs.image.shape, toy_vit, 1).bytes
    monkeypatch.setattr(extraction, "_WHOLE_BYTES", least)
    with pytest.warns(RuntimeWarning, match="it stays at 1"):
        found = dp.study(blobs.image, blobs.prompts, None, toy_vit, parts=["threshold"])
    assert found.settings["upscale"] == 1


@pytest.mark.parametrize("wrong", [0, -1.5, np.nan, np.inf, "2", "big", None, [1, 2]])
def test_what_is_no_upscale(blobs, filterbank, wrong) -> None:
    with pytest.raises(InputError, match=r"auto or a number above 0, not .*\.$"):
        dp.make_reference(blobs.image, blobs.prompts, None, filterbank, upscale=wrong)
