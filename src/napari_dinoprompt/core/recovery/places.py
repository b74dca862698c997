"""Where records lie, and whose they are: locks tell which programs are at work."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from napari_dinoprompt.core.files.names import user_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "FOLDER_VARIABLE",
    "SUFFIX",
    "claim",
    "default_recovery_folder",
    "lock_path",
    "make_lock",
    "release",
    "remove_locks",
]

FOLDER_VARIABLE = "DINOPROMPT_RECOVERY"
"""Environment variable that names the folder of the records."""
SUFFIX = ".prompts.json"
_LOCK_SUFFIX = ".lock"


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
