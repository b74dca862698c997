"""What may come from a stranger: nothing of it is run, followed or believed."""

from __future__ import annotations

import ast
import csv
import io
import json
import pickle
import struct
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import torch
import zarr
from safetensors.numpy import save

from napari_dinoprompt.core.backbones.checkpoints import read_checkpoint
from napari_dinoprompt.core.backbones.download import Transfer
from napari_dinoprompt.core.batch.stack_files import is_stack_file, open_stack_file
from napari_dinoprompt.core.errors import (
    CheckpointError,
    DinopromptError,
    FetchError,
    InputError,
)
from napari_dinoprompt.core.io import limits
from napari_dinoprompt.core.io import zarr as zarr_checks
from napari_dinoprompt.core.io.atomic import as_csv, as_json, open_atomically
from napari_dinoprompt.core.io.points import read_prompts
from napari_dinoprompt.core.io.read import open_array, open_image, read_image
from napari_dinoprompt.core.io.zarr import check_array
from napari_dinoprompt.core.references.file import encode_reference
from napari_dinoprompt.core.references.library import Library

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_dinoprompt.core.references.reference import Reference

PACKAGE = Path(__file__).parents[2] / "src" / "napari_dinoprompt"
SUFFIX = ".reference.safetensors"

# --- no code from files --------------------------------------------------------------

MODULES = {
    *("pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"),
    *("subprocess", "pty", "commands", "yaml", "runpy", "code", "ctypes", "telnetlib"),
}
BUILTINS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {
    *("system", "popen", "execv", "execve", "spawnl", "spawnv", "startfile"),
    *("fork", "mktemp", "extractall", "yaml_load", "read_pickle", "to_pickle"),
}
# Of torch's unpickler only the errors are named.
ALLOWED = {
    ("core/backbones/checkpoints.py", "pickle"),
    # Loads the libraries that Qt is going to load, by names written in the source.
    ("_cli/demo.py", "ctypes"),
    # Asks Qt, in this Python and by words written in the source, for the display.
    ("_cli/demo.py", "subprocess"),
    # glibc's malloc_trim.
    ("core/memory.py", "ctypes"),
}


def dangers(source: str) -> Iterator[str]:
    """Name what a source file does that could run what others have written."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (
                    one.name for one in names if one.name.split(".")[0] in MODULES
                )
            case ast.ImportFrom(module=str(module)):
                if module.split(".")[0] in MODULES:
                    yield module
            case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
                yield name
            case ast.Call(func=ast.Attribute(attr=name)) if name in ATTRIBUTES:
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="pickle"), attr=name)):
                yield f"pickle.{name}"
        if isinstance(node, ast.Call):
            said = {one.arg: ast.unparse(one.value) for one in node.keywords}
            called = ast.unparse(node.func)
            if said.get("shell") not in (None, "False"):
                yield "shell"
            if said.get("allow_pickle") not in (None, "False"):
                yield "allow_pickle"
            if said.get("trust_remote_code") not in (None, "False"):
                yield "trust_remote_code"
            if called == "torch.load" and said.get("weights_only") != "True":
                yield "torch.load"
            if called == "torch.hub.load":
                yield called


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", ["pickle"]),
        ("from subprocess import run", ["subprocess"]),
        ("def f():\n    import yaml", ["yaml"]),
        ("eval('1')", ["eval"]),
        ("import os\nos.system('x')", ["system"]),
        ("torch.load(path)", ["torch.load"]),
        ("torch.load(path, weights_only=False)", ["torch.load"]),
        ("torch.load(path, weights_only=True)", []),
        ("np.load(path, allow_pickle=True)", ["allow_pickle"]),
        ("run(line, shell=True)", ["shell"]),
        ("network.eval()", []),
        ("pickle.loads(x)", ["pickle.loads"]),
    ],
)
def test_the_check_itself_sees_dangers(source: str, found: list[str]) -> None:
    assert list(dangers(source)) == found


def test_nothing_in_the_package_can_run_what_a_file_holds() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 100
    found = [
        (path.relative_to(PACKAGE).as_posix(), danger)
        for path in files
        for danger in dangers(path.read_text(encoding="utf-8"))
    ]
    assert set(found) <= ALLOWED


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_checkpoint_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists(), "the trap does not work"
    sprung.unlink()
    for number, (new, content) in enumerate(
        [(True, Trap(sprung)), (False, Trap(sprung)), (True, {"a": Trap(sprung)})]
    ):
        path = tmp_path / f"{number}.pth"
        torch.save(content, path, _use_new_zipfile_serialization=new)
        with pytest.raises(CheckpointError, match="holds more than numbers"):
            read_checkpoint(path)
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "raw.pth")
    assert not sprung.exists()


def write_zarr(path: Path, form: int = 2) -> None:
    array = zarr.create_array(
        str(path), shape=(8, 8), chunks=(8, 8), dtype="u1", zarr_format=form
    )
    array[:] = 7


@pytest.mark.parametrize(
    "change",
    [
        {"compressor": {"id": "pickle"}},
        {"filters": [{"id": "pickle"}]},
        {"filters": [{"id": "delta", "dtype": "u1"}, {"id": "pickle"}]},
        {"filters": [{"id": "pickle"}], "dtype": "|O"},
    ],
)
def test_chunks_that_are_pickles_are_not_read(tmp_path: Path, change: dict) -> None:
    """zarr 2 read them with the codec that the folder names."""
    path, sprung = tmp_path / "a.zarr", tmp_path / "sprung"
    write_zarr(path)
    about = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps({**about, **change}))
    (path / "0.0").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(InputError):
        open_image(path).whole()
    assert not sprung.exists()


@pytest.mark.parametrize("form", [2, 3])
def test_only_known_codecs_are_used(tmp_path: Path, form: int) -> None:
    """Whatever the version of zarr lets in."""
    write_zarr(tmp_path / "a.zarr", form)
    array = zarr.open_array(str(tmp_path / "a.zarr"), mode="r")
    check_array(array, tmp_path)
    stranger = SimpleNamespace(
        codec_id="pickle", to_dict=lambda: {"name": "numcodecs.pickle"}
    )
    metadata = SimpleNamespace(
        zarr_format=form,
        compressor=None,
        filters=(stranger,),
        codecs=(
            SimpleNamespace(to_dict=lambda: {"name": "bytes"}, codecs=(stranger,)),
        ),
    )
    forged = SimpleNamespace(metadata=metadata, chunks=(8, 8), dtype=np.dtype("u1"))
    with pytest.raises(InputError, match=r"need the codec '(numcodecs\.)?pickle'"):
        check_array(forged, tmp_path)
    assert "pickle" not in zarr_checks._CODECS


# --- limits before memory is taken ---------------------------------------------------


def peak_of(read: Any) -> tuple[str, int, float]:
    """Return what is said against a file, the memory it took, and the time."""
    tracemalloc.start()
    begun = time.process_time()
    try:
        read()
        said = ""
    except DinopromptError as error:
        said = str(error)
    seconds = time.process_time() - begun
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return said, peak, seconds


def png_of(width: int, height: int) -> bytes:
    """A PNG that declares a size; its pixels are the zeros of one kilobyte."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checked

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    parts = ((b"IHDR", head), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_a_png_of_a_billion_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_of(2**31 - 1, 2**20))
    said, peak, seconds = peak_of(lambda: read_image(path))
    assert str(path) in said
    assert peak < 5_000_000
    assert seconds < 2


