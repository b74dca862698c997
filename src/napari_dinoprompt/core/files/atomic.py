"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from napari_dinoprompt.core.errors import CannotWriteError, DinopromptError
from napari_dinoprompt.core.explaining import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = [
    "check_place",
    "explaining_writes",
    "open_atomically",
    "remove_leftovers",
    "temporary_path",
    "write_bytes",
]

_DAY = 86_400
# Of the folders above it, where they cannot be made.
_NO_SUCH_PLACE = (errno.ENOENT, errno.ENOTDIR)


@contextmanager
def explaining_writes(path: Path) -> Iterator[None]:
    """Say in words that something cannot be written."""
    try:
        yield
    except DinopromptError:
        # Some of them are OSErrors, too.
        raise
    except OSError as error:
        if error.errno in _NO_SUCH_PLACE:
            reason = "there can be no such folder. Choose another place"
        else:
            reason = reason_of(error)
        msg = f"{path} cannot be written: {reason}."
        raise CannotWriteError(msg) from error


def check_place(folder: Path) -> None:
    """Complain, before any work, about a folder where nothing can be written.

    Nothing is made. A disk may still turn out to be full.
    """
    # Path.exists takes a place below a file for one that could be made.
    whole = folder.absolute()
    there = next(path for path in (whole, *whole.parents) if os.path.lexists(path))
    with explaining_writes(folder):
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK | os.X_OK):
            number = errno.EROFS if _is_read_only(there) else errno.EACCES
            raise OSError(number, os.strerror(number))


def _is_read_only(folder: Path) -> bool:
    # Windows has no such thing as a disk that is mounted read-only.
    if not hasattr(os, "statvfs"):
        return False
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its place only once it is complete."""
    with explaining_writes(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not tempfile: its files can be read by their owner only, and so would these.
        temporary = temporary_path(path.parent)
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            # A disk that cannot be written to holds none.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all."""
    with open_atomically(path) as file:
        file.write(content)
    return path


def temporary_path(folder: Path) -> Path:
    """Return a name in a folder that nobody else uses."""
    return folder / f".dinoprompt-{uuid4().hex}.tmp"


def remove_leftovers(folder: Path, age: float = _DAY) -> None:
    """Remove what killed programs have left half-written."""
    before = time.time() - age
    for path in folder.glob(".dinoprompt-*.tmp"):
        # Somebody else may remove it at the same time.
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()
