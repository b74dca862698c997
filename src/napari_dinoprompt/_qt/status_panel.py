"""What to do next, how far the work is, and stopping it."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

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
        self._hint = QLabel()
        self._hint.setWordWrap(True)
        self._hint.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # Advice of one line must not push the dock around when it grows to three.
        self._hint.setMinimumHeight(_LINES * self._hint.fontMetrics().lineSpacing())
        self._hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._bar = QProgressBar()
        self._cancel = QPushButton("Cancel")
        self._cancel.setToolTip("Stop what is being computed.")
        self._compute = QPushButton("Compute features")
        self._cancel.clicked.connect(self.cancel_requested)
        self._compute.clicked.connect(self.compute_requested)
        row = QHBoxLayout()
        row.addWidget(self._bar)
        row.addWidget(self._cancel)
        row.addWidget(self._compute)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._hint)
        layout.addLayout(row)
        self.show_work(running=False, stopped=False)

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

    def show_progress(self, done: int, total: int) -> None:
        """Show how far the work is; a total of 0 is unknown."""
        self._bar.setRange(0, total)
        self._bar.setValue(done)
