"""Applying a reference to files, in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal

from napari_dinoprompt._qt import work_steps
from napari_dinoprompt._qt.job_work import JobWork
from napari_dinoprompt._qt.references.apply_work import means_of
from napari_dinoprompt.core.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from qtpy.QtCore import QObject

    from napari_dinoprompt._qt.job_work import BackboneShelf
    from napari_dinoprompt._qt.window_box import WindowChoice
    from napari_dinoprompt.core.batching.batch import BatchReport, BatchStep
    from napari_dinoprompt.core.references.library import Entry
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.session import Session

__all__ = ["BatchWork"]


class BatchWork(JobWork):
    """One batch at a time."""

    reported = Signal(str)
    """A line on a file that was kept or skipped."""
    said = Signal(str)
    """What was done in all, or what went wrong."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        shelf: BackboneShelf,
        parent: QObject,
    ) -> None:
        super().__init__(viewer, session, shelf, parent, "The batch")
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
        means = means_of(self._session, self._shelf, choice, window, self._viewer)
        self._begin(work_steps.batch(means, images, folder))
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