def write_forged_tiff(path: Path, side: int, **options: Any) -> None:
    """Write a TIFF that declares a size and stores 16 x 16 pixels."""
    tifffile.imwrite(path, np.zeros((16, 16), np.uint8), **options)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for name in ("ImageWidth", "ImageLength"):
            tiff.pages[0].tags[name].overwrite(side)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
def test_a_tiff_of_too_many_pixels_is_refused(tmp_path: Path, options: dict) -> None:
    path = tmp_path / "a.tif"
    write_forged_tiff(path, 2**30, **options)
    for read in (read_image, lambda one: open_image(one).read(slice(99), slice(99))):
        said, peak, seconds = peak_of(lambda read=read: read(path))
        if read is not read_image and "tile" in options:
            continue
        assert str(path) in said
        assert "\n" not in said
        assert peak < 50_000_000
        assert seconds < 2


def test_what_does_not_fit_is_said_with_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((99, 99), np.uint8))
    scarce = SimpleNamespace(available=100)
    monkeypatch.setattr(limits.psutil, "virtual_memory", lambda: scarce)
    with pytest.raises(InputError, match=r"needs 0\.0 GB of memory and 0\.0 GB are"):
        read_image(path)


def test_a_zarr_with_huge_chunks_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    write_zarr(path)
    about = json.loads((path / ".zarray").read_text())
    about.update(shape=[10**9, 10**9], chunks=[10**9, 10**9])
    (path / ".zarray").write_text(json.dumps(about))
    said, peak, seconds = peak_of(lambda: open_image(path).read(slice(9), slice(9)))
    assert "of memory" in said
    assert peak < 5_000_000
    assert seconds < 2


def test_a_zip_bomb_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(10)}, path)
    bomb = tmp_path / "bomb.pth"
    with (
        zipfile.ZipFile(path) as whole,
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
        packed.writestr("archive/data/99", bytes(50_000_000))
    assert bomb.stat().st_size < 100_000
    said, peak, _ = peak_of(lambda: read_checkpoint(bomb))
    assert "a compressed archive of 50 MB" in said
    assert peak < 5_000_000


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(10**6, 10**6),
        torch.sparse_coo_tensor(
            torch.zeros(2, 1).long(), [1.0], (10**9, 10**9), check_invariants=True
        ),
    ],
)
def test_a_tensor_says_no_more_than_the_file_holds(
    tmp_path: Path, tensor: torch.Tensor
) -> None:
    torch.save({"a": tensor}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "a.pth")


