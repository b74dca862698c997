"""The records of one dock: what there is to be kept, and what of it is on disk."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_dinoprompt.core.errors import CannotWriteError

from .files import FoundRecord, OwnFile, forget

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from .records import ImageRecord


class Keeper:
    """Keeps the last record of each key.

    Parameters
    ----------
    folder : Path
        As `default_recovery_folder`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = OwnFile(folder)
        self._records: dict[str, ImageRecord] = {}
        self._labels: dict[str, Any] = {}
        self._saved: tuple[ImageRecord, ...] = ()
        self._sources: dict[str, list[FoundRecord]] = {}

    @property
    def records(self) -> tuple[ImageRecord, ...]:
        """All that is to be kept now."""
        return tuple(self._records.values())

    @property
    def changed(self) -> bool:
        """Whether something else is to be kept than was given to be saved last."""
        return self.records != self._saved

    def known(self, key: str) -> ImageRecord | None:
        """Return what is kept under a key."""
        return self._records.get(key)

    def note(self, record: ImageRecord, labels: Any = None) -> None:
        """Keep a record, and the time at which it became what it is.

        labels: the array of those that it tells of.
        """
        if labels is not None:
            self._labels[record.key] = labels
        if record != self._records.get(record.key):
            self._records[record.key] = replace(record, changed=time.time())

    def drop(self, key: str) -> None:
        """Keep nothing under a key any more."""
        self._records.pop(key, None)
        self._labels.pop(key, None)

    def put_away(self, fingerprint: str, in_use: Collection[str]) -> list[FoundRecord]:
        """Return what is kept of an image whose layers are no longer there."""
        return [
            FoundRecord(record, self._file.path)
            for record in self._records.values()
            if record.fingerprint == fingerprint and record.key not in in_use
        ]

    def succeed(self, key: str, sources: Iterable[FoundRecord]) -> None:
        """Note that what is kept under a key has become of older records."""
        self._sources.setdefault(key, []).extend(sources)

    def take(self) -> tuple[ImageRecord, ...]:
        """Return what is to be saved next, and count it as saved."""
        self._saved = self.records
        return self._saved

    def try_again(self) -> None:
        """Count nothing as saved: it could not be written."""
        self._saved = ()

    def save(self, records: tuple[ImageRecord, ...]) -> None:
        """Write records; may be called in any thread."""
        self._file.save(records, dict(self._labels))

    def close(self) -> None:
        """Write what has not been written, and leave it to whoever comes next.

        What was restored is only kept in its newer form.
        """
        superseded = [
            source
            for key, sources in self._sources.items()
            for source in sources
            # The same layers, in the file of a dock that was closed before.
            if key in self._records or key == source.record.key
        ]
        for source in superseded:
            if source.path == self._file.path:
                self.drop(source.record.key)
        # Nobody is there any more who could be told.
        with suppress(CannotWriteError):
            self.save(self.take())
            forget(superseded)
        self._file.close()
