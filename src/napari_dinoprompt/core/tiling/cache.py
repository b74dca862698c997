"""Vectors of tiles on disk, so that an image seen before opens at once.

The folder is the index, as in the library: one file per tile, written beside its place
and moved there, in 256 subfolders. Several programs may use it at once without locks,
since whatever is done to a file is also right if another one was quicker: a tile that
is gone is computed anew, and one that is written twice holds the same both times.

One tile's vectors in a file, and the care with which it is read. 56 bytes of header,
then the numbers, little-endian: what the file is (8 bytes), the key that it was kept
under (32), rows, columns and dimension (4 each), and a CRC-32 of all the rest. A
flipped byte anywhere, a file that ends early or late, and a file under a name that is
not its own are therefore noticed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.atomic import remove_leftovers, temporary_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from numpy.typing import NDArray


# What a key looks like.
TILE_KEY = re.compile(r"[0-9a-f]{64}")
# Counted up when the same key would stand for other numbers than before.
_VERSION = 1

_SHARD = re.compile(r"[0-9a-f]{2}")
_TILE = re.compile(rf"{TILE_KEY.pattern}\.tile")
_TEMPORARY = re.compile(r"\.dinoprompt-[0-9a-f]{32}\.tmp")
# Nobody writes one tile for an hour: who began it was killed.
_STALE_SECONDS = 3600.0

# Environment variable that names the folder of the cache.
FOLDER_VARIABLE = "DINOPROMPT_CACHE"
# Environment variable that limits its size, in units of 10^9 bytes.
LIMIT_VARIABLE = "DINOPROMPT_CACHE_GB"
# The limit where nobody says otherwise; napari.yaml says the same.
DEFAULT_GIGABYTES = 10.0
# What is more is a slip of the hand; napari.yaml says the same.
LARGEST_GIGABYTES = 100_000.0

# In bytes; more than ten times the largest tile of any network.
LARGEST_TILE = 256 * 2**20
_MAGIC = b"DPTILE\x00\x01"
_FIELDS = struct.Struct("<8s32s3I")
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CHECKSUM.size
_NUMBER = np.dtype("<f2")


def tile_key(
    crop: NDArray[np.float32], made_by: tuple[object, ...], dtype: str, device_type: str
) -> str:
    """Name what a backbone makes of a crop.

    Content of the plane, upscale and intensity window are all in the crop.

    crop: (3, h, w) float32, what the backbone sees. SHA-256 in hex.
    """
    pixels = np.ascontiguousarray(crop, dtype="<f4")
    bits = pixels.view("<u4")
    # A grey plane is three times the same channel: one is hashed, in a third of the
    # time.
    grey = all(np.array_equal(bits[0], other) for other in bits[1:])
    made_of = [_VERSION, pixels.shape, grey, made_by, dtype, device_type]
    found = hashlib.sha256(json.dumps(made_of).encode())
    found.update(pixels[0].data if grey else pixels.data)
    return found.hexdigest()


class _Entry(NamedTuple):
    """A tile on disk, oldest first when sorted."""

    used: int
    path: str
    size: int


class TileCache:
    """Tiles in a folder, up to a size; those not used for longest are let go of.

    Getting and putting never fail for what the disk does: what cannot be kept or read
    is computed again. Threads may share one.

    Parameters
    ----------
    folder : Path
        Made when the first tile is kept.
    limit : int
        Bytes that all tiles may take together.

    Attributes
    ----------
    problem : str or None
        Why tiles could not be kept or read the last time, in a sentence; None while
        all goes well.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self.problem: str | None = None
        self._lock = Lock()
        # Bytes of all tiles, as far as we know, and at how many to look again.
        self._total = 0
        self._look_above = -1

    def get(self, key: str) -> NDArray[np.float16] | None:
        """Return a tile, and remember that it was used.

        Returns (h, w, D) float16, or None: None if it is not there, cannot be read, or
        is damaged; what is damaged is removed.
        """
        path = self._path(key)
        try:
            tokens = read_tile(path, key)
        except ValueError:
            with suppress(OSError):
                path.unlink()
            return None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.problem = self._explain("read", error)
            return None
        # One that cannot be marked, such as another user's, was still read.
        with suppress(OSError):
            os.utime(path)
        return tokens

    def put(self, key: str, tokens: NDArray[np.float16]) -> None:
        """Keep a tile, if that is possible.

        tokens: (h, w, D) float16.
        """
        if tokens.dtype != np.float16 or tokens.ndim != 3 or tokens.size == 0:
            msg = f"a tile is (h, w, D) of float16, not {tokens.shape} {tokens.dtype}"
            raise ValueError(msg)
        path = self._path(key)
        size = HEADER_BYTES + tokens.nbytes
        if size > min(self.limit, LARGEST_TILE):
            return
        try:
            if not self._make_room(size):
                self.problem = (
                    f"Features cannot be kept in {self.folder}: it is full, and older "
                    "ones cannot be removed."
                )
                return
            _write(path, key, tokens)
        except OSError as error:
            # Windows moves nothing onto a file that somebody reads, and then the tile
            # is there already.
            if not os.path.isfile(path):
                self.problem = self._explain("kept", error)
            return
        self.problem = None

    def clear(self) -> None:
        """Remove all tiles, and nothing else that may lie in the folder."""
        for shard in self._shards():
            for file in _files(shard):
                if _TILE.fullmatch(file.name) or _TEMPORARY.fullmatch(file.name):
                    Path(file).unlink(missing_ok=True)
        with self._lock:
            self._look_above = -1

    def size(self) -> int:
        """Return the bytes that all tiles take together."""
        return sum(entry.size for entry in self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def __bool__(self) -> bool:
        # An empty cache is one all the same.
        return True

    def _path(self, key: str) -> Path:
        if not TILE_KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a key of a tile")
        return self.folder / key[:2] / f"{key}.tile"

    def _make_room(self, size: int) -> bool:
        """Let go of old tiles if this many bytes more would be too many.

        The folder is looked through only after an eighth of the room that was left
        then has been filled: other programs fill it too, but not many at once.
        """
        with self._lock:
            if self._total + size > self._look_above:
                for shard in self._shards():
                    remove_leftovers(Path(shard), _STALE_SECONDS)
                entries = self._entries()
                self._total = sum(entry.size for entry in entries)
                if self._total + size > self.limit:
                    goal = min(self.limit * 9 // 10, self.limit - size)
                    self._total -= _remove_oldest(entries, self._total - goal)
                step = max((self.limit - self._total) // 8, self.limit // 50)
                self._look_above = min(self._total + step, self.limit)
            if self._total + size > self.limit:
                return False
            self._total += size
            return True

    def _entries(self) -> list[_Entry]:
        found = []
        for shard in self._shards():
            for file in _files(shard):
                if _TILE.fullmatch(file.name):
                    with suppress(FileNotFoundError):
                        about = file.stat(follow_symlinks=False)
                        entry = _Entry(about.st_mtime_ns, file.path, about.st_size)
                        found.append(entry)
        return found

    def _shards(self) -> Iterator[str]:
        for folder in _scan(self.folder):
            if _SHARD.fullmatch(folder.name):
                yield folder.path

    def _explain(self, done: str, error: OSError) -> str:
        reason = error.strerror or str(error)
        return (
            f"Features cannot be {done} in {self.folder} ({reason}): name another "
            f"folder with {FOLDER_VARIABLE}, or make room with 'dinoprompt cache "
            "--clear'."
        )


def _write(path: Path, key: str, tokens: NDArray[np.float16]) -> None:
    """Write a tile whole or not at all.

    Without waiting for the disk, unlike `open_atomically`: that would often take longer
    than to compute the tile on a GPU, and what a power failure leaves half written does
    not pass its checksum.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path.parent)
    try:
        with temporary.open("xb") as file:
            write_tile(file, key, tokens)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _remove_oldest(entries: list[_Entry], wanted: int) -> int:
    """Remove what was not used for longest; return the bytes that became free."""
    freed = 0
    for entry in sorted(entries):
        if freed >= wanted:
            break
        try:
            os.unlink(entry.path)
        except FileNotFoundError:
            pass  # Somebody else made the same room.
        except OSError:
            continue
        freed += entry.size
    return freed


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    return (file for file in _scan(folder) if file.is_file(follow_symlinks=False))


def _scan(folder: str | Path) -> list[os.DirEntry[str]]:
    """List what is in a folder; nothing if there is no such folder (any more)."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def open_cache(gigabytes: float | None = None) -> TileCache | None:
    """Open the user's cache.

    None if nothing is to be kept.
    """
    limit = cache_limit(gigabytes)
    return TileCache(default_cache_folder(), limit) if limit > 0 else None


def default_cache_folder() -> Path:
    """Return where the cache is: where the environment says, or in the user's cache.

    It need not be there.
    """
    chosen = os.environ.get(FOLDER_VARIABLE, "").strip()
    if not chosen:
        from platformdirs import user_cache_path

        return user_cache_path("napari-dinoprompt", appauthor=False) / "features"
    try:
        folder = Path(chosen).expanduser()
    except RuntimeError as error:
        msg = f"{FOLDER_VARIABLE} names the home of an unknown user: {chosen}."
        raise InputError(msg) from error
    if not folder.is_absolute():
        raise InputError(
            f"{FOLDER_VARIABLE} has to be a whole path, from the root on, and not "
            f"{chosen}: each working folder would have a cache of its own."
        )
    if folder.exists() and not folder.is_dir():
        msg = f"{FOLDER_VARIABLE} has to name a folder, but {folder} is none."
        raise InputError(msg)
    return folder


def cache_limit(gigabytes: float | None = None) -> int:
    """Return how large the cache may become.

    In bytes; 0 if nothing is to be kept.
    """
    chosen = os.environ.get(LIMIT_VARIABLE, "").strip()
    if chosen:
        try:
            gigabytes = float(chosen)
        except ValueError:
            gigabytes = math.nan
    if gigabytes is None:
        gigabytes = DEFAULT_GIGABYTES
    if not 0 <= gigabytes <= LARGEST_GIGABYTES:
        where = f"{LIMIT_VARIABLE} is {chosen!r}" if chosen else f"It is {gigabytes}"
        raise InputError(
            "The disk space for kept features has to be a number of GB, up to "
            f"{LARGEST_GIGABYTES:.0f}, or 0 to keep none. {where}."
        )
    return int(gigabytes * 1e9)


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
        raise ValueError("it is no file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_TILE:
            raise ValueError(f"with {size / 1e6:.0f} MB it is too large")
        fields = file.read(_FIELDS.size)
        checksum = file.read(_CHECKSUM.size)
        shape = _check_fields(fields, key, size)
        numbers = np.empty(shape, dtype=_NUMBER)
        if file.readinto(_as_bytes(numbers)) != numbers.nbytes:
            raise ValueError("it ends too early")
    found = zlib.crc32(_as_bytes(numbers), zlib.crc32(fields))
    if checksum != _CHECKSUM.pack(found):
        raise ValueError("its checksum is another")
    return numbers.astype(np.float16, copy=False)


def _check_fields(fields: bytes, key: str, size: int) -> tuple[int, int, int]:
    """Return the shape, once it fits the size of the file: memory is taken for it."""
    if len(fields) != _FIELDS.size:
        raise ValueError("it ends too early")
    magic, kept_key, rows, columns, dimension = _FIELDS.unpack(fields)
    if magic != _MAGIC or kept_key != bytes.fromhex(key):
        raise ValueError("it is not this tile")
    count = rows * columns * dimension
    if count == 0 or size != HEADER_BYTES + count * _NUMBER.itemsize:
        raise ValueError("its size is not that of its numbers")
    return rows, columns, dimension


def _as_bytes(numbers: NDArray[np.float16]) -> memoryview:
    return numbers.reshape(-1).view(np.uint8).data