def test_a_safetensors_file_that_declares_too_much_is_refused(tmp_path: Path) -> None:
    content = save({"a": np.zeros(4, np.float32)})
    size = int.from_bytes(content[:8], "little")
    head = content[8 : 8 + size].replace(b"[4]", b"[400000000000000000]")
    forged = len(head).to_bytes(8, "little") + head + content[8 + size :]
    (tmp_path / "a.safetensors").write_bytes(forged)
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "a.safetensors")


def test_a_huge_points_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(b"axis-0,axis-1\n")
        file.truncate(10**9)
    said, peak, _ = peak_of(lambda: read_prompts(path))
    assert said == f"With 1000 MB {path} is too large to be a points file."
    assert peak < 1_000_000


def test_an_entity_bomb_in_ome_metadata_does_nothing(tmp_path: Path) -> None:
    lines = ['<!ENTITY a0 "ha">']
    lines += [f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(12)]
    bomb = f"<?xml version='1.0'?><!DOCTYPE x [{''.join(lines)}]><OME>&a12;</OME>"
    path = tmp_path / "a.ome.tif"
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    tifffile.imwrite(path, image, description=bomb, metadata=None)
    begun = time.process_time()
    read_image(path)
    is_stack_file(path)
    assert time.process_time() - begun < 5


# --- no path from inside a file is followed ------------------------------------------

_OME = """<?xml version="1.0"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">
<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="8" SizeY="8"
SizeC="1" SizeZ="2" SizeT="1">
<TiffData IFD="0" FirstZ="0" PlaneCount="1">
<UUID FileName="a.ome.tif">urn:uuid:1</UUID></TiffData>
<TiffData IFD="0" FirstZ="1" PlaneCount="1">
<UUID FileName="{other}">urn:uuid:2</UUID></TiffData></Pixels></Image></OME>"""


@pytest.mark.parametrize("other", ["../secret.tif", "b.ome.tif", "/{root}/secret.tif"])
def test_files_that_ome_metadata_name_stay_closed(tmp_path: Path, other: str) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for secret in (tmp_path / "secret.tif", folder / "b.ome.tif"):
        tifffile.imwrite(secret, np.full((8, 8), 77, np.uint8))
    path = folder / "a.ome.tif"
    named = _OME.format(other=other.format(root=tmp_path))
    tifffile.imwrite(path, np.ones((8, 8), np.uint8), description=named, metadata=None)
    array, _ = open_array(path)
    assert np.unique(np.asarray(array)).tolist() == [1]
    if is_stack_file(path):
        assert np.unique(open_stack_file(path).stack.read((0,))).tolist() == [1]


def test_an_ome_zarr_does_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    write_zarr(tmp_path / "secret")
    root = tmp_path / "a.zarr"
    group = zarr.open_group(str(root), mode="w", zarr_format=2)
    (root / "link").symlink_to(tmp_path / "secret")
    for name in (
        "../secret",
        "/etc",
        "0/../../secret",
        str(tmp_path / "secret"),
        "link",
    ):
        group.attrs["multiscales"] = [{"datasets": [{"path": name}]}]
        with pytest.raises(InputError, match="names an array outside itself"):
            open_image(root)


def test_a_link_in_the_library_is_removed_and_not_what_it_leads_to(
    tmp_path: Path, blob_reference: Reference
) -> None:
    outside = tmp_path / f"mine{SUFFIX}"
    outside.write_bytes(encode_reference(blob_reference))
    library = Library(tmp_path / "library")
    library.folder.mkdir()
    (library.folder / f"link{SUFFIX}").symlink_to(outside)
    (entry,) = library.entries()
    library.remove(library.rename(entry, "../../renamed"))
    assert outside.exists()
    assert not library.entries()


def test_a_link_laid_where_a_file_will_be_written_is_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "result").symlink_to(mine)
    with open_atomically(tmp_path / "result") as file:
        file.write(b"new")
    assert mine.read_text() == "mine"
    assert not (tmp_path / "result").is_symlink()


# --- what is written -----------------------------------------------------------------


def test_text_in_tables_is_no_formula() -> None:
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "plain", "a=b"]
    rows = [{"class": name, "threshold": -0.5} for name in names]
    read = list(csv.DictReader(io.StringIO(as_csv(rows).decode())))
    assert [row["class"] for row in read] == [
        *("'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "plain", "a=b")
    ]
    assert {row["threshold"] for row in read} == {"-0.5"}, "numbers stay numbers"


def test_names_of_files_that_are_no_text_can_be_written() -> None:
    name = b"caf\xe9.tif".decode(errors="surrogateescape")
    assert b"caf\\udce9.tif" in as_csv([{"image": name}])
    assert json.loads(as_json({"image": name}))["image"]


# --- the network ---------------------------------------------------------------------


def test_a_download_does_not_go_on_without_encryption(tmp_path: Path) -> None:
    transfer = Transfer("https://hub/file", {}, tmp_path / "part", 10, patience=1)
    answer = SimpleNamespace(
        url=SimpleNamespace(scheme="http"), status_code=200, headers={}
    )
    with pytest.raises(FetchError, match="without encryption"):
        transfer._judge(answer)
    answer.url.scheme = "https"
    transfer._judge(answer)
