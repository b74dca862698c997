"""The library of references on disk, as the docks of one viewer see it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QFileSystemWatcher, QObject, Signal

from napari_dinoprompt._qt.image_events import later
from napari_dinoprompt._qt.jobs import LatestJob

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from napari_dinoprompt.core.references.library import Entry, Library
    from napari_dinoprompt.core.references.reference import Reference

__all__ = ["LibraryState", "LibraryWork", "resolve"]

_SETTLE_MS = 150


@dataclass(frozen=True, eq=False)
class LibraryState:
    """The library after a request, and what was done; nothing after mere reading."""

    folder: Path
    entries: list[Entry]
    said: str


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
        self._queue: deque[Callable[[Library], str]] = deque()
        self._job = LatestJob(self, "Using the library of references")
        self._job.returned.connect(self._on_returned)
        self._job.failed.connect(self._on_failed)
        # Files come from other windows and from the command, too.
        self._watcher = QFileSystemWatcher(self)
        self._watcher.directoryChanged.connect(self._on_folder)
        self._timer = later(self, _SETTLE_MS, self.read)

    @property
    def running(self) -> bool:
        """Whether a request is under way."""
        return self._job.running or bool(self._queue)

    def read(self) -> None:
        """Look what is there."""
        self._ask(lambda _library: "")

    def add(self, reference: Reference, name: str) -> None:
        """Save a reference under a name."""

        def save(library: Library) -> str:
            entry = library.add(reference, name)
            return f"Saved as {entry.name} in the library of references."

        self._ask(save)

    def join(self, entry: Entry, reference: Reference) -> None:
        """Add a reference's prompts to one of the library."""

        def add(library: Library) -> str:
            before = library.load(entry)
            joined = before + reference
            joined.save(entry.path)
            new = len(joined.classes) - len(before.classes)
            prompts = "1 prompt was" if new == 1 else f"{new} prompts were"
            return f"{prompts} added to {entry.name}."

        self._ask(add)

    def rename(self, entry: Entry, name: str) -> None:
        """Give a reference another name."""
        self._ask(
            lambda library: (
                f"{entry.name} is called {library.rename(entry, name).name} now."
            )
        )

    def remove(self, entry: Entry) -> None:
        """Remove a file."""

        def remove(library: Library) -> str:
            library.remove(entry)
            return f"{entry.name} was removed from the library."

        self._ask(remove)

    def import_files(self, paths: list[Path]) -> None:
        """Copy files into the library."""

        def copy(library: Library) -> str:
            names = [library.import_file(path).name for path in paths]
            return f"{', '.join(names)} is in the library now."

        self._ask(copy)

    def export(self, entry: Entry, path: Path) -> None:
        """Copy a reference to another place, as it is."""
        self._ask(
            lambda library: (
                f"{entry.name} was written to {library.load(entry).save(path)}."
            )
        )

    def _ask(self, request: Callable[[Library], str]) -> None:
        self._queue.append(request)
        self._next()

    def _next(self) -> None:
        if self._queue and not self._job.running:
            self._job.start(_serve(self._queue.popleft()))

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


def resolve(choice: Entry | Reference) -> Reference:
    """Return the reference that was chosen, read from the library where it is there."""
    from napari_dinoprompt.core.references.reference import Reference

    return choice if isinstance(choice, Reference) else _library().load(choice)


def _serve(request: Callable[[Library], str]) -> Generator[None, None, LibraryState]:
    """Do what is asked, in a thread."""
    library = _library()
    said = request(library)
    return LibraryState(library.folder, list(library.entries()), said)
    # A generator, as all jobs are, but not one to be stopped before it has written.
    yield


def _library() -> Library:
    from napari_dinoprompt.core.references.library import Library

    return Library()
