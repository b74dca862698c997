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

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.geometry import CellGrid
from napari_dinoprompt.core.intensity import IntensityWindow
from napari_dinoprompt.core.progress import run_through
from napari_dinoprompt.core.streaming.regions import RegionPlan
from napari_dinoprompt.core.streaming.result_store import ResultStore, page
from napari_dinoprompt.core.streaming.scoring import RegionScores
from napari_dinoprompt.core.streaming.scratch import scratch_folder, scratch_store

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW = IntensityWindow(0, 1)
SHAPE = (1101, 275)
NAMES = ("round", "long")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DINOPROMPT_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> RegionPlan:
    monkeypatch.setattr("napari_dinoprompt.core.streaming.regions._SIDE", 192)
    return RegionPlan.of(CellGrid(SHAPE, 2, 1), 2, 512)


def values() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    similarity = rng.uniform(-1, 1, (2, *SHAPE)).astype(np.float32)
    similarity[:, 300:400, 20:40] = np.nan
    claims = rng.integers(0, 3, SHAPE).astype(np.uint8)
    claims[300:400, 20:40] = 0
    return similarity, claims


def fill(store: ResultStore, plan: RegionPlan, count: int | None = None) -> None:
    similarity, claims = values()
    for region in plan.regions[:count]:
        here = (region.rows, region.columns)
        store.put(RegionScores(region, similarity[(slice(None), *here)], claims[here]))


@pytest.fixture
def store(folder: Path, plan: RegionPlan) -> ResultStore:
    made = ResultStore(plan, NAMES, WINDOW)
    fill(made, plan)
    return made


def test_what_is_put_is_there_at_all_levels(store: ResultStore) -> None:
    similarity, claims = values()
    np.testing.assert_array_equal(store.similarity[0][:], similarity)
    np.testing.assert_array_equal(store.claims[0][:], claims)
    assert [one.shape for one in store.claims] == [(1101, 275), (551, 138)]
    assert [one.shape for one in store.similarity] == [(2, 1101, 275), (2, 551, 138)]
    padded = np.pad(similarity, ((0, 0), (0, 1), (0, 1)), mode="edge")
    halves = padded.reshape(2, 551, 2, 138, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(store.similarity[1][:], halves, atol=1e-6)
    np.testing.assert_array_equal(store.claims[1][:], claims[::2, ::2])


def test_deep_pyramids(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_dinoprompt.core.lazy_planes._SMALLEST", 32)
    monkeypatch.setattr("napari_dinoprompt.core.streaming.regions._SIDE", 192)
    plan = RegionPlan.of(CellGrid(SHAPE, 2, 1), 2, 512)
    store = ResultStore(plan, NAMES, WINDOW)
    fill(store, plan)
    _, claims = values()
    assert len(store.claims) == 6
    for level, array in enumerate(store.claims):
        np.testing.assert_array_equal(array[:], claims[:: 2**level, :: 2**level])
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
    similarity, claims = values()
    mask = np.zeros(SHAPE, np.uint8)
    mask[(claims == 1) & (similarity[0] > 0.1)] = 1
    mask[(claims == 2) & (similarity[1] > -0.5)] = 2
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
    levels = run_through(store.iter_levels(finest, group, "masks"))
    assert len(levels) == 2
    assert levels[0] is finest
    np.testing.assert_array_equal(levels[1][:], expected_mask()[::2, ::2])


def test_a_full_disk_is_told_beforehand(
    folder: Path, plan: RegionPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_dinoprompt.core.streaming.result_store.free_bytes", lambda _: 5_000_000
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
        "from napari_dinoprompt.core.streaming.scratch import scratch_store\n"
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
