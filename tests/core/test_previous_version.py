"""Files of the version before still open and are found.

Vectors in them are of points, and background prompts competed. What was begun with the
old rules is therefore not gone on with.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from fixed_vit import FIXED_VIT, write_fixed_vit
from small_stack import DIM, DISCS, EMPTY

import napari_dinoprompt as dp
from napari_dinoprompt import cli
from napari_dinoprompt.core.autosave.files import find_records
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.fingerprint import fingerprint_image
from napari_dinoprompt.core.images.lazy_plane import LazyPlane
from napari_dinoprompt.core.io import atomic
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.references.library import Library

FILES = Path(__file__).parents[1] / "data" / "previous_version"
IMAGES = FILES / "images"
JOINED = FILES / "references" / "joined.reference.safetensors"
CHANGED = 1_700_000_000
CLEANING = dp.Cleaning(min_size=12, fill_holes=True)


def read(name: str) -> np.ndarray:
    return tifffile.imread(IMAGES / f"{name}.tif")


@pytest.fixture
def filterbank():
    return dp.load_backbone("filterbank", device="cpu")


@pytest.fixture
def _same_version(monkeypatch) -> None:
    """Let this be the version that wrote the files: another one resumes nothing."""
    monkeypatch.setattr(atomic, "version", lambda _: "0.1.0")


# --- references --------------------------------------------------------------


def test_references_open(filterbank) -> None:
    first = dp.Reference.load(FILES / "references" / "first.reference.safetensors")
    joined = dp.Reference.load(JOINED)
    assert first.classes == ("object", "object", "object", "dim", "background")
    np.testing.assert_array_equal(first.points, [*DISCS, DIM, EMPTY])
    assert [one.name for one in joined.sources] == ["first", "second"]
    assert joined.sources[0].pixel_size == (0.5, 0.25)
    assert joined.thresholds == {"object": 0.5}
    assert joined.class_names == ("object", "dim", "background")
    assert [len(one.vectors) for one in (first, joined, first + joined)] == [5, 10, 10]


def test_references_hold_what_points_give_today(filterbank) -> None:
    old = dp.Reference.load(FILES / "references" / "first.reference.safetensors")
    features = dp.extract_features(read("first"), filterbank)
    new = dp.Reference.from_prompts(
        features, old.points, old.classes, source="first", points_only=True
    )
    assert new.backbone == old.backbone
    assert new.sources[0].content_hash == old.sources[0].content_hash
    np.testing.assert_allclose(new.vectors, old.vectors, atol=1e-5)
    np.testing.assert_array_equal(new.areas, old.areas)
    assert new.auto_thresholds.keys() == old.auto_thresholds.keys()


def test_references_are_joined_with_those_of_today(filterbank) -> None:
    old = dp.Reference.load(FILES / "references" / "first.reference.safetensors")
    features = dp.extract_features(read("second"), filterbank)
    new = dp.Reference.from_prompts(features, DISCS, source="second")
    joined = old + new
    assert joined.areas.tolist() == [0] * 5 + new.areas.tolist()
    assert (new.areas > 0).all()
    assert dp.segment(read("first"), joined, filterbank).objects > 0


def test_stored_vectors_give_the_same_maps(filterbank) -> None:
    reference = dp.Reference.load(JOINED)
    found = dp.segment(read("first"), reference, filterbank).similarity
    before = tifffile.imread(FILES / "batch" / "first_similarity.tif")
    np.testing.assert_allclose(found, before[0], atol=1e-4)
    stack = zarr.open_group(FILES / "stack.zarr", mode="r")
    found = dp.segment(read("stack")[0], reference, filterbank).similarity
    np.testing.assert_allclose(found, stack["similarity_1"][0], atol=1e-4)


def test_references_are_found_in_a_library(tmp_path) -> None:
    shutil.copytree(FILES / "references", tmp_path / "library")
    found = Library(tmp_path / "library").entries()
    assert [(one.name, one.error) for one in found] == [("first", ""), ("joined", "")]


# --- results of many images --------------------------------------------------


def continue_batch(tmp_path: Path) -> Path:
    """Put the folder elsewhere, with the images, and run the same command again."""
    shutil.copytree(IMAGES, tmp_path / "images")
    output = shutil.copytree(FILES / "batch", tmp_path / "batch")
    images = [tmp_path / "images" / f"{name}.tif" for name in ("first", "second")]
    for image in images:
        os.utime(image, (CHANGED, CHANGED))
    noted = output / "first_record.json"
    record = json.loads(noted.read_text("utf-8"))
    record["job"]["image"] = str(images[0].resolve())
    noted.write_text(json.dumps(record, indent=1), "utf-8")
    words = ["segment", *images, "--reference", JOINED, "--output", output]
    words += ["--min-size", 12, "--fill-holes", "--device", "cpu"]
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    assert not ended.value.code
    return output


@pytest.mark.usefixtures("_same_version")
def test_a_batch_is_done_anew(tmp_path) -> None:
    """Also what was finished: masks of the old rules among new ones would mislead."""
    output = continue_batch(tmp_path)
    kept, anew = (
        tifffile.imread(folder / "first_similarity.tif")
        for folder in (FILES / "batch", output)
    )
    np.testing.assert_allclose(anew, kept, atol=1e-4)
    name = "first_record.json"
    kept, anew = (
        json.loads((folder / name).read_text("utf-8"))["job"]["settings"]
        for folder in (FILES / "batch", output)
    )
    assert kept != anew
    with (output / "segmentation.csv").open(encoding="utf-8") as file:
        now = list(csv.DictReader(file))
    with (FILES / "batch" / "segmentation.csv").open(encoding="utf-8") as file:
        before = list(csv.DictReader(file))
    assert [list(row) for row in now] == [list(row) for row in before]
    for kind in ("results", "class", "class_number", "threshold"):
        assert [row[kind] for row in now] == [row[kind] for row in before]
    assert tifffile.imread(output / "second_mask.tif").max() == 2


def test_another_version_does_a_batch_anew(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(atomic, "version", lambda _: "0.1.1")
    output = continue_batch(tmp_path)
    record = json.loads((output / "first_record.json").read_text("utf-8"))
    before = json.loads((FILES / "batch" / "first_record.json").read_text("utf-8"))
    assert record["job"]["settings"] != before["job"]["settings"]
    assert list(record) == list(before)
    assert list(record["job"]) == list(before["job"])


# --- stacks ------------------------------------------------------------------


@pytest.mark.usefixtures("_same_version")
def test_a_stack_is_left_as_it_is_and_done_elsewhere(tmp_path, filterbank) -> None:
    store = shutil.copytree(FILES / "stack.zarr", tmp_path / "stack.zarr")
    options = dp.SegmentOptions(cleaning=CLEANING)
    reference = dp.Reference.load(JOINED)
    with pytest.raises(InputError, match=r"stack\.zarr holds results of .* version"):
        dp.segment_stack(read("stack"), reference, filterbank, options, store=store)
    begun = sorted(path for path in FILES.rglob("stack.zarr/**/*") if path.is_file())
    for path in begun:
        assert (tmp_path / path.relative_to(FILES)).read_bytes() == path.read_bytes()
    assert len([path for path in store.rglob("*") if path.is_file()]) == len(begun)
    found = dp.segment_stack(
        read("stack"), reference, filterbank, options, store=tmp_path / "new.zarr"
    )
    assert {int(plane.max()) for plane in found.mask} == {2}


# --- features ----------------------------------------------------------------


def test_features_are_found(tmp_path, monkeypatch) -> None:
    cache = shutil.copytree(FILES / "features", tmp_path / "features")
    weights = write_fixed_vit(tmp_path / "weights.safetensors")

    def extract() -> np.ndarray:
        backbone = dp.load_backbone(
            FIXED_VIT, checkpoint=weights, device="cpu", precision="fp32"
        )
        return dp.extract_features(read("first"), backbone).vectors.numpy()

    monkeypatch.setenv("DINOPROMPT_CACHE_GB", "0")
    computed = extract()
    monkeypatch.delenv("DINOPROMPT_CACHE_GB")
    monkeypatch.setenv("DINOPROMPT_CACHE", str(cache))
    (tile,) = cache.rglob("*.tile")
    os.utime(tile, (CHANGED, CHANGED))
    np.testing.assert_allclose(extract(), computed, rtol=1e-2, atol=1e-2)
    assert list(cache.rglob("*.tile")) == [tile]  # under the same name
    assert tile.stat().st_mtime > CHANGED  # and it was used
    assert tile.read_bytes() == (FILES / tile.relative_to(tmp_path)).read_bytes()


# --- prompts kept after a crash ----------------------------------------------


def test_kept_prompts_are_found(tmp_path) -> None:
    folder = shutil.copytree(FILES / "prompts", tmp_path / "prompts")
    image = read("first")
    steps = fingerprint_image(lambda index: LazyPlane(image, index), ())
    (found,) = find_records(folder, run_to_end(steps))
    record = found.record
    assert record.image == "first"
    assert record.classes == ("object", "dim", "background")
    assert record.points == ((12.5, 12.5), (34.5, 46.5), (24.5, 30.5))
    assert record.placed == ((6.25, 3.125), (17.25, 11.625), (12.25, 7.625))
    assert record.thresholds == {"dim": 0.25}
    assert record.settings.upscale == 2
    assert record.settings.classes == ("object", "background", "dim", "unused")
    assert record.settings.cleaning == CLEANING


# --- comparisons -------------------------------------------------------------


def test_a_comparison_is_written_as_before(tmp_path, filterbank) -> None:
    before = FILES / "comparison"
    folder = shutil.copytree(before, tmp_path / "comparison")
    real = read("first")
    found = dp.compare(
        real,
        read("second"),
        dp.Reference.load(JOINED),
        backbone=filterbank,
        truth=(real > 110).astype(np.uint8),
        options=dp.SegmentOptions(cleaning=CLEANING),
        names=["fake"],
        draws=2,
    )
    found.save(folder)
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in before.iterdir()
    }
    old, new = (
        json.loads((place / "comparison.json").read_text("utf-8"))
        for place in (before, folder)
    )
    assert list(new) == list(old)
    for key in ("agreement_values", "columns", "intervals", "note"):
        assert new[key] == old[key]
    for was, now in zip(old["table"], new["table"], strict=True):
        assert list(now) == list(was)
        for column in ("name", "objects_in_fake", "matched", "only_in_fake"):
            assert now[column] == was[column]
        assert now["iou"] == pytest.approx(was["iou"], abs=0.02)
    for name in ("comparison.csv", "objects.csv"):
        header = [
            (place / name).read_text("utf-8").partition("\n")[0]
            for place in (before, folder)
        ]
        assert header[0] == header[1]
