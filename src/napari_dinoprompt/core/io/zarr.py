"""Images in zarr folders, checked before any chunk is read.

What a zarr folder may ask for, looked at before any of its chunks is read. Codecs are
named in the folder, and what a name stands for is run: some read pickles, which can do
anything. Only those that are known to do nothing but arithmetic are let in.
"""

from __future__ import annotations

import math
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError

from .colours import with_colours
from .limits import check_fits
from .pick import EVERYTHING, Pick

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


_MARKS = ("zarr.json", ".zarray", ".zgroup")
_MOST_FILES = 200_000

_CODECS = frozenset(
    [
        # of zarr 3, of both, and of numcodecs
        *("bytes", "transpose", "sharding_indexed", "crc32c"),
        *("blosc", "gzip", "zstd"),
        *("adler32", "astype", "bitround", "bz2", "crc32", "delta"),
        *("fixedscaleoffset", "fletcher32", "jenkins_lookup3", "lz4", "lzma"),
        *("packbits", "pcodec", "quantize", "shuffle", "zfpy", "zlib"),
    ]
)


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a zarr array or group."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def open_zarr(path: Path, pick: Pick = EVERYTHING) -> tuple[Any, str]:
    """Open the image of a zarr folder without reading it.

    axes: one letter per axis; ``"S"`` are colours.
    """
    import zarr

    node = _open_node(path)
    if pick.series is not None:
        msg = f"{path} is a zarr; leave out --series and give the folder of the image."
        raise InputError(msg)
    if isinstance(node, zarr.Array):
        check_array(node, path)
        return pick.pick_channel(node, _plain_axes(node), (), path)
    image = _image_of(node, path)
    described = _described(image, path)
    name = str(described["datasets"][0]["path"])
    parts = PurePosixPath(name)
    leads_away = parts.is_absolute() or ".." in parts.parts or "\\" in name
    if leads_away or ":" in name or not _lies_in(path, image.path, name):
        raise InputError(f"{path} names an array outside itself; it cannot be used.")
    array = image[name]
    if not isinstance(array, zarr.Array):
        raise InputError(f"{path} has no array {name}; it is damaged.")
    check_array(array, path)
    axes = _ome_axes(described.get("axes"), array)
    names, shades = _channels(image)
    if pick.channel is not None:
        return pick.pick_channel(array, axes, names, path)
    return array, with_colours(axes, array.shape, names, shades)


def described_image(path: Path) -> Mapping[str, Any]:
    """Return what an OME-Zarr folder says of its image: axes, levels, scales."""
    return _described(_image_of(_open_node(path), path), path)


def _open_node(path: Path) -> Any:
    import zarr

    store = zarr.storage.LocalStore(path, read_only=True)
    return zarr.open(store, mode="r")


def _described(image: Any, path: Path) -> Mapping[str, Any]:
    described = _multiscales(image)
    if "plate" in image.attrs.get("ome", image.attrs):
        msg = f"{path} is a plate of wells; give one field of a well, as {path}/A/1/0."
        raise InputError(msg)
    if not described:
        msg = f"{path} is a zarr group without an OME-Zarr image; give its array."
        raise InputError(msg)
    return described[0]


def _channels(
    image: Any,
) -> tuple[list[str | None], list[tuple[int, int, int] | None]]:
    """Return names and colours of the channels of an OME-Zarr image, where known."""
    attributes = image.attrs
    channels = attributes.get("ome", attributes).get("omero", {}).get("channels", ())
    names = [one.get("label") for one in channels]
    shades: list[tuple[int, int, int] | None] = []
    for one in channels:
        shade = bytes.fromhex(str(one.get("color", ""))[:6])
        shades.append((shade[0], shade[1], shade[2]) if len(shade) == 3 else None)
    return names, shades


def _lies_in(folder: Path, *names: str) -> bool:
    """Tell whether a folder in another is no link that leads out of it."""
    return folder.joinpath(*names).resolve().is_relative_to(folder.resolve())


def _image_of(group: Any, path: Path) -> Any:
    """Return the group with the image; some converters put it into a group *0*."""
    if _multiscales(group) or "0" not in group or not hasattr(group["0"], "attrs"):
        return group
    if "1" in group and _multiscales(group["1"]):
        raise InputError(f"{path} holds several images; give one of the folders in it.")
    return group["0"]


def _multiscales(group: Any) -> Sequence[Mapping[str, Any]]:
    attributes = group.attrs
    described = attributes.get("ome", attributes).get("multiscales", ())
    return described if isinstance(described, (list, tuple)) else ()


def _ome_axes(described: Any, array: Any) -> str:
    if not described:
        axes = "TCZYX"[5 - array.ndim :]
    else:
        # Before version 0.4 names only.
        names = [one["name"] if isinstance(one, dict) else one for one in described]
        axes = "".join(str(name)[:1].upper() for name in names)
    if len(axes) != array.ndim or "Y" not in axes or "X" not in axes:
        raise ValueError(f"axes {axes} for an array of shape {array.shape}")
    return axes


def _plain_axes(array: Any) -> str:
    names = getattr(array.metadata, "dimension_names", None)
    if names and all(names):
        axes = "".join(str(name)[:1].upper() for name in names)
        if "Y" in axes and "X" in axes and len(set(axes)) == len(axes):
            return axes
    if array.ndim == 3 and array.shape[2] in (3, 4):
        return "YXS"
    return "Q" * (int(array.ndim) - 2) + "YX"


def stamp(path: Path) -> tuple[int, int]:
    """Look at an image, to know later whether it has changed.

    size: of the file, or of all files in the folder, in bytes. changed: when it, or the
    latest of those, was last written, in nanoseconds.

    Notes
    -----
    Of a folder the first 200 000 files are looked at, in the order of their names.
    """
    found = path.stat()
    if not path.is_dir():
        return found.st_size, found.st_mtime_ns
    size, changed = 0, found.st_mtime_ns
    for number, one in enumerate(_files(path)):
        if number == _MOST_FILES:
            break
        size += one.st_size
        changed = max(changed, one.st_mtime_ns)
    return size, changed


def _files(folder: Path) -> Iterator[os.stat_result]:
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield os.stat(os.path.join(where, name), follow_symlinks=False)


def check_array(array: Any, path: Path) -> None:
    """Refuse an array whose chunks need unknown codecs or more memory than is free."""
    for name in _codec_names(array.metadata):
        if name.startswith("imagecodecs_"):
            continue
        if name.removeprefix("numcodecs.") not in _CODECS:
            raise InputError(
                f"The chunks of {path} need the codec {name[:40]!r}, which is not "
                "used here; save it with zlib, zstd or blosc."
            )
    chunk = getattr(array, "shards", None) or array.chunks
    check_fits(path, math.prod(chunk) * np.dtype(array.dtype).itemsize)


def _codec_names(metadata: Any) -> Iterator[str]:
    """Name all codecs of an array, of format 2 or 3, those in shards included."""
    if getattr(metadata, "zarr_format", 3) == 2:
        used = [metadata.compressor, *(metadata.filters or ())]
        yield from (str(one.codec_id) for one in used if one is not None)
        return
    waiting = list(metadata.codecs)
    while waiting:
        codec = waiting.pop()
        yield str(codec.to_dict().get("name"))
        waiting += [*getattr(codec, "codecs", ()), *getattr(codec, "index_codecs", ())]
