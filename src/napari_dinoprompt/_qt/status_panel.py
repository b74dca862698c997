"""What to do next, how far the work is, and stopping it."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from napari_dinoprompt._qt.widgets.explaining import button, explain
from napari_dinoprompt._qt.widgets.message_label import MessageLabel

__all__ = ["StatusPanel"]

_LINES = 3


class StatusPanel(QWidget):
    """One line of advice, a progress bar, and Cancel or Compute."""

    cancel_requested = Signal()
    """The user wants the extraction stopped."""
    compute_requested = Signal()
    """The user wants the extraction started."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hint = MessageLabel("what to do next", _LINES)
        self._hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        # When all else that changed at the same time has its place.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._give_room)
        self._bar = QProgressBar()
        explain(self._bar, "How far the work is, in percent.", "progress")
        self._cancel = button("Cancel", "Stop what is being computed (Escape).")
        self._compute = button(
            "Compute features", "Compute the features of the image, as chosen below."
        )
        self._cancel.clicked.connect(self.cancel_requested)
        self._compute.clicked.connect(self.compute_requested)
        # A widget, not a layout: Qt would keep room for an empty one.
        self._row = QWidget()
        row = QHBoxLayout(self._row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._bar)
        row.addWidget(self._cancel)
        row.addWidget(self._compute)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._hint)
        layout.addWidget(self._row)
        self.show_work(running=False, stopped=False)

    @property
    def running(self) -> bool:
        """Whether there is work that can be cancelled."""
        return not self._cancel.isHidden()

    @property
    def hint(self) -> str:
        """The line on show."""
        return self._hint.text()

    def show_hint(self, hint: str) -> None:
        """Show a line of advice."""
        self._hint.setText(hint)

    def show_work(self, *, running: bool, stopped: bool) -> None:
        """Show whether features are being computed, or could be.

        Parameters
        ----------
        running : bool
            Show progress and Cancel.
        stopped : bool
            Show Compute features.
        """
        if running and self._bar.isHidden():
            self._bar.setRange(0, 0)
        self._bar.setVisible(running)
        self._cancel.setVisible(running)
        self._compute.setVisible(stopped and not running)
        if self._row.isHidden() == (running or stopped):
            self._row.setVisible(running or stopped)
            self._later.start()

    def _give_room(self) -> None:
        """Let the tabs have the room that the row left, which Qt forgets to do."""
        self.updateGeometry()
        parent = self.parentWidget()
        layout = None if parent is None else parent.layout()
        if layout is not None:
            layout.invalidate()
            layout.activate()

    def show_progress(self, done: int, total: int) -> None:
        """Show how far the work is; a total of 0 is unknown."""
        self._bar.setRange(0, total)
        self._bar.setValue(done)
