"""Writing what the study found, in a thread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_dinoprompt._qt.jobs import LatestJob
from napari_dinoprompt._qt.studying import steps as study_steps

if TYPE_CHECKING:
    from napari_dinoprompt._qt.studying.request import StudyResult

__all__ = ["StudyExport", "ask_for_path"]

_PLOT, _TABLE = "PNG (*.png);;PDF (*.pdf)", "CSV (*.csv)"


class StudyExport(QObject):
    """Writes one file at a time."""

    said = Signal(str)
    """Where it was written, or what went wrong."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._job = LatestJob(self)
        self._job.returned.connect(self._on_written)
        self._job.failed.connect(self.said)
        self._job.crashed.connect(self._on_crashed)

    @property
    def running(self) -> bool:
        """Whether a file is being written."""
        return self._job.running

    def save(self, result: StudyResult, path: Path, *, plot: bool) -> None:
        """Write the table or the plot of a result, whole or not at all."""
        if plot:
            steps = study_steps.save_plot(result.part, result.found, result.light, path)
        else:
            steps = study_steps.save_table(result.part, result.found, path)
        self._job.start(steps)
        self.said.emit("Writing…")

    def _on_written(self, path: Path) -> None:
        self.said.emit(f"Written to {path}.")

    def _on_crashed(self) -> None:
        self.said.emit("Writing failed; see the notification.")


def ask_for_path(parent: QWidget, part: str, *, plot: bool) -> Path | None:
    """Ask the user where to write; None if they think better of it.

    Parameters
    ----------
    parent : QWidget
        Of the dialog.
    part : str
        The part of the study.
    plot : bool
        Its plot, not its table.

    Returns
    -------
    Path or None
        With a suffix that says what it is.
    """
    suffix, kinds = (".png", _PLOT) if plot else (".csv", _TABLE)
    name, _ = QFileDialog.getSaveFileName(parent, "Save as", f"{part}{suffix}", kinds)
    if not name:
        return None
    path = Path(name)
    known = (".png", ".pdf") if plot else (".csv",)
    # Added, as what is behind a dot may be part of the name.
    good = path.suffix.lower() in known
    return path if good else path.with_name(path.name + suffix)
