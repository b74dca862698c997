"""Chunks of zarr folders, unpacked to no more than they declare.

A file of a few kB can unpack to gigabytes. Packed by blosc, lz4, zstd, gzip, zlib, bz2
or lzma it is stopped in time; pcodec, zfpy and the picture formats of imagecodecs say
themselves how much they hold, which is believed.
"""

from __future__ import annotations

import asyncio
import bz2
import lzma
import math
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from numcodecs.abc import Codec  # type: ignore[import-untyped]
from zarr import Array, AsyncArray
from zarr.abc.codec import BytesBytesCodec

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


# Before a filter of zarr 2 a number may be so many times as wide as in the array.
_WIDER = 16
# What hardly shrinks may grow, and be packed again by the next codec.
_SLACK = 2**16
# For the dictionary of lzma, whose size a file only names.
_MOST_WORKING = 2**27


@dataclass(frozen=True)
class _Limit:
    """What a chunk of a folder declares, in bytes."""

    declared: int
    path: Path

    @property
    def most(self) -> int:
        """What it may hold, packed once more included."""
        return 2 * self.declared + _SLACK

    def check(self, size: int) -> None:
        """Refuse what holds more."""
        if size > self.most:
            raise InputError(
                f"A chunk of {self.path} declares {self.declared / 1e3:.1f} kB and "
                "unpacks to far more: it is damaged, or made to fill the memory. Copy "
                "it anew."
            )


def bound_chunks(array: Any, path: Path) -> Any:
    """Return a zarr array that refuses chunks that hold more than they declare."""
    inner = array.async_array
    metadata: Any = inner.metadata
    if metadata.zarr_format == 3:
        metadata = replace(metadata, codecs=_bounded(metadata.codecs, path))
    else:
        used = [metadata.compressor, *(metadata.filters or ())]
        most = math.prod(array.chunks) * np.dtype(array.dtype).itemsize
        limit = _Limit(most * (_WIDER if metadata.filters else 1), path)
        compressor, *filters = [one and _BoundedV2(one, limit) for one in used]
        filled = tuple(filters) or None
        metadata = replace(metadata, compressor=compressor, filters=filled)
    return Array(AsyncArray(metadata, inner.store_path, inner.config))


def _bounded(codecs: Iterable[Any], path: Path) -> tuple[Any, ...]:
    """Bound codecs of zarr 3, those in shards included."""

    def bounded(codec: Any) -> Any:
        if isinstance(codec, BytesBytesCodec):
            return _BoundedV3(codec, path)
        if hasattr(codec, "index_codecs"):
            return replace(
                codec,
                codecs=_bounded(codec.codecs, path),
                index_codecs=_bounded(codec.index_codecs, path),
            )
        return codec

    return tuple(map(bounded, codecs))


class _BoundedV2(Codec):  # type: ignore[misc]
    """A compressor or filter of zarr 2 that stops in time."""

    codec_id = "bounded"

    def __init__(self, codec: Any, limit: _Limit) -> None:
        self._codec, self._limit = codec, limit

    def encode(self, buf: Any) -> Any:
        return self._codec.encode(buf)

    def decode(self, buf: Any, out: Any = None) -> Any:
        found = _unpack(self._codec.get_config(), "id", buf, self._limit)
        return self._codec.decode(buf, out) if found is None else found

    def get_config(self) -> Any:
        return self._codec.get_config()


@dataclass(frozen=True)
class _BoundedV3(BytesBytesCodec):
    """A codec of zarr 3 that stops in time; what a chunk declares comes with it."""

    codec: Any
    path: Path
    is_fixed_size = False

    def to_dict(self) -> Any:
        return self.codec.to_dict()

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        return int(self.codec.compute_encoded_size(input_byte_length, chunk_spec))

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        said = self.codec.to_dict()
        config = {"name": said["name"], **said.get("configuration", {})}
        width = chunk_spec.dtype.to_native_dtype().itemsize
        limit = _Limit(math.prod(chunk_spec.shape) * width, self.path)
        packed = chunk_data.as_numpy_array()
        found = await asyncio.to_thread(_unpack, config, "name", packed, limit)
        if found is None:
            return (await self.codec.decode([(chunk_data, chunk_spec)]))[0]
        return chunk_spec.prototype.buffer.from_bytes(found)


def _unpack(
    config: Mapping[str, Any], key: str, packed: Any, limit: _Limit
) -> bytes | None:
    """Unpack a chunk; None if that is left to its own codec."""
    kind = str(config[key]).removeprefix("numcodecs.")
    # Of imagecodecs only what is packed the same way.
    kind = kind if kind == "imagecodecs_lz4" else kind.removeprefix("imagecodecs_")
    if kind in ("blosc", "lz4"):
        # Their codecs take as much as the head says, and no more.
        at = 4 if kind == "blosc" else 0
        limit.check(int.from_bytes(bytes(packed[at : at + 4]), "little"))
        return None
    if kind == "zstd":
        try:
            return bytes(imagecodecs.zstd_decode(bytes(packed), out=limit.most))
        except imagecodecs.ZstdError as error:
            limit.check(limit.most + ("too small" in str(error)))
            raise
    if kind not in ("gzip", "zlib", "bz2", "lzma"):
        return None
    parts, data = [], bytes(packed)
    while data:
        stream = _stream(kind, config)
        parts.append(stream.decompress(data, limit.most + 1))
        limit.check(sum(map(len, parts)))
        if not stream.eof:
            msg = "a chunk ends too early"
            raise ValueError(msg)
        # gzip allows several in a row, and zeros behind.
        data = stream.unused_data.lstrip(b"\0") if kind == "gzip" else b""
    return b"".join(parts)


def _stream(kind: str, config: Mapping[str, Any]) -> Any:
    if kind == "bz2":
        return bz2.BZ2Decompressor()
    if kind == "lzma":
        form = config.get("format", lzma.FORMAT_AUTO)
        memory = None if form == lzma.FORMAT_RAW else _MOST_WORKING
        return lzma.LZMADecompressor(form, memory, config.get("filters"))
    return zlib.decompressobj(zlib.MAX_WBITS | 32)
