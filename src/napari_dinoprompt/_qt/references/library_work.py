"""The library of references on disk, as the docks of one viewer see it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from qtpy.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

from napari_dinoprompt._qt.jobs import LatestJob
from napari_dinoprompt._qt.references import library_steps

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_dinoprompt._qt.references.library_steps import LibraryState
    from napari_dinoprompt.core.references.library import Entry
    from napari_dinoprompt.core.references.reference import Reference

__all__ = ["LibraryWork"]

_SETTLE_MS = 150


class LibraryWork(QObject):
    """Reads and changes the library in a thread, one request after the other.

    A request to write is never dropped for a later one.
    """

    changed = Signal()
    """There are other entries."""
    said = Signal(str)
    """What was done, or why it was not."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.entries: list[Entry] = []
        self.folder: Path | None = None
        self._queue: deque[Generator[None, None, LibraryState]] = deque()
        self._job = LatestJob(self, "Using the library of references")
        self._job.returned.connect(self._on_returned)
        self._job.failed.connect(self._on_failed)
        # Files come from other windows and from the command, too.
        self._watcher = QFileSystemWatcher(self)
        self._watcher.directoryChanged.connect(self._on_folder)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SETTLE_MS)
        self._timer.timeout.connect(self.read)

    @property
    def running(self) -> bool:
        """Whether a request is under way."""
        return self._job.running or bool(self._queue)

    def read(self) -> None:
        """Look what is there."""
        self._ask(library_steps.read())

    def add(self, reference: Reference, name: str) -> None:
        """Save a reference under a name."""
        self._ask(library_steps.add(reference, name))

    def join(self, entry: Entry, reference: Reference) -> None:
        """Add a reference's prompts to one of the library."""
        self._ask(library_steps.join(entry, reference))

    def rename(self, entry: Entry, name: str) -> None:
        """Give a reference another name."""
        self._ask(library_steps.rename(entry, name))

    def remove(self, entry: Entry) -> None:
        """Remove a file."""
        self._ask(library_steps.remove(entry))

    def import_files(self, paths: list[Path]) -> None:
        """Copy files into the library."""
        self._ask(library_steps.import_files(paths))

    def export(self, entry: Entry, path: Path) -> None:
        """Copy a reference to another place."""
        self._ask(library_steps.export(entry, path))

    def _ask(self, steps: Generator[None, None, LibraryState]) -> None:
        self._queue.append(steps)
        self._next()

    def _next(self) -> None:
        if self._queue and not self._job.running:
            self._job.start(self._queue.popleft())

    def _on_returned(self, state: LibraryState) -> None:
        self.folder = state.folder
        if state.folder.is_dir() and str(state.folder) not in (
            self._watcher.directories()
        ):
            self._watcher.addPath(str(state.folder))
        self.entries = state.entries
        self.changed.emit()
        if state.said:
            self.said.emit(state.said)
        self._next()

    def _on_failed(self, message: str) -> None:
        self.said.emit(message)
        # Somebody else may have changed what is there.
        self._timer.start()
        self._next()

    def _on_folder(self, _path: str) -> None:
        self._timer.start()
