"""The file in which one dock keeps its records."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING
from uuid import uuid4

from napari_dinoprompt.core.errors import CannotWriteError
from napari_dinoprompt.core.files.atomic import explaining_writes, write_bytes
from napari_dinoprompt.core.recovery.encoding import decode_records, encode_records
from napari_dinoprompt.core.recovery.places import SUFFIX, lock_path, make_lock, release

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_dinoprompt.core.recovery.record import ImageRecord

__all__ = ["OwnFile"]


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

    def save(self, records: Sequence[ImageRecord]) -> None:
        """Replace what was kept before; after it was closed, do nothing."""
        with self._turn:
            if self._closed:
                return
            if records:
                self._save(records)
            else:
                with explaining_writes(self.path):
                    self.path.unlink(missing_ok=True)

    def _save(self, records: Sequence[ImageRecord]) -> None:
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
