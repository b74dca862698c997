"""Vectors of tiles on disk, so that an image that was seen before opens at once.

The folder is the index, as in the library: one file per tile, written beside its place
and moved there, in 256 subfolders. Several programs may use it at once without locks,
since whatever is done to a file is also right if another one was quicker: a tile that
is gone is computed anew, and one that is written twice holds the same both times.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_dinoprompt.core.files.atomic import remove_leftovers, temporary_path
from napari_dinoprompt.core.tiling.cache_settings import (
    FOLDER_VARIABLE,
    cache_limit,
    default_cache_folder,
)
from napari_dinoprompt.core.tiling.file import (
    HEADER_BYTES,
    LARGEST_TILE,
    read_tile,
    write_tile,
)
from napari_dinoprompt.core.tiling.key import TILE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["TileCache", "open_cache"]

_SHARD = re.compile(r"[0-9a-f]{2}")
_TILE = re.compile(rf"{TILE_KEY.pattern}\.tile")
_TEMPORARY = re.compile(r"\.dinoprompt-[0-9a-f]{32}\.tmp")
# Nobody writes one tile for an hour: who began it was killed.
_STALE_SECONDS = 3600.0


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
            msg = f"{key!r} is not a key of a tile"
            raise ValueError(msg)
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
