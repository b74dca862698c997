"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["open_atomically", "remove_leftovers", "temporary_path"]

_DAY = 86_400


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its place only once it is complete.

    Parameters
    ----------
    path : Path
        Folders that are missing are made.

    Yields
    ------
    binary file
        A temporary file in the same folder. It replaces `path` at the end; if the
        block raises, it is removed, and an older file of that name is kept.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files can be read by their owner only, and so would these be.
    temporary = temporary_path(path.parent)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def temporary_path(folder: Path) -> Path:
    """Return a name in a folder that nobody else uses."""
    return folder / f".dinoprompt-{uuid4().hex}.tmp"


def remove_leftovers(folder: Path, age: float = _DAY) -> None:
    """Remove what killed programs have left half-written.

    Parameters
    ----------
    folder : Path
        It need not be there.
    age : float
        In seconds. What is younger may be another program's that is still at work.
    """
    before = time.time() - age
    for path in folder.glob(".dinoprompt-*.tmp"):
        # Somebody else may remove it at the same time.
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()
