"""Image files and zarr folders that may come from anywhere."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

import napari_dinoprompt as dp
from napari_dinoprompt.core.batch.stack_files import is_stack_file, open_stack_file
from napari_dinoprompt.core.io.read import open_array, open_image, read_image

from . import subjects, whole_files
from .checks import expect
from .damage import damaged, edits
from .documents import CONTENT, cases, either, written

if TYPE_CHECKING:
    from collections.abc import Iterator

Case = dict[str, Any]

TIFFS = cases(
    kind=st.sampled_from(whole_files.TIFFS),
    other=st.sampled_from(whole_files.TIFFS),
    edits=edits,
    content=CONTENT,
)


def try_tiff(case: Case) -> None:
    """A TIFF, read whole, in parts, and as a stack."""
    whole = whole_files.tiff(case["kind"])
    content = case["content"] or damaged(
        whole, case["edits"], whole_files.tiff(case["other"])
    )
    _read_image("a.tif", content)


PICTURES = cases(
    kind=st.sampled_from(whole_files.PICTURES), edits=edits, content=CONTENT
)


def try_picture(case: Case) -> None:
    """PNG, JPEG, BMP and GIF."""
    content = either(whole_files.picture(case["kind"]), case)
    _read_image(f"a{case['kind'][:4]}", content)


def _read_image(name: str, content: bytes) -> None:
    with written(name, content) as path:
        kinds = []
        for read in (_read_whole, _read_parts, _read_stack):
            try:
                read(path)
            except dp.DinopromptError as error:
                kinds.append(error)
        if kinds:
            raise kinds[0]


def _read_whole(path: Path) -> None:
    expect(read_image(path).size, "an image has pixels")


def _read_parts(path: Path) -> None:
    # Whatever its size it is read in parts.
    plane = open_image(path, in_memory=0)
    height, width = plane.shape
    rows, columns = slice(0, min(height, 300)), slice(0, min(width, 300))
    part = plane.read(rows, columns)
    expect(part.shape[:2] == (rows.stop, columns.stop), "a part has its shape")


def _read_stack(path: Path) -> None:
    if is_stack_file(path):
        found = open_stack_file(path).stack
        if found.size[0] * found.size[1] < 10**6:
            found.read((0,) * len(found.lengths))
    else:
        array, axes = open_array(path)
        expect(len(axes) == len(array.shape), "a letter per axis")


ZARRS = cases(
    kind=st.sampled_from(["v2", "v3", "sharded", "ome"]),
    which=st.integers(0, 9),
    edits=edits,
)


def try_zarr(case: Case) -> None:
    """A zarr folder."""
    with _unpacked(whole_files.zarr_files(case["kind"]), case) as root:
        _read_folder(root)


def _read_folder(root: Path) -> None:
    plane = open_image(root)
    height, width = plane.shape
    plane.read(slice(0, min(height, 300)), slice(0, min(width, 300)))


STORES = cases(which=st.integers(0, 19), edits=edits)


def try_store(case: Case) -> None:
    """Results of a stack that somebody has changed since."""
    with _unpacked(whole_files.store_files(), case) as root:
        found = dp.segment_stack(
            whole_files.stack_of_store(),
            subjects.reference("uint8"),
            subjects.backbone("filterbank"),
            store=str(root),
        )
        expect(found.mask.shape == (3, 24, 20), "results have the shape of the stack")


@contextmanager
def _unpacked(files: dict[str, bytes], case: Case) -> Iterator[Path]:
    """Write a folder with one of its files damaged; mostly one that describes it."""
    place = tempfile.mkdtemp()
    try:
        root = Path(place) / "a.zarr"
        described = sorted(files, key=lambda name: ("z" not in name, name))
        which = described[min(case["which"], len(described) - 1)]
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                damaged(content, case["edits"]) if name == which else content
            )
        yield root
    finally:
        shutil.rmtree(place)
