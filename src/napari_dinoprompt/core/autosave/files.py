"""Files of records: where they lie, whose they are, and what was left."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from filelock import FileLock, Timeout

from napari_dinoprompt.core.errors import CannotWriteError
from napari_dinoprompt.core.io.atomic import (
    explaining_writes,
    remove_leftovers,
    user_folder,
    write_bytes,
)

from .labels import remove_labels, remove_orphans, write_labels
from .records import ImageRecord, NewerRecordError, decode_records, encode_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path


# How long a file of records is kept after it was last written.
KEPT_DAYS = 30
# How many files of records are kept, the newest ones.
MOST_FILES = 100
_DAMAGED = ".damaged"
# A hundred thousand prompts take a tenth of it.
_MOST_BYTES = 64_000_000

# Environment variable that names the folder of the records.
FOLDER_VARIABLE = "DINOPROMPT_RECOVERY"
SUFFIX = ".prompts.json"
_LOCK_SUFFIX = ".lock"


@dataclass(frozen=True)
class FoundRecord:
    """A record, and the file that it lies in.

    Attributes
    ----------
    record : ImageRecord
    path : Path
    """

    record: ImageRecord
    path: Path


def find_records(folder: Path, fingerprint: str) -> list[FoundRecord]:
    """Find what was kept of an image by docks and programs that have ended.

    Damaged files are set aside: they get another name.

    The newest first.
    """
    found: list[FoundRecord] = []
    for path in _files(folder):
        with claim(path) as ours:
            records = _read(path) if ours else []
        found += [
            FoundRecord(record, path)
            for record in records
            if record.fingerprint == fingerprint
        ]
    return sorted(found, key=lambda one: one.record.changed, reverse=True)


def forget(found: Iterable[FoundRecord]) -> None:
    """Remove records, but for those that a program at work has taken over."""
    unwanted: dict[Path, set[str]] = {}
    for one in found:
        unwanted.setdefault(one.path, set()).add(one.record.key)
    for path, keys in unwanted.items():
        with claim(path) as ours:
            records = _read(path) if ours else []
            kept = [record for record in records if record.key not in keys]
            if len(kept) == len(records):
                continue
            if kept:
                write_bytes(path, encode_records(kept))
            else:
                with explaining_writes(path):
                    path.unlink(missing_ok=True)
            remove_labels(path, [record.labels for record in kept])


def tidy(folder: Path, now: float | None = None) -> None:
    """Remove files that are old or too many; never those of others at work."""
    limit = (time.time() if now is None else now) - KEPT_DAYS * 86_400
    with suppress(OSError):
        remove_leftovers(folder)
        remove_locks(folder)
        dated = sorted(((p.stat().st_mtime, p) for p in _files(folder)), reverse=True)
        for rank, (changed, path) in enumerate(dated):
            if rank >= MOST_FILES or changed < limit:
                with claim(path) as ours:
                    if ours:
                        path.unlink(missing_ok=True)
                        remove_labels(path)
        remove_orphans(folder, limit)
        for path in folder.glob(f"*{SUFFIX}{_DAMAGED}"):
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    with suppress(OSError):
        # What somebody linked to lies elsewhere, and is not ours to change.
        return [
            path
            for path in folder.glob(f"*{SUFFIX}")
            if path.is_file() and not path.is_symlink()
        ]
    return []


def _read(path: Path) -> list[ImageRecord]:
    """Read a file that nobody is at work on; of one that cannot be used, nothing."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        return decode_records(path.read_bytes())
    except (OSError, NewerRecordError):
        return []
    except ValueError:
        with suppress(OSError):
            path.replace(path.with_name(path.name + _DAMAGED))
        return []


class OwnFile:
    """Nobody else reads or changes it before it is closed, or its program has ended.

    Its methods may be called from any thread.

    Parameters
    ----------
    folder : Path
        Made when there is something to be kept.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{uuid4().hex}{SUFFIX}"
        self._lock = make_lock(self.path)
        self._turn = Lock()
        self._closed = False

    def save(
        self, records: Sequence[ImageRecord], labels: Mapping[str, Any] | None = None
    ) -> None:
        """Replace what was kept before; after it was closed, do nothing.

        labels: arrays of those that were corrected, by the key of their record.
        """
        with self._turn:
            if self._closed:
                return
            if records:
                self._save(records, labels or {})
            else:
                with explaining_writes(self.path):
                    self.path.unlink(missing_ok=True)
            remove_labels(self.path, [record.labels for record in records])

    def _save(self, records: Sequence[ImageRecord], labels: Mapping[str, Any]) -> None:
        with explaining_writes(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._lock.is_locked and not lock_path(self.path).exists():
                # Somebody has cleared the folder, and others would see no lock.
                self._lock.release()
            if not self._lock.is_locked:
                self._take_lock()
        content = encode_records(records)
        try:
            decode_records(content)
        except ValueError as error:
            msg = f"Prompts that could not be read again are not written: {error}."
            raise CannotWriteError(msg) from error
        for record in records:
            if record.labels is not None and record.key in labels:
                write_labels(self.path, record.labels, labels[record.key])
        write_bytes(self.path, content)

    def _take_lock(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except NotImplementedError as error:
            msg = f"{self.path.parent} lies on a disk that knows no locks."
            raise CannotWriteError(msg) from error

    def close(self) -> None:
        """Leave what is kept to whoever opens the image next."""
        with self._turn:
            self._closed = True
            if self._lock.is_locked:
                release(self._lock, self.path)


def default_recovery_folder() -> Path:
    """Return where records are: where the environment says, or in the user's data."""
    return user_folder(FOLDER_VARIABLE, "recovery")


def lock_path(path: Path) -> Path:
    """Return the file whose lock tells that somebody is at work on records."""
    return path.with_name(path.name.removesuffix(SUFFIX) + _LOCK_SUFFIX)


def make_lock(path: Path) -> FileLock:
    """Return the lock of a file of records, not yet taken.

    The system lets go of it when its program ends, however that ends.
    """
    # It is taken in one thread and let go of in another.
    return FileLock(lock_path(path), thread_local=False)


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Keep others off a file of records for the time of the block."""
    lock = make_lock(path)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError, NotImplementedError):
        yield False
        return
    try:
        yield True
    finally:
        release(lock, path)


def release(lock: FileLock, path: Path) -> None:
    """Let go of the lock of a file of records, and remove it with its file."""
    lock.release()
    # Where the file is gone, nobody will ask for its lock again.
    if not path.exists():
        with suppress(OSError):
            lock_path(path).unlink(missing_ok=True)


def remove_locks(folder: Path) -> None:
    """Remove the locks that killed programs have left without a file of records."""
    for lock in folder.glob(f"*{_LOCK_SUFFIX}"):
        path = lock.with_name(lock.name.removesuffix(_LOCK_SUFFIX) + SUFFIX)
        if not path.exists():
            with claim(path):
                pass
