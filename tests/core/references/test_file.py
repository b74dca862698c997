"""Reference files: whole or not at all, and one error for every kind of damage."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from reference_strategies import assert_same_reference, references
from safetensors import safe_open
from safetensors.numpy import save_file

from napari_dinoprompt.core.errors import ReferenceFileError
from napari_dinoprompt.core.images.intensity import IntensityWindow
from napari_dinoprompt.core.references.file import SUFFIX, read_header
from napari_dinoprompt.core.references.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@settings(deadline=None, max_examples=60)
@given(reference=references())
def test_what_is_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, reference: Reference
) -> None:
    folder = tmp_path_factory.mktemp("round")
    path = reference.save(folder / "ä b")
    assert path == folder / f"ä b{SUFFIX}"
    assert_same_reference(Reference.load(path), reference)
    assert os.listdir(folder) == [path.name]


@pytest.mark.parametrize(
    "name", ["a", "a.safetensors", "a.reference", "a.reference.safetensors"]
)
def test_the_suffix_is_added_where_it_is_missing(
    blob_reference: Reference, tmp_path: Path, name: str
) -> None:
    assert blob_reference.save(tmp_path / name).name == "a.reference.safetensors"
    assert Reference.load(str(tmp_path / "a.reference.safetensors"))


def test_a_dot_in_the_name_is_kept(blob_reference: Reference, tmp_path: Path) -> None:
    path = blob_reference.save(tmp_path / "scan.v2")
    assert path.name == "scan.v2.reference.safetensors"


def test_folders_are_made(blob_reference: Reference, tmp_path: Path) -> None:
    assert blob_reference.save(tmp_path / "new" / "er" / "a").is_file()


def test_numbers_of_numpy_are_written_as_numbers(
    blob_features, blobs, tmp_path: Path
) -> None:
    """As they come from ``image.min()``, ``threshold_otsu`` or an array of factors."""
    from napari_dinoprompt.core.tiling.grid import CellGrid

    image = blobs.image
    features = replace(
        blob_features,
        window=IntensityWindow(image.min(), image.max()),
        grid=CellGrid(image.shape, 2, np.float32(1)),
    )
    reference = Reference.from_prompts(features, blobs.centres[:3])
    reference = reference.with_thresholds({"object": np.float32(0.5)})
    loaded = Reference.load(reference.save(tmp_path / "a"))
    assert loaded.window == IntensityWindow(float(image.min()), float(image.max()))
    assert loaded.thresholds["object"] == 0.5
    assert loaded.upscale == 1


def test_the_file_holds_no_pickle_and_says_what_it_is(
    blob_reference: Reference, tmp_path: Path
) -> None:
    with safe_open(blob_reference.save(tmp_path / "a"), framework="numpy") as file:
        header = json.loads(file.metadata()["napari-dinoprompt"])
        numbers = {"vectors", "points", "areas", "source_of", "mean", "scale"}
        assert set(file.keys()) == numbers
    assert header["format_version"] == 2
    assert header["backbone"]["name"] == "filterbank"
    assert header["software_version"]


def test_a_full_disk_leaves_the_old_file_and_no_rubbish(
    blob_reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = blob_reference.save(tmp_path / "a")
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    changed = blob_reference.with_thresholds({"object": 0.1})
    with pytest.raises(ReferenceFileError, match="the disk is full"):
        changed.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]
    monkeypatch.undo()
    changed.save(path)
    assert Reference.load(path).thresholds == {"object": 0.1}


def test_an_interrupted_write_leaves_the_old_file(
    blob_reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = blob_reference.save(tmp_path / "a")
    before = path.read_bytes()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        blob_reference.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_a_place_that_is_none_is_an_error(
    blob_reference: Reference, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReferenceFileError, match="cannot be written"):
        blob_reference.save(tmp_path / "file" / "a")
    (tmp_path / f"folder{SUFFIX}").mkdir()
    with pytest.raises(ReferenceFileError, match="cannot be written"):
        blob_reference.save(tmp_path / "folder")
    assert sorted(os.listdir(tmp_path)) == ["file", f"folder{SUFFIX}"]


def refused(path: Path, match: str | None = None) -> None:
    for read in (Reference.load, read_header):
        with pytest.raises(ReferenceFileError, match=match) as error:
            read(path)
        message = str(error.value)
        assert "\n" not in message
        assert path.name in message


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.reference.safetensors", "no reference file")
    refused(tmp_path, "no reference file")


def test_foreign_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"vectors": np.ones((2, 2))}, path)
    refused(path, "not a reference")


def rewrite(path: Path, change: Callable[[dict, dict], None]) -> None:
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["napari-dinoprompt"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    change(header, tensors)
    save_file(tensors, path, metadata={"napari-dinoprompt": json.dumps(header)})


def test_a_file_of_the_first_version_stands_for_points(
    blob_reference: Reference, tmp_path: Path
) -> None:
    def write_as_then(header: dict, tensors: dict) -> None:
        header.update(format_version=1)
        del tensors["areas"]

    assert (blob_reference.areas > 0).all()
    path = blob_reference.save(tmp_path / "a")
    rewrite(path, write_as_then)
    assert read_header(path).format_version == 1
    opened = Reference.load(path)
    points = np.zeros_like(blob_reference.areas)
    assert_same_reference(opened, replace(blob_reference, areas=points))
    # Saved again it is of today's version.
    assert read_header(opened.save(path)).format_version == 2
    assert_same_reference(Reference.load(path), opened)


def test_a_file_from_a_newer_version_is_refused_politely(
    blob_reference: Reference, tmp_path: Path
) -> None:
    path = blob_reference.save(tmp_path / "a")
    rewrite(path, lambda h, t: h.update(format_version=3, software_version="9.9"))
    refused(path, r"newer napari-dinoprompt \(9\.9\); please update")


DAMAGE: dict[str, Callable[[dict, dict], object]] = {
    "no version": lambda h, t: h.pop("format_version"),
    "version is text": lambda h, t: h.update(format_version="1"),
    "no classes": lambda h, t: h.pop("classes"),
    "a class short": lambda h, t: h["classes"].pop(),
    "no prompts": lambda h, t: (
        h.update(classes=[]),
        t.update(vectors=t["vectors"][:0]),
    ),
    "no vectors": lambda h, t: t.pop("vectors"),
    "vector too long": lambda h, t: t.update(vectors=np.ones((5, 41), np.float32)),
    "points in 3-D": lambda h, t: t.update(points=np.ones((5, 3))),
    "no areas": lambda h, t: t.pop("areas"),
    "an area short": lambda h, t: t.update(areas=np.ones(4)),
    "areas in the first version": lambda h, t: h.update(format_version=1),
    "no sources": lambda h, t: h.update(sources=[]),
    "source without shape": lambda h, t: h["sources"][0].pop("shape"),
    "scoring unknown": lambda h, t: h.update(scoring="magic"),
    "window upside down": lambda h, t: h.update(window={"low": 2, "high": 1}),
    "window is text": lambda h, t: h.update(window={"low": "a", "high": "b"}),
    "window is a list": lambda h, t: h.update(window=[0, 1]),
    "backbone incomplete": lambda h, t: h["backbone"].pop("patch"),
    "backbone is text": lambda h, t: h.update(backbone="filterbank"),
    "a key too many": lambda h, t: h.update(more=1),
    "a tensor too many": lambda h, t: t.update(more=np.ones(2)),
    "vectors of another type": lambda h, t: t.update(
        vectors=t["vectors"].astype(np.float64)
    ),
    "a class is a number": lambda h, t: h["classes"].__setitem__(0, 7),
    "a class is half a letter": lambda h, t: (
        h["classes"].__setitem__(0, "\ud800"),
        h["auto_thresholds"].update({"\ud800": 0.5}),
    ),
    "a class without end": lambda h, t: h.update(
        classes=["a" * 5000] * 5, auto_thresholds={"a" * 5000: 0.5}
    ),
    "plane is negative": lambda h, t: h["planes"].__setitem__(0, [-1]),
    "plane is a fraction": lambda h, t: h["planes"].__setitem__(0, [1.5]),
    "a plane short": lambda h, t: h["planes"].pop(),
    "block below -1": lambda h, t: h["backbone"].update(block=-2),
    "block is true": lambda h, t: h["backbone"].update(block=True),
    "patch is zero": lambda h, t: h["backbone"].update(patch=0),
    "dimension without end": lambda h, t: h["backbone"].update(dimension=10**15),
    "dimension beyond floats": lambda h, t: h["backbone"].update(dimension=10**400),
    "upscale beyond floats": lambda h, t: h.update(upscale=10**400),
    "upscale without end": lambda h, t: h.update(upscale=1e300),
    "window is infinite": lambda h, t: h.update(window={"low": 0, "high": 1e999}),
    "source in 3-D": lambda h, t: h["sources"][0].update(shape=[9, 9, 9]),
    "source without pixels": lambda h, t: h["sources"][0].update(shape=[0, 9]),
    "pixel size is zero": lambda h, t: h["sources"][0].update(pixel_size=[0, 1]),
    "pixel size is one": lambda h, t: h["sources"][0].update(pixel_size=1.0),
    "content hash is none": lambda h, t: h["sources"][0].update(content_hash="../a"),
    "count is zero": lambda h, t: h.update(statistics_count=0),
    "threshold out of range": lambda h, t: h.update(thresholds={"object": 7}),
    "threshold of no class": lambda h, t: h.update(thresholds={"other": 0.5}),
    "thresholds are a list": lambda h, t: h.update(thresholds=[0.5]),
    "thresholds are null": lambda h, t: h.update(thresholds=None),
    "auto thresholds are a list": lambda h, t: h.update(auto_thresholds=[0.5]),
    "no auto threshold": lambda h, t: h.update(auto_thresholds={}),
    "auto threshold is NaN": lambda h, t: h.update(
        auto_thresholds={"object": float("nan")}
    ),
    "upscale is text": lambda h, t: h.update(upscale="two"),
    "upscale is zero": lambda h, t: h.update(upscale=0),
    "upscale is NaN": lambda h, t: h.update(upscale=float("nan")),
}


NUMBERS: dict[str, Callable[[dict], object]] = {
    "NaN": lambda t: t["vectors"].__setitem__((0, 0), np.nan),
    "infinite mean": lambda t: t["mean"].__setitem__(0, np.inf),
    "scale is NaN": lambda t: t["scale"].__setitem__(0, np.nan),
    "scale is negative": lambda t: t["scale"].__setitem__(0, -1),
    "vector overflows when squared": lambda t: t["vectors"].__setitem__((0, 0), 3e37),
    "scale is next to nothing": lambda t: t["scale"].__setitem__(0, 1e-30),
    "point is NaN": lambda t: t["points"].__setitem__((0, 1), np.nan),
    "point outside": lambda t: t["points"].__setitem__((0, 1), 1e6),
    "point before the edge": lambda t: t["points"].__setitem__((0, 1), -0.6),
    "source out of range": lambda t: t["source_of"].__setitem__(0, 7),
    "area is infinite": lambda t: t["areas"].__setitem__(0, np.inf),
    "area is negative": lambda t: t["areas"].__setitem__(0, -1),
    "negative source": lambda t: t["source_of"].__setitem__(0, -1),
}


@pytest.mark.parametrize("damage", NUMBERS)
def test_impossible_numbers_are_refused(
    blob_reference: Reference, tmp_path: Path, damage: str
) -> None:
    path = blob_reference.save(tmp_path / "a")
    rewrite(path, lambda _, tensors: NUMBERS[damage](tensors))
    with pytest.raises(ReferenceFileError, match=r"a\.reference.* is damaged"):
        Reference.load(path)


def test_what_could_not_be_read_is_not_written(
    blob_reference: Reference, tmp_path: Path
) -> None:
    path = blob_reference.save(tmp_path / "a")
    before = path.read_bytes()
    vectors = blob_reference.vectors.copy()
    vectors[0, 0] = np.nan
    for impossible in (
        replace(blob_reference, vectors=vectors),
        replace(blob_reference, upscale=np.inf),
        replace(blob_reference, vectors=vectors[:2]),
        replace(blob_reference, auto_thresholds={}),
    ):
        with pytest.raises(ReferenceFileError, match="cannot be saved"):
            impossible.save(path)
    assert path.read_bytes() == before


def test_the_summary_says_what_the_reference_is(
    blob_reference: Reference, tmp_path: Path
) -> None:
    classes = ("a", "b", "background", "a", "a")
    reference = replace(
        blob_reference, classes=classes, auto_thresholds={"a": 0.5, "b": 0.25}
    ).with_thresholds({"b": 0.75})
    summary = read_header(reference.save(tmp_path / "a"))
    assert summary.backbone == reference.backbone
    assert summary.classes == classes
    assert summary.sources == reference.sources
    assert summary.upscale == reference.upscale
    assert summary.thresholds == {"b": 0.75}
    assert summary.auto_thresholds == {"a": 0.5, "b": 0.25}
    assert summary.format_version == 2
    assert summary.software_version


def test_the_summary_does_not_read_the_numbers(
    blob_reference: Reference, tmp_path: Path
) -> None:
    path = blob_reference.save(tmp_path / "a")
    rewrite(path, lambda _, tensors: NUMBERS["NaN"](tensors))
    assert read_header(path).classes == ("object",) * 5


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_contents_are_refused(
    blob_reference: Reference, tmp_path: Path, damage: str
) -> None:
    path = blob_reference.save(tmp_path / "a")
    rewrite(path, DAMAGE[damage])
    refused(path)


@pytest.mark.parametrize(
    "header", ["", "[]", "3", "null", "{", '{"format_version": 1}']
)
def test_headers_that_are_none_are_refused(
    blob_reference: Reference, tmp_path: Path, header: str
) -> None:
    path = blob_reference.save(tmp_path / "a")
    save_file({"a": np.ones(2)}, path, metadata={"napari-dinoprompt": header})
    refused(path)
