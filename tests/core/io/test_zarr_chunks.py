"""Chunks that hold far more than they declare are refused, within bounded memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import google_crc32c
import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.read import open_image, read_image

if TYPE_CHECKING:
    from pathlib import Path

SIDE, CHUNK = 64, 32
IMAGE = np.random.default_rng(0).integers(0, 40, (SIDE, SIDE)).astype(np.uint16)
BOMB = 2**31
READ = """
import resource, sys
from pathlib import Path
from napari_dinoprompt.core.io.read import open_image, read_image
import napari_dinoprompt.core.io.zarr_chunks, zarr
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in (read_image, lambda path: open_image(path).read(slice(5), slice(5))):
    try:
        read(Path(sys.argv[1]))
    except Exception as error:
        print(type(error).__name__, error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def zstd_bomb() -> bytes:
    """A frame that does not say its size, of blocks of 128 kB that repeat a byte."""
    blocks = [(2**17 << 3 | 2).to_bytes(3, "little") + b"\0"] * (BOMB // 2**17 - 1)
    last = (2**17 << 3 | 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x38" + b"".join(blocks) + last


def zstd_bomb_with_size() -> bytes:
    silent = zstd_bomb()
    return silent[:4] + b"\xc0\x38" + struct.pack("<Q", BOMB) + silent[6:]


def streamed(stream: Any) -> bytes:
    """256 MB: more would take long to pack, and be seen no better."""
    parts = [stream.compress(bytes(2**24)) for _ in range(16)]
    return b"".join([*parts, stream.flush()])


def blosc_bomb() -> bytes:
    """Some 16 kB of a frame that is truly 1 GB: all its blocks are empty."""
    return bytes(numcodecs.Blosc("zstd", 9).encode(np.zeros(2**27, np.uint64)))


V2 = {
    "zstd": (numcodecs.Zstd(), zstd_bomb),
    "zstd that says its size": (numcodecs.Zstd(), zstd_bomb_with_size),
    "gzip": (numcodecs.GZip(), lambda: streamed(zlib.compressobj(9, wbits=31))),
    "zlib": (numcodecs.Zlib(), lambda: streamed(zlib.compressobj(9))),
    "bz2": (numcodecs.BZ2(), lambda: streamed(bz2.BZ2Compressor())),
    "lzma": (numcodecs.LZMA(), lambda: streamed(lzma.LZMACompressor())),
    "blosc": (numcodecs.Blosc(), blosc_bomb),
    "lz4": (numcodecs.LZ4(), lambda: struct.pack("<I", BOMB - 1) + b"\x1f\0\1\0"),
}
V3 = {
    "zstd": (ZstdCodec(), zstd_bomb),
    "gzip": (GzipCodec(), lambda: streamed(zlib.compressobj(9, wbits=31))),
    "blosc": (BloscCodec(), blosc_bomb),
}
CASES = [(2, name) for name in V2] + [(3, name) for name in V3]


def write(path: Path, form: int, packer: Any, **more: Any) -> None:
    """Write an image of four chunks."""
    made = zarr.create_array(
        path,
        shape=IMAGE.shape,
        chunks=(CHUNK, CHUNK),
        dtype=IMAGE.dtype,
        zarr_format=form,
        compressors=packer,
        **more,
    )
    made[:] = IMAGE


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB there")
@pytest.mark.parametrize(("form", "name"), CASES)
def test_a_chunk_of_2_kb_that_unpacks_to_gigabytes_is_refused(
    tmp_path: Path, form: int, name: str
) -> None:
    packer, bomb = (V2 if form == 2 else V3)[name]
    path = tmp_path / "a.zarr"
    write(path, form, packer)
    chunk = path / ("0.0" if form == 2 else "c/0/0")
    assert chunk.exists()
    chunk.write_bytes(bomb())
    ran = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    *refused, taken = ran.stdout.splitlines()
    assert len(refused) == 2
    for line in refused:
        assert line.startswith(f"InputError A chunk of {path} declares 2.0 kB")
    # In kB; the files themselves have up to 2 MB.
    assert int(taken) < 60_000


@pytest.mark.parametrize(("form", "name"), CASES)
def test_chunks_that_hold_what_they_declare_are_read(
    tmp_path: Path, form: int, name: str
) -> None:
    path = tmp_path / "a.zarr"
    write(path, form, (V2 if form == 2 else V3)[name][0])
    np.testing.assert_array_equal(read_image(path), IMAGE)
    part = open_image(path).read(slice(3, 40), slice(20, 50))
    np.testing.assert_array_equal(part, IMAGE[3:40, 20:50])


def test_shards_are_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    write(path, 3, ZstdCodec(), shards=(SIDE, SIDE))
    np.testing.assert_array_equal(read_image(path), IMAGE)
    part = open_image(path).read(slice(3, 9), slice(40, 50))
    np.testing.assert_array_equal(part, IMAGE[3:9, 40:50])
    (shard,) = [one for one in (path / "c").rglob("*") if one.is_file()]
    # Four places and lengths, and a checksum.
    content, index = shard.read_bytes()[:-68], shard.read_bytes()[-68:-4]
    places = np.frombuffer(index, "<u8").reshape(4, 2).copy()
    places[0] = len(content), len(bomb := zstd_bomb())
    index = places.tobytes()
    checksum = google_crc32c.value(index).to_bytes(4, "little")
    shard.write_bytes(content + bomb + index + checksum)
    with pytest.raises(InputError, match=r"declares 2\.0 kB"):
        read_image(path)


def test_filters_and_several_packers_stay_readable(tmp_path: Path) -> None:
    wide = IMAGE.astype(np.uint8)
    path = tmp_path / "a.zarr"
    made = zarr.create_array(
        path,
        shape=wide.shape,
        chunks=wide.shape,
        dtype=wide.dtype,
        zarr_format=2,
        filters=[numcodecs.AsType("<f8", "u1"), numcodecs.Delta("<f8")],
        compressors=numcodecs.Zlib(),
    )
    made[:] = wide
    np.testing.assert_array_equal(read_image(path), wide)
    twice = tmp_path / "twice.zarr"
    write(twice, 3, [GzipCodec(), ZstdCodec()])
    np.testing.assert_array_equal(read_image(twice), IMAGE)
    # gzip allows several parts in a row, and zeros behind the last.
    split = tmp_path / "split.zarr"
    write(split, 2, numcodecs.GZip())
    plain = np.ascontiguousarray(IMAGE[:CHUNK, :CHUNK]).tobytes()
    parts = gzip.compress(plain[:999]) + gzip.compress(plain[999:]) + bytes(7)
    (split / "0.0").write_bytes(parts)
    np.testing.assert_array_equal(read_image(split), IMAGE)
