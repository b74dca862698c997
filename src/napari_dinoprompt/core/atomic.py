"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["open_atomically"]


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
    temporary = path.parent / f".dinoprompt-{uuid4().hex}.tmp"
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
