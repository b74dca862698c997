"""A plane too large to hold is segmented as one that is not."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from large_planes import Recording, draw_plane, hold_nothing_whole

from napari_dinoprompt.core.backbones.filterbank import FilterBank
from napari_dinoprompt.core.backbones.vit import VisionTransformer
from napari_dinoprompt.core.batch.records import summarise, write_segmentation
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.features.feature_map import FeatureMap
from napari_dinoprompt.core.features.large import LazyFeatures
from napari_dinoprompt.core.features.source import iter_any_features
from napari_dinoprompt.core.images.lazy_plane import LazyPlane
from napari_dinoprompt.core.io.read import read_image
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.progress import Progress, run_to_end
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.segmentation.large import LargeSegmentation
from napari_dinoprompt.core.segmentation.segment import (
    Segmentation,
    SegmentOptions,
    iter_segment,
    segment,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Network = FilterBank | VisionTransformer
SHAPE = (150, 211)
POINTS = np.array([[20.0, 30.0], [30.0, 100.0], [90.0, 10.0], [110.0, 64.0]])
CLEANING = Cleaning(min_size=20, fill_holes=True)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DINOPROMPT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(params=["filterbank", "toy_vit"])
def backbone(request: pytest.FixtureRequest) -> Network:
    found: Network = request.getfixturevalue(request.param)
    return found


def both(
    plane: NDArray[np.float32],
    backbone: Network,
    options: SegmentOptions,
    classes: tuple[str, ...] | None = None,
) -> tuple[Segmentation, LargeSegmentation]:
    features = extract_features(plane, backbone)
    reference = Reference.from_prompts(features, POINTS, classes)
    whole = segment(plane, reference, backbone, options)
    assert isinstance(whole, Segmentation)
    with pytest.MonkeyPatch.context() as patch:
        hold_nothing_whole(patch)
        large = segment(plane, reference, backbone, options)
    assert isinstance(large, LargeSegmentation)
    return whole, large


@pytest.mark.parametrize(
    "cleaning", [Cleaning(), CLEANING, Cleaning(20, True, True)], ids=str
)
def test_mask_and_objects_are_those_of_the_whole(
    backbone: Network, cleaning: Cleaning
) -> None:
    plane = draw_plane(SHAPE, gap=True)
    classes = ("round", "long", "background", "round")
    whole, large = both(plane, backbone, SegmentOptions(cleaning=cleaning), classes)
    assert whole.instances.max() > 3
    np.testing.assert_array_equal(large.mask[:], whole.mask)
    np.testing.assert_array_equal(large.instances[:], whole.instances)
    np.testing.assert_allclose(large.maps[:], whole.maps, atol=1e-4)
    np.testing.assert_allclose(
        np.asarray(large.similarity), whole.similarity, atol=1e-4
    )
    assert (large.mask.dtype, large.instances.dtype) == (np.uint8, np.int32)
    assert large.names == whole.names == ("round", "long")
    assert large.thresholds == whole.thresholds
    assert large.threshold == whole.threshold
    assert large.window == whole.window


def test_a_threshold_of_one_s_own(filterbank: FilterBank) -> None:
    plane = draw_plane(SHAPE)
    options = SegmentOptions(window=(0, 1), threshold=0.2)
    whole, large = both(plane, filterbank, options)
    assert whole.mask.any()
    np.testing.assert_array_equal(large.mask[:], whole.mask)
    assert (large.window.low, large.window.high) == (0, 1)


def test_plain_maps_are_those_of_the_whole(backbone: Network, tmp_path: Path) -> None:
    plane = draw_plane(SHAPE, gap=True)
    classes = ("round", "long", "background", "round")
    whole, large = both(plane, backbone, SegmentOptions(map="plain"), classes)
    fitted, _ = both(plane, backbone, SegmentOptions(), classes)
    np.testing.assert_allclose(large.maps[:], whole.maps, atol=1e-4)
    assert np.nanmax(np.abs(whole.maps - fitted.maps)) > 0.1
    np.testing.assert_array_equal(large.mask[:], fitted.mask)
    levels = run_to_end(large.iter_levels())["similarity"]
    np.testing.assert_array_equal(levels[0][...], large.maps[0])
    for result in (whole, large, fitted):
        write_segmentation(tmp_path, "image", result)
        with tifffile.TiffFile(tmp_path / "image_similarity.tif") as file:
            assert f"similarity ({result.kind})" in file.pages.first.description


def test_files_and_summary_are_those_of_the_whole(
    filterbank: FilterBank, tmp_path: Path
) -> None:
    plane = draw_plane(SHAPE, gap=True)
    for number, classes in enumerate((None, ("round", "long", "round", "long"))):
        options = SegmentOptions(cleaning=CLEANING)
        whole, large = both(plane, filterbank, options, classes)
        folder = tmp_path / str(number)
        folder.mkdir()
        write_segmentation(folder, "whole", whole)
        write_segmentation(folder, "large", large)
        for kind in ("mask", "instances"):
            expected = read_image(folder / f"whole_{kind}.tif")
            found = read_image(folder / f"large_{kind}.tif")
            np.testing.assert_array_equal(found, expected)
            assert np.asarray(found).dtype == np.asarray(expected).dtype
        np.testing.assert_allclose(
            read_tiff(folder / "large_similarity.tif"),
            read_tiff(folder / "whole_similarity.tif"),
            atol=1e-4,
        )
        assert summarise("image", "x", large) == summarise("image", "x", whole)


def read_tiff(path: Path) -> NDArray[np.float32]:
    import tifffile

    return np.asarray(tifffile.imread(path))


def test_lazy_arrays_are_read_part_by_part(
    toy_vit: VisionTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = draw_plane((240, 350))
    reference = Reference.from_prompts(extract_features(plane, toy_vit), POINTS)
    hold_nothing_whole(monkeypatch)
    expected = segment(plane, reference, toy_vit)
    recording = Recording(plane)
    stack = zarr.array(np.stack([plane * 0, plane]), chunks=(1, 64, 64))
    for image in (
        recording,
        da.from_array(plane, chunks=100),
        LazyPlane(stack, (1,)),
    ):
        found = segment(image, reference, toy_vit)
        np.testing.assert_array_equal(found.mask[:], expected.mask[:])
    assert 0 < recording.largest < 0.6 * plane.size


def test_the_image_s_own_window_comes_from_the_sample(
    filterbank: FilterBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = draw_plane((200, 300))
    reference = Reference.from_prompts(extract_features(plane, filterbank), POINTS)
    hold_nothing_whole(monkeypatch)
    bright = plane * 100 + 7
    found = segment(bright, reference, filterbank, SegmentOptions(window="image"))
    usual = segment(plane, reference, filterbank, SegmentOptions(window="image"))
    np.testing.assert_allclose(found.window.low, usual.window.low * 100 + 7, rtol=1e-4)
    assert (found.mask[:] != usual.mask[:]).mean() < 1e-3


def test_histograms_need_the_whole(
    filterbank: FilterBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = draw_plane(SHAPE)
    reference = Reference.from_prompts(extract_features(plane, filterbank), POINTS)
    hold_nothing_whole(monkeypatch)
    options = SegmentOptions(window="histogram")
    with pytest.raises(InputError, match=r"too large\. Take another window"):
        segment(plane, reference, filterbank, options, like=plane)
    # The mistake is told as it is of small planes.
    for wrong, like in ((SegmentOptions(), plane), (options, None)):
        with pytest.raises(InputError, match="go together"):
            segment(plane, reference, filterbank, wrong, like=like)


@pytest.mark.parametrize("kind", ["blank", "noise"])
def test_planes_that_show_nothing_have_no_object(
    filterbank: FilterBank, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    features = extract_features(draw_plane(SHAPE), filterbank)
    reference = Reference.from_prompts(features, POINTS)
    hold_nothing_whole(monkeypatch, 128)
    noise = np.random.default_rng(0).normal(0.3, 0.3, (300, 290))
    plane = noise if kind == "noise" else np.full((300, 290), 0.3)
    found = segment(plane, reference, filterbank, SegmentOptions(threshold=-1))
    assert not found.mask[:].any()
    assert not found.instances[:].any()


def test_a_plane_without_data_is_refused(
    filterbank: FilterBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = extract_features(draw_plane(SHAPE), filterbank)
    reference = Reference.from_prompts(features, POINTS)
    hold_nothing_whole(monkeypatch)
    with pytest.raises(InputError, match="nothing but NaN"):
        segment(np.full(SHAPE, np.nan), reference, filterbank)


def test_the_folder_goes_with_the_result(
    filterbank: FilterBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = draw_plane(SHAPE)
    features = extract_features(plane, filterbank)
    reference = Reference.from_prompts(features, POINTS)
    expected = segment(plane, reference, filterbank).mask
    hold_nothing_whole(monkeypatch)
    # Only a part of the result is kept: it must not turn to zeros.
    mask = segment(plane, reference, filterbank).mask
    gc.collect()
    np.testing.assert_array_equal(mask[:], expected)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    del mask
    gc.collect()
    assert list((tmp_path / "cache").iterdir()) == []


def test_stopping_midway_leaves_nothing(
    backbone: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = draw_plane(SHAPE)
    reference = Reference.from_prompts(extract_features(plane, backbone), POINTS)
    hold_nothing_whole(monkeypatch)
    steps = iter_segment(plane, reference, backbone)
    said = [next(steps) for _ in range(20)]
    assert all(isinstance(one, Progress) for one in said)
    assert list((tmp_path / "cache").iterdir())
    steps.close()
    del steps
    gc.collect()
    assert list((tmp_path / "cache").iterdir()) == []


def test_any_features_are_whole_if_they_fit(
    backbone: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = draw_plane(SHAPE)
    whole = run_to_end(iter_any_features(plane, backbone, upscale=1.37))
    assert isinstance(whole, FeatureMap)
    hold_nothing_whole(monkeypatch)
    large = run_to_end(
        iter_any_features(Recording(plane), backbone, upscale=1.37, window=(0, 1))
    )
    assert isinstance(large, LazyFeatures)
    assert large.grid == whole.grid
    assert (large.window.low, large.window.high) == (0, 1)
