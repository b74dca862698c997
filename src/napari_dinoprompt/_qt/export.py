"""Writing results into files, in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt._qt.jobs import LatestJob

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["Export"]


class Export(QObject):
    """Writes one thing at a time, whole or not at all.

    `what` is written, as in "Tables and figure were written", for the user.
    """

    said = Signal(str)
    """Where it was written, or what went wrong."""

    def __init__(self, parent: QObject, what: str = "Written") -> None:
        super().__init__(parent)
        self._what = what
        self._job = LatestJob(self, "Writing")
        self._job.returned.connect(self._on_written)
        self._job.failed.connect(self.said)

    @property
    def running(self) -> bool:
        """Whether something is being written."""
        return self._job.running

    def write(self, steps: Generator[object, None, Path]) -> None:
        """Run a generator that writes, and returns the path to a file or folder."""
        self._job.start(steps)
        self.said.emit("Writing…")

    def _on_written(self, path: Path) -> None:
        self.said.emit(f"{self._what} to {path}.")
