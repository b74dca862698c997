"""Similarities on the disk: levels, slices, thresholds, and an end."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from large_planes import cut_finely, draw_plane

from napari_dinoprompt.core.backbones.filterbank import FilterBank
from napari_dinoprompt.core.backbones.vit import VisionTransformer
from napari_dinoprompt.core.errors import IncompatibleReferenceError, InputError
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.features.regions import RegionPlan
from napari_dinoprompt.core.features.source import lazy_features
from napari_dinoprompt.core.images.intensity import IntensityWindow
from napari_dinoprompt.core.io.scratch import scratch_folder, scratch_store
from napari_dinoprompt.core.progress import Notice, run_to_end
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.scoring.similarity import similarity_map
from napari_dinoprompt.core.segmentation.large import (
    RegionScores,
    ResultStore,
    iter_scores,
    page,
)
from napari_dinoprompt.core.segmentation.similarities import score_classes
from napari_dinoprompt.core.tiling.grid import CellGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.features.large import LazyFeatures
WINDOW = IntensityWindow(0, 1)
SHAPE = (1101, 275)
NAMES = ("round", "long")

Network = FilterBank | VisionTransformer
POINTS = np.array(
    [[20.0, 30.0], [60.0, 100.0], [90.0, 10.0], [64.0, 64.0], [5.0, 99.0]]
)
CLASSES = {
    "one": ("object",) * 5,
    "background": ("object", "object", "background", "object", "background"),
    "several": ("round", "long", "round", "round", "long"),
    "all": ("round", "long", "background", "round", "background"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DINOPROMPT_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> RegionPlan:
    monkeypatch.setattr("napari_dinoprompt.core.features.regions._SIDE", 192)
    return RegionPlan.of(CellGrid(SHAPE, 2, 1), 2, 512)


def values() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    similarity = rng.uniform(-1, 1, (2, *SHAPE)).astype(np.float32)
    similarity[:, 300:400, 20:40] = np.nan
    winning_class = rng.integers(0, 3, SHAPE).astype(np.uint8)
    winning_class[300:400, 20:40] = 0
    return similarity, winning_class


def fill(store: ResultStore, plan: RegionPlan, count: int | None = None) -> None:
    similarity, winning_class = values()
    for region in plan.regions[:count]:
        here = (region.rows, region.columns)
        part = similarity[(slice(None), *here)]
        store.put(RegionScores(region, part, part / 2, winning_class[here]))


@pytest.fixture
def store(folder: Path, plan: RegionPlan) -> ResultStore:
    made = ResultStore(plan, NAMES, WINDOW)
    fill(made, plan)
    return made


def test_what_is_put_is_there_at_all_levels(store: ResultStore) -> None:
    similarity, winning_class = values()
    np.testing.assert_array_equal(store.similarity[0][:], similarity)
    np.testing.assert_array_equal(store.winning_class[0][:], winning_class)
    assert [one.shape for one in store.winning_class] == [(1101, 275), (551, 138)]
    assert [one.shape for one in store.similarity] == [(2, 1101, 275), (2, 551, 138)]
    padded = np.pad(similarity, ((0, 0), (0, 1), (0, 1)), mode="edge")
    halves = padded.reshape(2, 551, 2, 138, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(store.similarity[1][:], halves, atol=1e-6)
    np.testing.assert_array_equal(store.winning_class[1][:], winning_class[::2, ::2])
    for level, plain in enumerate(store.levels("long", "plain")):
        np.testing.assert_array_equal(plain[...], store.levels("long")[level][...] / 2)


def test_deep_pyramids(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_dinoprompt.core.images.lazy_plane._SMALLEST", 32)
    monkeypatch.setattr("napari_dinoprompt.core.features.regions._SIDE", 192)
    plan = RegionPlan.of(CellGrid(SHAPE, 2, 1), 2, 512)
    store = ResultStore(plan, NAMES, WINDOW)
    fill(store, plan)
    _, winning_class = values()
    assert len(store.winning_class) == 6
    for level, array in enumerate(store.winning_class):
        np.testing.assert_array_equal(array[:], winning_class[:: 2**level, :: 2**level])
        assert store.similarity[level].shape[1:] == array.shape
    coarsest = store.similarity[5][:]
    assert not np.isnan(coarsest[:, 20:]).any(), "a level is not filled"
    assert np.abs(coarsest[:, 20:]).max() < 0.3


def test_what_is_not_there_yet_is_empty(folder: Path, plan: RegionPlan) -> None:
    store = ResultStore(plan, NAMES, WINDOW)
    fill(store, plan, 1)
    region = plan.regions[0]
    rows, columns = region.rows.stop, region.columns.stop
    assert np.isnan(store.similarity[0][:, rows:]).all()
    assert np.isnan(store.similarity[0][:, :, columns:]).all()
    mask = store.masks({"round": -1, "long": -1})[0]
    assert mask[:rows, :columns].any()
    assert not mask[rows:].any()


THRESHOLDS = {"round": 0.1, "long": -0.5}


def expected_mask() -> NDArray[np.uint8]:
    similarity, winning_class = values()
    mask = np.zeros(SHAPE, np.uint8)
    mask[(winning_class == 1) & (similarity[0] > 0.1)] = 1
    mask[(winning_class == 2) & (similarity[1] > -0.5)] = 2
    return mask


@pytest.mark.parametrize(
    "part",
    [
        (slice(None), slice(None)),
        (slice(3, 80), slice(60, 70)),
        (slice(0, 1000, 7), slice(None, None, 2)),
        (5, slice(None)),
        (slice(-20, None), 3),
        (700, 5),
        slice(30, 50),
        17,
        (...,),
        (np.int64(4), np.int64(6)),
    ],
    ids=str,
)
def test_any_slice_is_that_of_the_array(store: ResultStore, part: Any) -> None:
    mask = store.masks(THRESHOLDS)[0]
    np.testing.assert_array_equal(mask[part], expected_mask()[part])
    found = page(store.similarity[0], 1)
    np.testing.assert_array_equal(found[part], values()[0][1][part])
    missing = store.no_data
    assert missing is not None
    np.testing.assert_array_equal(missing[part], np.isnan(values()[0][0])[part])


def test_they_are_arrays(store: ResultStore) -> None:
    masks = store.masks(THRESHOLDS)
    assert (masks[0].shape, masks[0].ndim, masks[0].dtype) == (SHAPE, 2, np.uint8)
    assert masks[1].shape == (551, 138)
    np.testing.assert_array_equal(np.asarray(masks[0]), expected_mask())
    assert np.asarray(masks[0], dtype=np.int32).dtype == np.int32
    found = page(store.similarity[0], 0)
    assert (found.shape, found.ndim, found.dtype) == (SHAPE, 2, np.float32)
    np.testing.assert_array_equal(np.asarray(found), values()[0][0])
    assert store.no_data is not None
    assert store.no_data.shape == SHAPE


def test_thresholds_are_moved_without_computing(store: ResultStore) -> None:
    nothing = store.masks({"round": 1, "long": 1})[0]
    assert not nothing[:].any()
    one = store.masks({"round": -1, "long": 1})[0][:]
    assert set(np.unique(one)) == {0, 1}


def test_levels_of_a_clean_mask(store: ResultStore) -> None:
    group = store.group.create_group("cleaned")
    finest = group.create_array("mask", shape=SHAPE, chunks=(64, 64), dtype="u1")
    finest[:] = expected_mask()
    levels = run_to_end(store.iter_levels(finest, group, "masks"))
    assert len(levels) == 2
    assert levels[0] is finest
    np.testing.assert_array_equal(levels[1][:], expected_mask()[::2, ::2])


def test_a_full_disk_is_told_beforehand(
    folder: Path, plan: RegionPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_dinoprompt.core.segmentation.large.free_bytes",
        lambda _: 7_000_000,
    )
    with pytest.raises(InputError, match="DINOPROMPT_CACHE"):
        ResultStore(plan, NAMES, WINDOW)
    gc.collect()
    assert list(folder.iterdir()) == []
    assert ResultStore(plan, ("object",), WINDOW).names == ("object",)


def test_a_folder_that_cannot_be_made_is_told(
    tmp_path: Path, plan: RegionPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DINOPROMPT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="DINOPROMPT_CACHE"):
        ResultStore(plan, NAMES, WINDOW)


def test_the_folder_goes_with_the_last_array(folder: Path, plan: RegionPlan) -> None:
    store = ResultStore(plan, NAMES, WINDOW)
    fill(store, plan)
    mask = store.masks(THRESHOLDS)[0]
    place = store.folder
    del store
    gc.collect()
    # Whoever still looks at the mask must not see zeros.
    np.testing.assert_array_equal(mask[:], expected_mask())
    del mask
    gc.collect()
    assert not place.exists()


class Owner:
    """Something that needs a folder."""


def test_a_scratch_folder_goes_with_its_owner(folder: Path) -> None:
    owner, other = Owner(), Owner()
    place, second = scratch_folder(owner, folder), scratch_folder(other, folder)
    assert place != second
    (place / "some.file").write_bytes(b"data")
    del owner
    gc.collect()
    assert not place.exists()
    assert second.is_dir()
    store = scratch_store(folder)
    third = Path(store.root)
    assert third.is_dir()
    del store
    gc.collect()
    assert not third.exists()


def test_what_killed_programs_left_is_removed(folder: Path) -> None:
    code = (
        "import os\n"
        "from pathlib import Path\n"
        "from napari_dinoprompt.core.io.scratch import scratch_store\n"
        f"store = scratch_store(Path({str(folder)!r}))\n"
        "print(store.root, flush=True)\n"
        "os._exit(1)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    left = Path(ended.stdout.strip())
    assert left.parent == folder
    assert left.is_dir()
    owner = Owner()
    mine = scratch_folder(owner, folder)
    # The same number on another machine that shares the folder is another program.
    number = left.name.rpartition("-")[0].rpartition("-")[2]
    assert int(number) != os.getpid()
    there = folder / f"scratch-elsewhere{platform.node()}-{number}-abc"
    there.mkdir()
    second = scratch_folder(owner, folder)
    assert not left.exists()
    assert mine.is_dir()
    assert second.is_dir()
    assert there.is_dir()


@pytest.fixture(autouse=True)
def _small_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_finely(monkeypatch)


@pytest.fixture(params=["filterbank", "toy_vit"])
def backbone(request: pytest.FixtureRequest) -> Network:
    found: Network = request.getfixturevalue(request.param)
    return found


def assemble(
    features: LazyFeatures, reference: Reference
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    shape = features.grid.shape
    maps = np.zeros((len(reference.object_classes), *shape), np.float32)
    plain = np.zeros_like(maps)
    winning_class = np.full(shape, 99, np.uint8)
    for scores in iter_scores(features, reference, features.regions.regions):
        assert not isinstance(scores, Notice)
        here = (scores.region.rows, scores.region.columns)
        maps[(slice(None), *here)] = scores.similarity
        plain[(slice(None), *here)] = scores.plain
        winning_class[here] = scores.winning_class
    return maps, plain, winning_class


def check(
    plane: NDArray[np.float32],
    backbone: Network,
    classes: tuple[str, ...],
    upscale: float = 1,
) -> None:
    whole = extract_features(plane, backbone, upscale=upscale)
    reference = Reference.from_prompts(whole, POINTS, classes)
    features = lazy_features(plane, backbone, upscale=upscale, window=whole.window)
    maps, plain, winning_class = assemble(features, reference)
    for number, name in enumerate(reference.object_classes):
        expected = similarity_map(whole, reference, name)
        np.testing.assert_allclose(maps[number], expected, atol=1e-4)
        expected = similarity_map(whole, reference, name, fitted=False)
        np.testing.assert_allclose(plain[number], expected, atol=1e-4)
    # With thresholds that let everything in, claims are the mask of the whole.
    expected_mask = score_classes(whole, reference).mask(
        dict.fromkeys(reference.object_classes, -2.0)
    )
    assert winning_class.max() <= len(reference.object_classes)
    # Two classes may be as near to each other as rounding is.
    assert (winning_class != expected_mask).mean() < 2e-4


@pytest.mark.parametrize("classes", CLASSES)
def test_regions_are_those_of_the_whole(backbone: Network, classes: str) -> None:
    check(draw_plane((131, 187)), backbone, CLASSES[classes])


@pytest.mark.parametrize("upscale", [1.37, 0.7, 2])
def test_at_any_upscale(backbone: Network, upscale: float) -> None:
    check(draw_plane((131, 187)), backbone, CLASSES["background"], upscale)


def test_in_colour_and_with_gaps(backbone: Network) -> None:
    plane = draw_plane((131, 187, 3))
    plane[70:101, 20:90, 1] = np.nan
    check(plane, backbone, CLASSES["all"])


def test_planes_smaller_than_a_region(
    backbone: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_finely(monkeypatch, 512)
    check(draw_plane((97, 103)), backbone, CLASSES["background"])


@pytest.mark.parametrize("kind", ["blank", "noise", "gap"])
def test_regions_that_show_nothing_have_no_object(
    filterbank: FilterBank, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    cut_finely(monkeypatch, 128)
    plane = draw_plane((256, 512))
    rng = np.random.default_rng(1)
    fill = {
        "blank": np.full((256, 256), 0.3),
        "noise": rng.normal(0.3, 0.3, (256, 256)),
        "gap": np.full((256, 256), np.nan),
    }
    plane[:, 256:] = fill[kind]
    features = lazy_features(plane, filterbank)
    reference = Reference.from_prompts(features, POINTS)
    maps, plain, winning_class = assemble(features, reference)
    # Rims reach over the border.
    assert (winning_class[:, 384:] == 0).all()
    assert (winning_class[:, :256] == 1).all()
    for found in (maps, plain):
        assert np.isnan(found[0, :, 384:]).all() == (kind == "gap")


def test_a_reference_that_does_not_fit_is_refused(
    filterbank: FilterBank, toy_vit: VisionTransformer
) -> None:
    plane = draw_plane((131, 187))
    features = lazy_features(plane, filterbank)
    other = Reference.from_prompts(lazy_features(plane, toy_vit), POINTS)
    with pytest.raises(IncompatibleReferenceError):
        assemble(features, other)
    nothing = Reference.from_prompts(features, POINTS, ("background",) * 5)
    with pytest.raises(InputError, match="background"):
        assemble(features, nothing)


def in_single_precision(features: FeatureMap, network: VisionTransformer) -> FeatureMap:
    class Wide(VisionTransformer):
        @property
        def kept_as(self) -> torch.dtype:
            return torch.float32

    plane = draw_plane(features.grid.shape)
    return extract_features(plane, Wide(**vars(network)), upscale=features.grid.upscale)


@pytest.mark.parametrize("upscale", [1, 2])
def test_half_precision_makes_no_difference(
    toy_vit: VisionTransformer, upscale: float
) -> None:
    half = extract_features(draw_plane((131, 187)), toy_vit, upscale=upscale)
    single = in_single_precision(half, toy_vit)
    assert (half.vectors.dtype, single.vectors.dtype) == (torch.float16, torch.float32)
    references = [
        Reference.from_prompts(features, POINTS, CLASSES["background"])
        for features in (half, single)
    ]
    # By the same vectors; the objects found may differ by a few pixels.
    maps = [similarity_map(features, references[1]) for features in (half, single)]
    assert np.abs(maps[0] - maps[1]).max() < 0.002
    np.testing.assert_allclose(references[0].areas, references[1].areas, rtol=0.02)
    angles = (references[0].unit_vectors() * references[1].unit_vectors()).sum(axis=1)
    assert angles.min() > 0.99
    masks = [
        score_classes(features, reference).mask(reference.auto_thresholds) > 0
        for features, reference in zip((half, single), references, strict=True)
    ]
    assert masks[1].any()
    assert (masks[0] & masks[1]).sum() >= 0.98 * (masks[0] | masks[1]).sum()
