"""Good files of every kind that is read, to be damaged."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import tifffile

from . import subjects
from .pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Callable


_GREY = Picture("spots", (40, 44), "u1", 1)
_DEEP = Picture("spots", (3, 24, 20), "<u2", 1)
_COLOUR = Picture("spots", (24, 20, 3), "u1", 1)


def _tiff(picture: Picture, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, picture.array(), **options)
    return file.getvalue()


def _pyramid() -> bytes:
    file = io.BytesIO()
    large = Picture("spots", (64, 64), "u1", 1).array()
    with tifffile.TiffWriter(file) as writer:
        writer.write(large, subifds=1, tile=(16, 16))
        writer.write(large[::2, ::2], subfiletype=1, tile=(16, 16))
    return file.getvalue()


_TIFFS: dict[str, Callable[[], bytes]] = {
    "plain": lambda: _tiff(_GREY),
    "zlib tiles": lambda: _tiff(_GREY, tile=(16, 16), compression="zlib"),
    "lzw strips": lambda: _tiff(_GREY, rowsperstrip=4, compression="lzw"),
    "predictor": lambda: _tiff(_GREY, compression="zlib", predictor=True),
    "jpeg": lambda: _tiff(_COLOUR, compression="jpeg"),
    "bigtiff": lambda: _tiff(_GREY, bigtiff=True),
    "big endian": lambda: _tiff(_DEEP, byteorder=">", photometric="minisblack"),
    "ome": lambda: _tiff(
        _DEEP, ome=True, metadata={"axes": "ZYX"}, photometric="minisblack"
    ),
    "imagej": lambda: _tiff(_DEEP, imagej=True, metadata={"axes": "ZYX", "spacing": 2}),
    "shaped": lambda: _tiff(_DEEP, metadata={"axes": "ZYX"}, photometric="minisblack"),
    "colour": lambda: _tiff(_COLOUR, photometric="rgb"),
    "planar": lambda: _tiff(
        Picture("spots", (3, 24, 20), "u1"), photometric="rgb", planarconfig="separate"
    ),
    "float": lambda: _tiff(Picture("few nan", (24, 20), "<f4", 1)),
    "bits": lambda: _tiff(Picture("spots", (24, 20), "?", 1)),
    "pyramid": _pyramid,
}
TIFFS = tuple(_TIFFS)
PICTURES = (".png", ".jpg", ".bmp", ".gif", ".png16", ".pngrgba")


@cache
def tiff(kind: str) -> bytes:
    """Return a TIFF."""
    return _TIFFS[kind]()


@cache
def picture(kind: str) -> bytes:
    """Return another image."""
    array = _GREY.array()
    if kind == ".png16":
        array = Picture("spots", (20, 20), "<u2").array()
    if kind == ".pngrgba":
        array = Picture("spots", (20, 20, 4), "u1").array()
    if kind == ".jpg":
        array = _COLOUR.array()
    file = io.BytesIO()
    suffix = kind[:4]
    iio.imwrite(file, array, extension=suffix, plugin="pillow")
    return file.getvalue()


@cache
def reference_file() -> bytes:
    """Return a reference of two classes and background."""
    from napari_dinoprompt.core.references.file import encode_reference

    classes = ("object", "object", "b", "background", "b")
    return encode_reference(subjects.reference("uint8", classes))


@cache
def checkpoint(kind: str) -> bytes:
    """Return weights of the toy: safetensors, or PyTorch's formats, new and old."""
    import torch
    from safetensors.torch import save
    from toy_dinov2 import make_toy

    state = make_toy().state_dict()
    if kind == "safetensors":
        return save(state)
    file = io.BytesIO()
    if kind == "small":
        torch.save({"model": {"a": torch.ones(2), "b": torch.zeros(2, 3)}}, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=kind == "pth")
    return file.getvalue()


@cache
def tile() -> tuple[str, bytes]:
    """Return the key and the content of a kept tile."""
    from napari_dinoprompt.core.tiling.cache import write_tile

    file = io.BytesIO()
    tokens = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float16)
    write_tile(file, "ab" * 32, tokens)
    return "ab" * 32, file.getvalue()


@cache
def zarr_files(kind: str) -> dict[str, bytes]:
    """Return the files of a zarr folder by their path in it."""
    import zarr

    values = _GREY.array()
    with TemporaryDirectory() as place:
        root = Path(place) / "a.zarr"
        if kind == "ome":
            group = zarr.open_group(str(root), mode="w", zarr_format=2)
            array = group.create_array("0", shape=(1, *values.shape), dtype="u1")
            array[0] = values
            axes = [{"name": name} for name in "zyx"]
            group.attrs["multiscales"] = [
                {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
            ]
        else:
            array = zarr.create_array(
                str(root),
                shape=values.shape,
                chunks=(16, 16),
                dtype="u1",
                zarr_format=2 if kind == "v2" else 3,
                **({"shards": (32, 32)} if kind == "sharded" else {}),
            )
            array[...] = values
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


@cache
def store_files() -> dict[str, bytes]:
    """Return the files of results of a stack."""
    import napari_dinoprompt as dp

    with TemporaryDirectory() as place:
        root = Path(place) / "store"
        reference = subjects.reference("uint8")
        make = subjects.backbone("filterbank")
        dp.segment_stack(_DEEP.array(), reference, make, store=str(root))
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


def stack_of_store() -> np.ndarray:
    """Return the stack that those results are of."""
    found: np.ndarray = _DEEP.array()
    return found


def warm_up() -> None:
    """Make all of them, before processes are made that share them."""
    for kind in TIFFS:
        tiff(kind)
    for kind in PICTURES:
        picture(kind)
    for kind in ("safetensors", "pth", "old", "small"):
        checkpoint(kind)
    for kind in ("v2", "v3", "sharded", "ome"):
        zarr_files(kind)
    reference_file()
    store_files()
    tile()
