"""The library of references: its panel, its job, and its steps."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QFileSystemWatcher, QObject, Qt, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QInputDialog,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_dinoprompt._qt.common.events import later
from napari_dinoprompt._qt.common.jobs import Work
from napari_dinoprompt._qt.common.widgets import button, explain, in_column, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from napari_dinoprompt.core.references.header import ReferenceHeader, Source
    from napari_dinoprompt.core.references.library import Entry, Library
    from napari_dinoprompt.core.references.reference import Reference


_FILTER = "References (*.reference.safetensors)"
_SUFFIX = ".reference.safetensors"
_LIST_HEIGHT = 150

_SETTLE_MS = 150


class LibraryPanel(QWidget):
    """A list of references, and what can be done with them.

    The first line stands for the prompts in the viewer, where there are some.
    """

    # Another line is selected.
    chosen = Signal()

    def __init__(self, work: LibraryJob) -> None:
        super().__init__()
        self._work = work
        self._entries: list[Entry] = []
        self._current: Reference | None = None
        self._list = explain(
            QListWidget(),
            "The references on this machine; one is applied or compared with after it "
            "is selected here.",
            "references",
        )
        self._list.setMinimumHeight(_LIST_HEIGHT)
        self._list.setSpacing(2)
        self._list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.currentRowChanged.connect(self._on_row)
        self._empty = QLabel("No references yet: save the prompts of an image.")
        self._empty.setWordWrap(True)
        self._save = button(
            "Save prompts as referenc&e…",
            "Keep the prompts of the current image in the library, with all that is "
            "needed to use them on other images.",
        )
        self._save.clicked.connect(self._on_save)
        self._join = button(
            "A&dd to reference", "Add the current prompts to the selected reference."
        )
        self._join.clicked.connect(self._on_join)
        self._rename = button("Re&name…", "Give the selected reference another name.")
        self._rename.clicked.connect(self._on_rename)
        self._remove = button("Re&move…", "Delete the selected reference.")
        self._remove.clicked.connect(self._on_remove)
        self._show = button("Show file", "Show the file in its folder.")
        self._show.clicked.connect(self._on_show)
        self._import = button("&Import…", "Copy a reference file into the library.")
        self._import.clicked.connect(self._on_import)
        self._export = button("E&xport…", "Copy the selected reference elsewhere.")
        self._export.clicked.connect(self._on_export)
        self._lay_out()
        self._enable()

    def _lay_out(self) -> None:
        buttons = QGridLayout()
        buttons.addWidget(self._save, 0, 0, 1, 2)
        buttons.addWidget(self._join, 0, 2)
        for column, one in enumerate((self._rename, self._remove, self._show)):
            buttons.addWidget(one, 1, column)
        buttons.addWidget(self._import, 2, 0)
        buttons.addWidget(self._export, 2, 1)
        in_column(self, self._empty, self._list, buttons)

    @property
    def choice(self) -> Entry | Reference | None:
        """The selected reference: an entry of the library, or the current prompts."""
        first = self._current is not None and self._list.currentRow() == 0
        return self._current if first else self.entry

    @property
    def entry(self) -> Entry | None:
        """The selected entry of the library, if it is one."""
        row = self._list.currentRow() - (self._current is not None)
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def choose(self, name: str) -> None:
        """Select an entry by its name; an empty one selects the current prompts."""
        names = [""] if self._current is not None else []
        names += [entry.name for entry in self._entries]
        self._list.setCurrentRow(names.index(name) if name in names else -1)

    def show_references(self, current: Reference | None) -> None:
        """Show the current prompts and the library; what is selected stays so."""
        name = "" if self.entry is None else self.entry.name
        self._current = current
        self._entries = list(self._work.entries)
        with signals_blocked(self._list):
            self._list.clear()
            if current is not None:
                self._add_line("current prompts", *_describe_reference(current))
            for entry in self._entries:
                self._add_entry(entry)
            self.choose(name)
        self._empty.setVisible(self._list.count() == 0)
        self._enable()

    def _add_entry(self, entry: Entry) -> None:
        if entry.summary is None:
            item = self._add_line(entry.name, "cannot be used", entry.error)
            font = item.font()
            font.setItalic(True)
            item.setFont(font)
        else:
            self._add_line(entry.name, *_describe_reference(entry.summary))

    def _add_line(self, name: str, text: str, details: str) -> QListWidgetItem:
        item = QListWidgetItem(f"{name}\n{text}", self._list)
        item.setToolTip(wrap(details))
        return item

    def _enable(self) -> None:
        entry = self.entry
        readable = entry is not None and entry.summary is not None
        self._save.setEnabled(self._current is not None)
        self._join.setEnabled(readable and self._current is not None)
        self._rename.setEnabled(entry is not None)
        self._remove.setEnabled(entry is not None)
        self._export.setEnabled(readable)
        folder = self._work.folder
        self._show.setEnabled(folder is not None and folder.is_dir())

    def _on_row(self, _row: int) -> None:
        self._enable()
        self.chosen.emit()

    def _on_save(self) -> None:
        if self._current is None:
            return
        offered = self._current.sources[0].name
        name = self._ask_name("Save prompts as reference", offered)
        if name and self._current is not None:
            self._work.add(self._current, name)

    def _on_join(self) -> None:
        if self.entry is not None and self._current is not None:
            self._work.join(self.entry, self._current)

    def _on_rename(self) -> None:
        entry = self.entry
        if entry is not None:
            name = self._ask_name("Rename reference", entry.name)
            if name and name != entry.name:
                self._work.rename(entry, name)

    def _ask_name(self, title: str, offered: str) -> str:
        name, accepted = QInputDialog.getText(self, title, "Name:", text=offered)
        return str(name).strip() if accepted else ""

    def _on_remove(self) -> None:
        entry = self.entry
        if entry is None:
            return
        answer = QMessageBox.question(
            self, "Remove reference", f"Delete the reference {entry.name} for good?"
        )
        if answer == QMessageBox.StandardButton.Yes:
            self._work.remove(entry)

    def _on_show(self) -> None:
        if self._work.folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._work.folder)))

    def _on_import(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, "Import references", "", _FILTER)
        if names:
            self._work.import_files([Path(name) for name in names])

    def _on_export(self) -> None:
        entry = self.entry
        if entry is not None:
            name, _ = QFileDialog.getSaveFileName(
                self, "Export reference", f"{entry.name}{_SUFFIX}", _FILTER
            )
            if name:
                self._work.export(entry, Path(name))


def _describe_reference(reference: Reference | ReferenceHeader) -> tuple[str, str]:
    """Describe the reference of the current prompts, or of a file: line and tooltip."""
    return (
        _line(reference.backbone.name, reference.upscale, Counter(reference.classes)),
        _details(reference.sources, reference.auto_thresholds, reference.thresholds),
    )


def _line(backbone: str, upscale: float, classes: Mapping[str, int]) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in classes.items())
    return f"{backbone} ×{upscale:g} · {counts}"


def _details(
    sources: Sequence[Source], auto: Mapping[str, float], chosen: Mapping[str, float]
) -> str:
    lines = ["Prompts on"]
    for source in sources:
        height, width = source.shape
        size = f"{height} × {width} px"
        if source.pixel_size is not None:
            size += " of {:.3g} × {:.3g}".format(*source.pixel_size)
        lines.append(f"  {source.name} ({size})")
    for name, value in auto.items():
        kept = chosen.get(name)
        threshold = f"{value:.2f} (auto)" if kept is None else f"{kept:.2f}"
        lines.append(f"Threshold of {name}: {threshold}")
    return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class LibraryState:
    """The library after a request, and what was done; nothing after mere reading."""

    folder: Path
    entries: list[Entry]
    said: str


class LibraryJob(Work):
    """Reads and changes the library in a thread, one request after the other.

    A request to write is never dropped for a later one.
    """

    # What was done, or why it was not.
    said = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent, "Using the library of references")
        self.entries: list[Entry] = []
        self.folder: Path | None = None
        self._queue: deque[Callable[[Library], str]] = deque()
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
