"""Files that may come from anywhere, tried on everything that reads them."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

import napari_dinoprompt as dp
from napari_dinoprompt.core.backbones.checkpoints import load_weights, read_checkpoint
from napari_dinoprompt.core.io.points import read_prompts, write_prompts
from napari_dinoprompt.core.references.file import encode_reference, read_header
from napari_dinoprompt.core.references.library import Library

from . import choices, subjects, whole_files
from .checks import expect
from .damage import damaged, edits

if TYPE_CHECKING:
    from collections.abc import Iterator

Case = dict[str, Any]
_SUFFIX = ".reference.safetensors"


def cases(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    return st.fixed_dictionaries(parts)


@contextmanager
def written(name: str, content: bytes) -> Iterator[Path]:
    """Write a file, and see afterwards that it is as it was."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            yield path
        finally:
            expect(path.read_bytes() == content, "the file is not changed")
            expect(os.listdir(folder) == [name], "no other file is left")


def either(whole: Any, case: Case) -> bytes:
    """Damage a good file, or take bytes that were never one."""
    return case["content"] if case.get("content") else damaged(whole, case["edits"])


CONTENT = st.integers(0, 9).flatmap(
    lambda n: st.binary(max_size=80) if n == 9 else st.none()
)

REFERENCES = cases(edits=edits, content=CONTENT)


def try_reference(case: Case) -> None:
    """A reference file: opened, described, used."""
    content = either(whole_files.reference_file(), case)
    with written(f"a{_SUFFIX}", content) as path:
        found = dp.Reference.load(path)
        read_header(path)
        expect(np.isfinite(found.unit_vectors()).all(), "unit vectors are finite")
        encode_reference(found)
        found.check_backbone(subjects.backbone("filterbank").info)
        image = whole_files.stack_of_store()[0]
        dp.segment(image, found, subjects.backbone("filterbank"))


LIBRARIES = cases(
    changes=st.lists(edits, min_size=1, max_size=2),
    name=choices.names,
    extra=st.sampled_from(["none", "folder", "link", "loop", "pipe", "hidden"]),
)


def try_library(case: Case) -> None:
    """A folder of references, and what else may lie in it."""
    whole = whole_files.reference_file()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "library"
        outside = Path(place) / f"outside{_SUFFIX}"
        outside.write_bytes(whole)
        folder.mkdir()
        for number, change in enumerate(case["changes"]):
            (folder / f"{number}{_SUFFIX}").write_bytes(damaged(whole, change))
        extra = folder / f"extra{_SUFFIX}"
        match case["extra"]:
            case "folder":
                extra.mkdir()
            case "link":
                extra.symlink_to(outside)
            case "loop":
                extra.symlink_to(extra)
            case "pipe":
                os.mkfifo(extra)
            case "hidden":
                (folder / f".x{_SUFFIX}").write_bytes(whole)
        library = Library(folder)
        added = library.add(subjects.reference("uint8"), case["name"])
        expect(added.path.parent == folder, "it lies in the library")
        for entry in library.entries():
            expect(bool(entry.error) == (entry.summary is None), "an error is said")
            expect("\n" not in entry.error, "in one line")
            renamed = entry
            if not entry.path.is_dir():
                renamed = library.rename(entry, case["name"] + "2")
                library.remove(renamed)
            expect(outside.read_bytes() == whole, "nothing outside is touched")
        library.import_file(outside)


_CELLS = st.sampled_from(
    ["1", "2.5", "-3", "nan", "inf", "1e400", "", "x", '"', "=1+1", "1_0", "٣", "0x1"]
)
_HEADERS = (
    *("index,axis-0,axis-1,class", "axis-0,axis-1", "axis-1, axis-0", "x,y", ""),
    *("index,axis-0,axis-1,axis-2", "axis-0;axis-1", "axis-0,axis-1,class,class"),
)
POINTS = cases(
    text=st.none()
    | st.lists(st.lists(_CELLS, max_size=5).map(",".join), max_size=4).map("\n".join),
    header=st.sampled_from(_HEADERS),
    edits=edits,
    content=CONTENT,
)


def try_points(case: Case) -> None:
    """A points CSV."""
    whole = b"index,axis-0,axis-1,class\n0,1.5,2,object\n1,3,4,background\n"
    content = either(whole, case)
    if case["text"] is not None:
        content = f"{case['header']}\n{case['text']}".encode()
    with written("a.csv", content) as path:
        found = read_prompts(path)
    expect(np.isfinite(found.points).all(), "points are finite")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b.csv"
        write_prompts(path, found)
        again = read_prompts(path)
    expect((again.points == found.points).all(), "what is written is read again")


CHECKPOINTS = cases(
    kind=st.sampled_from(["safetensors", "pth", "old", "small"]),
    edits=edits,
    content=CONTENT,
)


def try_checkpoint(case: Case) -> None:
    """Weights: safetensors and PyTorch files."""
    from toy_dinov2 import build_toy

    kind = case["kind"]
    content = either(whole_files.checkpoint(kind), case)
    name = "a.safetensors" if kind == "safetensors" else "a.pth"
    with written(name, content) as path:
        read_checkpoint(path)
        load_weights(build_toy(), path, name="toy", classifier=())


TILES = cases(edits=edits, content=CONTENT)


def try_tile(case: Case) -> None:
    """A kept tile: never an error, the tile itself or nothing."""
    from napari_dinoprompt.core.tiling.cache import TileCache

    key, whole = whole_files.tile()
    content = either(whole, case)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / key[:2] / f"{key}.tile"
        path.parent.mkdir()
        path.write_bytes(content)
        found = TileCache(Path(folder), 10**6).get(key)
        expect((found is not None) == (content == whole), "only the tile itself counts")


RECORDS = cases(edits=edits, content=CONTENT, nested=st.sampled_from([0, 0, 0, 10**5]))


def try_record(case: Case) -> None:
    """A record of a batch: never an error, its rows or none."""
    from napari_dinoprompt.core.batch.records import (
        COLUMNS,
        Job,
        other_rows,
        read_record,
        result_paths,
        write_record,
        write_table,
    )

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for path in result_paths(folder, "a").values():
            path.write_bytes(b"x")
        job = Job(str(folder / "a.tif"), 1, 2, "ab")
        row = dict(
            zip(COLUMNS, ("a.tif", "a", "object", 1, 0.5, 3, 4, 0.1), strict=True)
        )
        write_record(folder, "a", job, [row])
        record = folder / "a_record.json"
        content = either(record.read_bytes(), case)
        if case["nested"]:
            content = b'{"rows": ' + b"[" * case["nested"]
        record.write_bytes(content)
        for found in (read_record(folder, "a", job), other_rows(folder, [])):
            if found:
                write_table(folder / "t.csv", found)
        expect(record.read_bytes() == content, "the file is not changed")


_ADDRESSES = (
    *("local:0", "local:1", "local:-1", "local:٣", "local:1e3", "local:" + "9" * 5000),
    *("tcp://a:1", "tcp://", ":", "inproc://x:1", "x:99999999999", "tls://h:8786/../x"),
)
SCHEDULERS = st.text(max_size=20) | st.sampled_from(_ADDRESSES)


def try_scheduler(text: str) -> None:
    """The word that `--scheduler` takes."""
    from napari_dinoprompt.core.batch.dask_client import LocalWorkers, parse_scheduler

    found = parse_scheduler(text)
    if isinstance(found, LocalWorkers):
        expect(found.count > 0, "there are workers")
        expect(found.threads >= 1, "each has a thread")
