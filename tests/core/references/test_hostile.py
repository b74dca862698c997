"""Reference files from anywhere: one error, soon, and nothing taken on trust."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from napari_dinoprompt.core.errors import ReferenceFileError
from napari_dinoprompt.core.references.file import (
    SUFFIX,
    encode_reference,
    read_header,
)
from napari_dinoprompt.core.references.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def content(blob_reference: Reference) -> bytes:
    return encode_reference(blob_reference)


def attempt(path: Path, content: bytes) -> str:
    """Load a file both ways; return what is said against it."""
    path.write_bytes(content)
    start = time.process_time()  # the machine may be busy
    said = ""
    for read in (read_header, Reference.load):
        try:
            read(path)
        except ReferenceFileError as error:
            said = str(error)
            assert "\n" not in said
            assert len(said) < len(str(path)) + 200
            assert path.name in said
    assert time.process_time() - start < 1
    assert path.read_bytes() == content
    return said


@settings(deadline=None, max_examples=100)
@given(content=st.binary(max_size=80))
def test_any_bytes_at_all_are_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    assert attempt(tmp_path_factory.mktemp("bytes") / f"a{SUFFIX}", content)


@settings(deadline=None, max_examples=100)
@given(text=st.text(st.sampled_from('{}[]":,0123456789.eE+-n\\u ')))
def test_any_header_at_all_is_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    forged = len(text.encode()).to_bytes(8, "little") + text.encode()
    assert attempt(tmp_path_factory.mktemp("json") / f"a{SUFFIX}", forged)


def test_a_file_that_ends_too_early_is_refused_wherever(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / f"a{SUFFIX}"
    header = 8 + int.from_bytes(content[:8], "little")
    ends = {*range(12), header - 1, header, header + 1, len(content) - 1}
    ends |= set(range(0, len(content), 61))
    for end in sorted(ends):
        assert attempt(path, content[:end]), end
    assert attempt(path, content + b"\0")
    assert not attempt(path, content)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_changed_bytes_give_that_error_or_a_reference(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    changed = bytearray(content)
    header = 8 + int.from_bytes(content[:8], "little")
    for _ in range(data.draw(st.integers(1, 3))):
        last = data.draw(st.sampled_from([7, header - 1, len(content) - 1]))
        changed[data.draw(st.integers(0, last))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("flip") / f"a{SUFFIX}"
    if not attempt(path, bytes(changed)):
        # Whatever is let in can be used and saved.
        loaded = Reference.load(path)
        assert np.isfinite(loaded.unit_vectors()).all()
        assert encode_reference(loaded)


def forge(
    content: bytes, change: Callable[[dict, dict], object], *, pad: bytes = b""
) -> bytes:
    """Change what the head of a file declares and leave its numbers alone."""
    size = int.from_bytes(content[:8], "little")
    tensors = json.loads(content[8 : 8 + size])
    about = json.loads(tensors["__metadata__"]["napari-dinoprompt"])
    change(tensors, about)
    tensors["__metadata__"]["napari-dinoprompt"] = json.dumps(about)
    head = json.dumps(tensors).encode()
    return len(head).to_bytes(8, "little") + head + content[8 + size :] + pad


def test_a_forged_file_that_declares_the_truth_is_fine(
    content: bytes, tmp_path: Path
) -> None:
    """Else the tests below would show nothing."""
    forged = forge(content, lambda tensors, about: None)
    assert not attempt(tmp_path / f"a{SUFFIX}", forged)


def many(tensors: dict, about: dict) -> None:
    """More prompts than any machine could hold, said consistently."""
    count, dimension = 5, 10**12
    about["backbone"]["dimension"] = dimension
    tensors["vectors"].update(
        shape=[count, dimension], data_offsets=[0, 4 * count * dimension]
    )


LIES: dict[str, Callable[[dict, dict], object]] = {
    "more numbers than there are": many,
    "shape of another size": lambda t, a: t["vectors"].update(shape=[5, 10**12]),
    "negative shape": lambda t, a: t["vectors"].update(shape=[-5, -40]),
    "shape is text": lambda t, a: t["vectors"].update(shape="5"),
    "offsets beyond the end": lambda t, a: t["mean"].update(data_offsets=[0, 10**9]),
    "offsets before the beginning": lambda t, a: t["mean"].update(
        data_offsets=[-160, 0]
    ),
    "offsets turned around": lambda t, a: t["mean"]["data_offsets"].reverse(),
    "offsets are numbers with a point": lambda t, a: t["mean"].update(
        data_offsets=[float(at) for at in t["mean"]["data_offsets"]]
    ),
    "two at one place": lambda t, a: t["mean"].update(
        data_offsets=t["scale"]["data_offsets"]
    ),
    "another type": lambda t, a: t["mean"].update(dtype="I32"),
    "unknown type": lambda t, a: t["mean"].update(dtype="X"),
    "a tensor is null": lambda t, a: t.update(mean=None),
    "more is said": lambda t, a: t["mean"].update(path="/etc/passwd"),
    "metadata are numbers": lambda t, a: t["__metadata__"].update(more=1),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_a_file_declares_is_held_against_its_size(
    content: bytes, tmp_path: Path, lie: str
) -> None:
    forged = forge(content, LIES[lie])
    tracemalloc.start()
    try:
        assert "damaged" in attempt(tmp_path / f"a{SUFFIX}", forged)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 10**12, 10**5])
def test_a_header_larger_than_its_file_is_not_believed(
    content: bytes, tmp_path: Path, length: int
) -> None:
    forged = length.to_bytes(8, "little") + content[8:]
    assert "damaged" in attempt(tmp_path / f"a{SUFFIX}", forged)


def sparse(path: Path, head: bytes, size: int) -> None:
    """Write a file that claims a size without taking it."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)


