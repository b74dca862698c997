"""Fetching the weights of DINOv2 from the dock, when the user asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from napari_dinoprompt._qt.jobs import LatestJob
from napari_dinoprompt._qt.widgets.explaining import button, explain
from napari_dinoprompt._qt.widgets.message_label import MessageLabel
from napari_dinoprompt.core.errors import WeightsNotFoundError
from napari_dinoprompt.core.weights.fetch import fetch_weights
from napari_dinoprompt.core.weights.search import (
    describe_size,
    dinov2_weights,
    find_dinov2,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari_dinoprompt.core.progress import Progress

__all__ = ["WeightsPanel"]

# Qt counts in 32 bits, and dinov2-giant has more bytes than that.
_UNIT = 1000


class WeightsPanel(QWidget):
    """What is missing, a button that gets it, progress and Cancel.

    Nobody is asked over the network before the button is pressed.
    """

    fetched = Signal(str)
    """The weights of this backbone are here now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._missing: str | None = None
        self._fetching = ""
        self._progress: Progress | None = None
        self._notice = MessageLabel("missing weights")
        self._said = MessageLabel("download")
        self._get = button(
            "Get weights",
            "Download the weights from the Hugging Face hub into its cache on this "
            "machine. Your prompts stay.",
        )
        self._get.clicked.connect(self._start)
        self._bar = QProgressBar()
        explain(self._bar, "How much of the weights is here.", "download")
        self._cancel = button(
            "Cancel download", "Stop the download; what was received is kept."
        )
        self._cancel.clicked.connect(self._stop)
        self._job = LatestJob(self, "Getting the weights")
        self._job.yielded.connect(self._on_progress)
        self._job.returned.connect(self._on_fetched)
        self._job.failed.connect(self._end)
        row = QHBoxLayout()
        row.addWidget(self._get)
        row.addWidget(self._bar)
        row.addWidget(self._cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._notice)
        layout.addLayout(row)
        layout.addWidget(self._said)
        self._show()

    @property
    def fetching(self) -> bool:
        """Whether a download is under way."""
        return self._job.running

    def offer(self, name: str | None, folder: str | None) -> None:
        """Offer a model if its weights are missing.

        Parameters
        ----------
        name : str or None
            A DINOv2 backbone.
        folder : str or None
            Where to look besides the usual places.
        """
        missing = None if name is None or _is_here(name, folder) else name
        if missing != self._missing:
            self._missing = missing
            self._said.clear()
        self._show()

    def show_used(self, backbone: str) -> None:
        """Say what is used instead of the model that is missing."""
        if self._missing is None:
            return
        text = f"The weights of {self._missing} are not on this machine"
        if backbone != self._missing:
            text += f"; {backbone} is used instead"
        self._notice.setText(f"{text}.")

    def _start(self) -> None:
        if self._missing is None:
            return
        self._fetching = self._missing
        self._progress = None
        self._said.clear()
        self._bar.setRange(0, 0)
        self._job.start(fetch_weights(self._fetching))
        self._show()

    def _stop(self) -> None:
        self._job.cancel()
        done = 0 if self._progress is None else self._progress.done
        kept = f" {describe_size(done)} are kept for the next time." if done else ""
        self._end(f"Stopped.{kept}")

    def _on_progress(self, progress: Progress) -> None:
        self._progress = progress
        self._bar.setRange(0, progress.total // _UNIT)
        self._bar.setValue(progress.done // _UNIT)
        self._bar.setFormat(
            f"{describe_size(progress.done)} of {describe_size(progress.total)}"
        )

    def _on_fetched(self, _path: Path) -> None:
        self._end("")
        self.fetched.emit(self._fetching)

    def _end(self, message: str) -> None:
        self._said.setText(message)
        self._show()

    def _show(self) -> None:
        busy, missing = self._job.running, self._missing is not None
        self._notice.setVisible(missing)
        self._get.setVisible(missing and not busy)
        self._bar.setVisible(busy)
        self._cancel.setVisible(busy)
        self._said.setVisible(bool(self._said.text()))
        self.setVisible(missing or busy)
        if self._missing is not None:
            size = describe_size(dinov2_weights(self._missing).size)
            self._get.setText(f"Get {self._missing} ({size})")


def _is_here(name: str, folder: str | None) -> bool:
    try:
        find_dinov2(name, folder)
    except WeightsNotFoundError:
        return False
    return True
