"""What a zarr folder may ask for, looked at before any of its chunks is read.

Codecs are named in the folder, and what a name stands for is run: some read pickles,
which can do anything. Only those that are known to do nothing but arithmetic are let
in.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.files.room import check_room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["check_array"]

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


def check_array(array: Any, path: Path) -> None:
    """Refuse an array whose chunks need unknown codecs or more memory than is free."""
    for name in _codec_names(array.metadata):
        if name.startswith("imagecodecs_"):
            continue
        if name.removeprefix("numcodecs.") not in _CODECS:
            msg = (
                f"The chunks of {path} need the codec {name[:40]!r}, which is not "
                "used here; save it with zlib, zstd or blosc."
            )
            raise InputError(msg)
    chunk = getattr(array, "shards", None) or array.chunks
    check_room(path, math.prod(chunk) * np.dtype(array.dtype).itemsize)


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
