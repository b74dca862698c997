"""Reference files: whole or not at all, and one error for every kind of damage."""

from __future__ import annotations

import errno
import json
import os
import string
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from napari_dinoprompt.core.backbones.base import BackboneInfo
from napari_dinoprompt.core.errors import ReferenceFileError
from napari_dinoprompt.core.intensity import IntensityWindow
from napari_dinoprompt.core.reference import Reference, Source
from napari_dinoprompt.core.reference_file import SUFFIX
from napari_dinoprompt.core.statistics import FeatureStatistics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

names = st.text(string.ascii_letters + "äöüßµ 日本\"'\\/{}\n", min_size=1, max_size=12)


@st.composite
def references(draw: st.DrawFn) -> Reference:
    count, dimension = draw(st.integers(1, 8)), draw(st.integers(1, 9))
    classes = tuple(draw(st.lists(names, min_size=count, max_size=count)))
    sources = tuple(
        Source(draw(names), (draw(st.integers(1, 9999)), draw(st.integers(1, 9999))))
        for _ in range(draw(st.integers(1, 3)))
    )
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    low = draw(st.floats(-1e6, 1e6))
    used = sorted(set(classes))
    depth = draw(st.integers(0, 3))
    limits = st.dictionaries(st.sampled_from(used), st.floats(-1, 1))
    return Reference(
        vectors=rng.normal(size=(count, dimension)).astype(np.float32),
        classes=classes,
        points=rng.uniform(-0.5, 500, (count, 2)),
        planes=tuple(
            draw(
                st.lists(
                    st.tuples(*[st.integers(0, 99)] * depth),
                    min_size=count,
                    max_size=count,
                )
            )
        ),
        sources=sources,
        source_of=rng.integers(0, len(sources), count),
        backbone=BackboneInfo(
            draw(names), draw(st.integers(-1, 40)), 14, dimension, "0f" * 32
        ),
        upscale=draw(st.floats(0.05, 20)),
        window=IntensityWindow(low, low + draw(st.floats(0, 1e6))),
        statistics=FeatureStatistics(
            rng.normal(size=dimension).astype(np.float32),
            rng.random(dimension).astype(np.float32),
            draw(st.integers(1, 10**9)),
        ),
        scoring=draw(st.sampled_from(["plain", "centred", "standardised"])),
        auto_thresholds=draw(
            st.fixed_dictionaries({name: st.floats(-1, 1) for name in used})
        ),
        thresholds=draw(limits),
    )


def assert_equal(found: Reference, expected: Reference) -> None:
    for name in ("vectors", "points", "source_of"):
        mine, its = getattr(found, name), getattr(expected, name)
        np.testing.assert_array_equal(mine, its)
        assert mine.dtype == its.dtype
    np.testing.assert_array_equal(found.statistics.mean, expected.statistics.mean)
    np.testing.assert_array_equal(found.statistics.scale, expected.statistics.scale)
    assert found.statistics.count == expected.statistics.count
    assert found.planes == expected.planes
    for name in ("classes", "sources", "backbone", "upscale", "window", "scoring"):
        assert getattr(found, name) == getattr(expected, name)
    assert dict(found.auto_thresholds) == dict(expected.auto_thresholds)
    assert dict(found.thresholds) == dict(expected.thresholds)


@settings(deadline=None, max_examples=60)
@given(reference=references())
def test_what_is_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, reference: Reference
) -> None:
    folder = tmp_path_factory.mktemp("round")
    path = reference.save(folder / "ä b")
    assert path == folder / f"ä b{SUFFIX}"
    assert_equal(Reference.load(path), reference)
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
    from dataclasses import replace

    from napari_dinoprompt.core.geometry import CellGrid

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
        assert set(file.keys()) == {"vectors", "points", "source_of", "mean", "scale"}
    assert header["format_version"] == 1
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
    with pytest.raises(ReferenceFileError, match="No space left"):
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
    with pytest.raises(ReferenceFileError, match=match) as error:
        Reference.load(path)
    message = str(error.value)
    assert "\n" not in message
    assert path.name in message


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.reference.safetensors", "no reference file")
    refused(tmp_path, "no reference file")


@pytest.mark.parametrize("share", [0, 0.001, 0.05, 0.5, 0.99])
def test_truncated_files_are_refused(
    blob_reference: Reference, tmp_path: Path, share: float
) -> None:
    path = blob_reference.save(tmp_path / "a")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path)


@settings(deadline=None, max_examples=60)
@given(content=st.binary(max_size=80))
def test_any_bytes_at_all_give_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"a{SUFFIX}"
    path.write_bytes(content)
    refused(path)


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_a_flipped_byte_gives_that_error_or_a_reference(
    blob_reference: Reference,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    path = blob_reference.save(tmp_path_factory.mktemp("flip") / "a")
    content = bytearray(path.read_bytes())
    header = int.from_bytes(content[:8], "little")
    content[data.draw(st.integers(0, header + 8))] = data.draw(st.integers(32, 126))
    path.write_bytes(content)
    try:
        assert isinstance(Reference.load(path), Reference)
    except ReferenceFileError as error:
        assert "\n" not in str(error)


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


def test_a_file_from_a_newer_version_is_refused_politely(
    blob_reference: Reference, tmp_path: Path
) -> None:
    path = blob_reference.save(tmp_path / "a")
    rewrite(path, lambda h, t: h.update(format_version=2, software_version="9.9"))
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
    "NaN": lambda h, t: t["vectors"].__setitem__((0, 0), np.nan),
    "infinite mean": lambda h, t: t["mean"].__setitem__(0, np.inf),
    "points in 3-D": lambda h, t: t.update(points=np.ones((5, 3))),
    "no sources": lambda h, t: h.update(sources=[]),
    "source out of range": lambda h, t: t["source_of"].__setitem__(0, 7),
    "negative source": lambda h, t: t["source_of"].__setitem__(0, -1),
    "source without shape": lambda h, t: h["sources"][0].pop("shape"),
    "scoring unknown": lambda h, t: h.update(scoring="magic"),
    "window upside down": lambda h, t: h.update(window={"low": 2, "high": 1}),
    "window is text": lambda h, t: h.update(window={"low": "a", "high": "b"}),
    "window is a list": lambda h, t: h.update(window=[0, 1]),
    "backbone incomplete": lambda h, t: h["backbone"].pop("patch"),
    "backbone is text": lambda h, t: h.update(backbone="filterbank"),
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
