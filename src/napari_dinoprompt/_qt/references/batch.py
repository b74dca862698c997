"""Applying a reference to image files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QListWidget, QProgressBar, QVBoxLayout, QWidget

from napari_dinoprompt._qt.common.jobs import TabJob, Workplace
from napari_dinoprompt._qt.common.widgets import (
    ElidedLabel,
    button,
    explain,
    no_margins,
    row_of,
)
from napari_dinoprompt._qt.references import steps
from napari_dinoprompt.core.progress import Progress

from .apply import means_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtCore import QObject

    from napari_dinoprompt._qt.common.layer_boxes import WindowChoice
    from napari_dinoprompt.core.batch.run import BatchReport, BatchStep
    from napari_dinoprompt.core.references.library import Entry
    from napari_dinoprompt.core.references.reference import Reference


_FILTER = "Images (*.tif *.tiff *.png *.jpg *.jpeg *.bmp);;All files (*)"
_LOG_HEIGHT = 90


class BatchPanel(QWidget):
    """Files or a folder, where results go, Run, progress and what was skipped."""

    # The chosen files are to be segmented.
    run_requested = Signal()
    # The batch is to be stopped.
    cancel_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        # The chosen files, or one folder.
        self.images: list[Path] = []
        # Where the results go.
        self.folder: Path | None = None
        self._ready = False
        self._running = False
        self._chosen = ElidedLabel()
        self._output = ElidedLabel()
        self._files = button("Files…", "Choose the image files to be segmented.")
        self._source = button("Folder…", "Segment all images of a folder.")
        self._target = button("Res&ults in…", "Choose the folder for the results.")
        self._run = button(
            "Run batch",
            "Segment every file with the selected reference. Results that are there "
            "already are kept, so that a stopped batch goes on where it was.",
        )
        self._cancel = button("Cancel batch", "Stop after the file under way.")
        self._bar = explain(QProgressBar(), "How many files are through.", "progress")
        self._log = explain(
            QListWidget(), "Files that were kept or skipped, and why.", "batch report"
        )
        self._log.setFixedHeight(_LOG_HEIGHT)
        self._log.setWordWrap(True)
        self._lay_out()
        self._files.clicked.connect(self._on_files)
        self._source.clicked.connect(self._on_source)
        self._target.clicked.connect(self._on_target)
        self._run.clicked.connect(self.run_requested)
        self._cancel.clicked.connect(self.cancel_requested)
        self._show()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        no_margins(layout)
        for widgets in (
            (self._files, self._source, self._chosen),
            (self._target, self._output),
            (self._run, self._bar, self._cancel),
        ):
            row = row_of(*widgets)
            if isinstance(widgets[-1], ElidedLabel):
                row.setStretch(len(widgets) - 1, 1)
            layout.addLayout(row)
        layout.addWidget(self._log)

    def choose_images(self, paths: Sequence[Path]) -> None:
        """Take files, or one folder."""
        self.images = list(paths)
        self._show()

    def choose_folder(self, folder: Path) -> None:
        """Take a folder for the results."""
        self.folder = folder
        self._show()

    def show_ready(self, ready: bool) -> None:
        """Say whether a reference is chosen."""
        self._ready = ready
        self._show()

    def show_running(self, running: bool) -> None:
        """Show progress and Cancel, or Run."""
        if running and not self._running:
            self._log.clear()
            self._bar.setRange(0, 0)
        self._running = running
        self._show()

    def show_progress(self, done: int, total: int) -> None:
        """Show how many files are through."""
        self._bar.setRange(0, total)
        self._bar.setValue(done)
        self._bar.setFormat(f"{done} of {total}")

    def add_line(self, line: str) -> None:
        """Report a file that was kept or skipped."""
        self._log.addItem(line)
        self._log.scrollToBottom()
        self._log.setVisible(True)

    def _show(self) -> None:
        if not self.images:
            text = "no images chosen"
        elif len(self.images) == 1:
            text = self.images[0].name or str(self.images[0])
        else:
            text = f"{len(self.images)} files"
        self._chosen.show_text(text, "\n".join(map(str, self.images[:20])))
        folder = self.folder
        self._output.show_text(
            "" if folder is None else folder.name or str(folder),
            "" if folder is None else str(folder),
        )
        whole = self._ready and bool(self.images) and self.folder is not None
        self._run.setEnabled(whole)
        self._run.setVisible(not self._running)
        self._bar.setVisible(self._running)
        self._cancel.setVisible(self._running)
        self._log.setVisible(self._log.count() > 0)

    def _on_files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, "Images to segment", "", _FILTER)
        if names:
            self.choose_images([Path(name) for name in names])

    def _on_source(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of images to segment")
        if name:
            self.choose_images([Path(name)])

    def _on_target(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder for the results")
        if name:
            self.choose_folder(Path(name))


class BatchJob(TabJob):
    """One batch at a time."""

    # A line on a file that was kept or skipped.
    reported = Signal(str)
    # What was done in all, or what went wrong.
    said = Signal(str)

    def __init__(self, place: Workplace, parent: QObject) -> None:
        super().__init__(place, parent, "The batch")
        self._folder: Path | None = None

    def run(
        self,
        choice: Entry | Reference,
        images: list[Path],
        folder: Path,
        window: WindowChoice,
    ) -> None:
        """Segment files.

        Parameters
        ----------
        choice : Entry or Reference
        images : list of Path
            Files, or one folder of them.
        folder : Path
            For the results.
        window : WindowChoice
        """
        self._folder = folder
        means = means_of(self._place, choice, window)
        self._begin(steps.batch(means, images, folder))
        self.said.emit("")
        self.changed.emit()

    def cancel(self) -> None:
        """Stop; results that are written stay, and count when it goes on."""
        if self._job.running:
            self._job.cancel()
            self._end("The batch was stopped. Run it again to go on from there.")

    def _on_yielded(self, said: Progress | BatchStep) -> None:
        super()._on_yielded(said)
        if not isinstance(said, Progress) and said.state != "done":
            reason = said.message or "there already"
            self.reported.emit(f"{said.path.name} {said.state}: {reason}")

    def _on_returned(self, report: BatchReport) -> None:
        said = f"{report.done} done, {report.kept} kept from before, "
        said += f"{report.skipped} skipped. The summary is in {self._folder}."
        self._end(said)

    def _on_failed(self, message: str) -> None:
        self._end(message)

    def _end(self, message: str) -> None:
        self.said.emit(message)
        self.changed.emit()
