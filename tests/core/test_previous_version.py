"""Files of the version before still open, go on and are found.

``tools/write_previous_version.py`` wrote them.
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


def test_references_hold_what_is_made_today(filterbank) -> None:
    old = dp.Reference.load(FILES / "references" / "first.reference.safetensors")
    features = dp.extract_features(read("first"), filterbank)
    new = dp.Reference.from_prompts(features, old.points, old.classes, source="first")
    assert new.backbone == old.backbone
    assert new.sources[0].content_hash == old.sources[0].content_hash
    np.testing.assert_allclose(new.vectors, old.vectors, atol=1e-5)
    assert new.auto_thresholds == pytest.approx(dict(old.auto_thresholds), abs=1e-4)


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
def test_a_batch_goes_on(tmp_path) -> None:
    output = continue_batch(tmp_path)
    # The first image was finished, the second was begun.
    for kind in ("mask", "instances", "similarity"):
        name = f"first_{kind}.tif"
        assert (output / name).read_bytes() == (FILES / "batch" / name).read_bytes()
    with (output / "segmentation.csv").open(encoding="utf-8") as file:
        now = list(csv.DictReader(file))
    with (FILES / "batch" / "segmentation.csv").open(encoding="utf-8") as file:
        before = list(csv.DictReader(file))
    assert [list(row) for row in now] == [list(row) for row in before]
    for kind in ("results", "class", "class_number", "objects"):
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
def test_a_stack_goes_on(tmp_path, filterbank) -> None:
    store = shutil.copytree(FILES / "stack.zarr", tmp_path / "stack.zarr")
    begun = zarr.open_group(store, mode="r+")
    begun["similarity_1"][0] = 0.125
    options = dp.SegmentOptions(cleaning=CLEANING)
    reference = dp.Reference.load(JOINED)
    found = dp.segment_stack(read("stack"), reference, filterbank, options, store=store)
    assert (found.similarity[0] == 0.125).all()  # not computed again
    whole = dp.segment_stack(read("stack"), reference, filterbank, options)
    np.testing.assert_array_equal(found.mask[1:], whole.mask[1:])
    np.testing.assert_allclose(found.similarity[1:], whole.similarity[1:], atol=1e-4)
    assert np.unique(found.instances).size == np.unique(whole.instances).size


def test_a_stack_of_other_settings_is_not_gone_on_with(tmp_path, filterbank) -> None:
    store = shutil.copytree(FILES / "stack.zarr", tmp_path / "stack.zarr")
    with pytest.raises(dp.DinopromptError):
        dp.segment_stack(
            read("stack"), dp.Reference.load(JOINED), filterbank, store=store
        )


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