def test_a_huge_header_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / f"a{SUFFIX}"
    sparse(path, (10**9).to_bytes(8, "little"), 2 * 10**9)
    tracemalloc.start()
    try:
        with pytest.raises(ReferenceFileError, match=r"1000 MB is too large"):
            Reference.load(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_huge_file_is_not_read(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"a{SUFFIX}"
    sparse(path, content, 10**9)
    with pytest.raises(ReferenceFileError, match=r"1000 MB it is too large"):
        Reference.load(path)


@pytest.mark.parametrize("text", ["[" * 10**6, '{"a":' * 10**6, "1" * 10**6])
def test_a_header_without_end_is_refused(
    content: bytes, tmp_path: Path, text: str
) -> None:
    path = tmp_path / f"a{SUFFIX}"
    head = text.encode()
    assert attempt(path, len(head).to_bytes(8, "little") + head)
    inner = json.dumps({"__metadata__": {"napari-dinoprompt": text}}).encode()
    assert attempt(path, len(inner).to_bytes(8, "little") + inner)


def test_other_files_under_our_name_are_refused(tmp_path: Path, blobs) -> None:
    path = tmp_path / f"a{SUFFIX}"
    iio.imwrite(tmp_path / "a.png", blobs.image)
    assert "no safetensors" in attempt(path, (tmp_path / "a.png").read_bytes())
    assert "empty" in attempt(path, b"")
    save_file({"patch_embed.proj.weight": torch.ones(4, 3, 14, 14)}, tmp_path / "b")
    said = attempt(path, (tmp_path / "b").read_bytes())
    assert said == f"{path} is not a reference of napari-dinoprompt."
    folder = tmp_path / f"folder{SUFFIX}"
    folder.mkdir()
    with pytest.raises(ReferenceFileError, match="no reference file"):
        Reference.load(folder)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os = pytest.importorskip("posix")
    os.mkfifo(tmp_path / f"a{SUFFIX}")
    with pytest.raises(ReferenceFileError, match="no reference file"):
        Reference.load(tmp_path / f"a{SUFFIX}")


def test_the_name_of_newer_software_is_no_way_in(
    content: bytes, tmp_path: Path
) -> None:
    for name, shown in (("9.1", "9.1"), ("\x1b[31m\n" * 99, "unknown"), (7, "unknown")):

        def newer(_: dict, about: dict, name: object = name) -> None:
            about.update(format_version=3, software_version=name, unheard="of")

        said = attempt(tmp_path / f"a{SUFFIX}", forge(content, newer))
        assert said.endswith(f"a newer napari-dinoprompt ({shown}); please update.")


def test_paths_in_a_file_are_words(content: bytes, tmp_path: Path) -> None:
    """The name of a source is shown and never opened."""

    def lead_away(_: dict, about: dict) -> None:
        about["sources"][0]["name"] = "/dev/zero"

    assert not attempt(tmp_path / f"a{SUFFIX}", forge(content, lead_away))
    assert Reference.load(tmp_path / f"a{SUFFIX}").sources[0].name == "/dev/zero"


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[31mred", "a" * 1001])
def test_names_of_classes_that_cannot_be_shown(content: bytes, tmp_path, name) -> None:
    """They would be printed as they are, to a terminal that obeys."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    (key,) = header["__metadata__"]
    said = json.loads(header["__metadata__"][key])
    said["classes"] = [name] * len(said["classes"])
    said["auto_thresholds"] = {name: 0.5}
    header["__metadata__"][key] = json.dumps(said)
    text = json.dumps(header).encode()
    whole = len(text).to_bytes(8, "little") + text + content[8 + size :]
    assert "classes" in attempt(tmp_path / f"a{SUFFIX}", whole)
