"""What is missing of a network, and how to get it: fetched, or chosen as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QProgressBar, QPushButton, QWidget

from napari_dinoprompt._qt.common.jobs import LatestJob
from napari_dinoprompt._qt.common.widgets import (
    MessageLabel,
    button,
    explain,
    in_column,
    row_of,
)
from napari_dinoprompt.core.backbones.download import fetch_weights
from napari_dinoprompt.core.backbones.load import weights_address
from napari_dinoprompt.core.backbones.weights import (
    describe_missing,
    describe_size,
    is_published,
    published_weights,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari_dinoprompt.core.progress import Progress


# Qt counts in 32 bits, and dinov2-giant has more bytes than that.
_UNIT = 1000
# What asks for no more than the usual needs no line.
_USUAL_LICENCE = "Apache-2.0"


class WeightsPanel(QWidget):
    """What is missing, buttons that get it, progress and Cancel.

    Nobody is asked over the network before the button is pressed.
    """

    # The weights of this backbone are here now.
    fetched = Signal(str)
    # The user has the weights in a file.
    choose_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._missing: str | None = None
        self._address = ""
        self._fetching = ""
        self._progress: Progress | None = None
        self._notice = MessageLabel("missing weights")
        self._licence = MessageLabel("licence")
        self._said = MessageLabel("download")
        self._get = button(
            "Get weights",
            "Download the weights from the Hugging Face hub into its cache on this "
            "machine. Your prompts stay.",
        )
        self._get.clicked.connect(self._start)
        self._choose = button(
            "Choose file…", "Choose a file with the weights; the model is seen from it."
        )
        self._choose.clicked.connect(self.choose_requested)
        self._copy = QPushButton("Copy address")
        self._copy.clicked.connect(self._copy_address)
        self._bar = explain(
            QProgressBar(), "How much of the weights is here.", "download"
        )
        self._cancel = button(
            "Cancel download", "Stop the download; what was received is kept."
        )
        self._cancel.clicked.connect(self._stop)
        self._job = LatestJob(self, "Getting the weights")
        self._job.yielded.connect(self._on_progress)
        self._job.returned.connect(self._on_fetched)
        self._job.failed.connect(self._end)
        get = row_of(self._get, self._bar, self._cancel)
        by_hand = row_of(self._choose, self._copy)
        in_column(self, self._notice, self._licence, get, by_hand, self._said)
        self._show()

    @property
    def fetching(self) -> bool:
        """Whether a download is under way."""
        return self._job.running

    def offer(self, missing: str | None, used: str) -> None:
        """Offer a network whose weights are missing; say what is used meanwhile."""
        if missing != self._missing:
            self._missing = missing
            self._address = weights_address(missing) if missing else ""
            explain(self._copy, f"Copy where the weights are: {self._address}")
            self._said.clear()
        if missing is not None:
            self._notice.setText(describe_missing(missing, used))
        self._show()

    def _copy_address(self) -> None:
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(self._address)
        self._end("Copied. Get the file on any machine, then choose it here.")

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
        published = self._missing is not None and is_published(self._missing)
        self._notice.setVisible(missing)
        self._get.setVisible(published and not busy)
        self._choose.setVisible(missing and not busy)
        self._copy.setVisible(bool(self._address) and not busy)
        self._bar.setVisible(busy)
        self._cancel.setVisible(busy)
        self._said.setVisible(bool(self._said.text()))
        self._licence.setVisible(False)
        self.setVisible(missing or busy)
        if self._missing is not None and published:
            weights = published_weights(self._missing)
            size = describe_size(weights.size)
            self._get.setText(f"Get {self._missing} ({size})")
            self._licence.setText(f"Its licence: {weights.licence}")
            self._licence.setVisible(weights.licence != _USUAL_LICENCE)
