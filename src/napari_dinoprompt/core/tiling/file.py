"""One tile's vectors in a file, and the care with which it is read.

56 bytes of header, then the numbers, little-endian: what the file is (8 bytes), the
key that it was kept under (32), rows, columns and dimension (4 each), and a CRC-32 of
all the rest. A flipped byte anywhere, a file that ends early or late, and a file under
a name that is not its own are therefore noticed.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

__all__ = ["HEADER_BYTES", "LARGEST_TILE", "read_tile", "write_tile"]

LARGEST_TILE = 256 * 2**20
"""In bytes; more than ten times the largest tile of any network."""
_MAGIC = b"DPTILE\x00\x01"
_FIELDS = struct.Struct("<8s32s3I")
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CHECKSUM.size
_NUMBER = np.dtype("<f2")


def write_tile(file: BinaryIO, key: str, tokens: NDArray[np.float16]) -> None:
    """Write a tile.

    tokens: (h, w, D) float16.
    """
    numbers = np.ascontiguousarray(tokens, dtype=_NUMBER)
    fields = _FIELDS.pack(_MAGIC, bytes.fromhex(key), *numbers.shape)
    checksum = zlib.crc32(_as_bytes(numbers), zlib.crc32(fields))
    file.write(fields + _CHECKSUM.pack(checksum))
    file.write(_as_bytes(numbers))


def read_tile(path: Path, key: str) -> NDArray[np.float16]:
    """Read a tile, if the file is whole and is that tile.

    Returns (h, w, D) float16.
    """
    # Asked before it is opened: opening a pipe would wait for somebody to write.
    if not stat.S_ISREG(path.lstat().st_mode):
        msg = "it is no file"
        raise ValueError(msg)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_TILE:
            msg = f"with {size / 1e6:.0f} MB it is too large"
            raise ValueError(msg)
        fields = file.read(_FIELDS.size)
        checksum = file.read(_CHECKSUM.size)
        shape = _check_fields(fields, key, size)
        numbers = np.empty(shape, dtype=_NUMBER)
        if file.readinto(_as_bytes(numbers)) != numbers.nbytes:
            msg = "it ends too early"
            raise ValueError(msg)
    found = zlib.crc32(_as_bytes(numbers), zlib.crc32(fields))
    if checksum != _CHECKSUM.pack(found):
        msg = "its checksum is another"
        raise ValueError(msg)
    return numbers.astype(np.float16, copy=False)


def _check_fields(fields: bytes, key: str, size: int) -> tuple[int, int, int]:
    """Return the shape, once it fits the size of the file: memory is taken for it."""
    if len(fields) != _FIELDS.size:
        msg = "it ends too early"
        raise ValueError(msg)
    magic, kept_key, rows, columns, dimension = _FIELDS.unpack(fields)
    if magic != _MAGIC or kept_key != bytes.fromhex(key):
        msg = "it is not this tile"
        raise ValueError(msg)
    count = rows * columns * dimension
    if count == 0 or size != HEADER_BYTES + count * _NUMBER.itemsize:
        msg = "its size is not that of its numbers"
        raise ValueError(msg)
    return rows, columns, dimension


def _as_bytes(numbers: NDArray[np.float16]) -> memoryview:
    return numbers.reshape(-1).view(np.uint8).data
