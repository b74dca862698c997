"""All planes of a stack at once, and objects through the planes."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QProgressBar, QWidget
from superqt.utils import signals_blocked

from napari_dinoprompt._qt.widgets.explaining import button, explain, in_column, row_of
from napari_dinoprompt._qt.widgets.message_label import MessageLabel

__all__ = ["StackPanel"]


class StackPanel(QWidget):
    """A button for all planes with its progress, and a box for 3-D objects."""

    start_requested = Signal()
    """All planes are wanted."""
    stop_requested = Signal()
    """The work on them is to be stopped."""
    objects_3d_requested = Signal(bool)
    """Objects are to be numbered through the planes, or in each plane."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._start = button(
            "All planes",
            "Find the objects in all planes of the stack, with the prompts and "
            "thresholds as they are now. You can go on looking around; planes that "
            "are finished are not done again.",
        )
        self._bar = QProgressBar()
        explain(self._bar, "How many planes are finished, in percent.", "progress")
        self._stop = button(
            "Stop", "Finished planes stay; All planes goes on from there."
        )
        self._objects_3d = QCheckBox("&3-D objects")
        explain(
            self._objects_3d,
            "Once all planes are finished, clean the mask in 3-D and number objects "
            "through the planes. The smallest object is then in voxels; the scale of "
            "the layer says how far the planes are apart.",
        )
        self._said = MessageLabel("objects in all planes")
        row = row_of(self._start, self._bar, self._stop, self._objects_3d)
        in_column(self, row, self._said)
        self._start.clicked.connect(self.start_requested)
        self._stop.clicked.connect(self.stop_requested)
        self._objects_3d.toggled.connect(self.objects_3d_requested)

    def show_stack(
        self, *, can_start: bool, running: bool, objects_3d: bool, said: str
    ) -> None:
        """Show how it stands; `said` is what was found, or what went wrong."""
        if running and self._bar.isHidden():
            self._bar.setRange(0, 0)
        self._start.setVisible(not running)
        self._start.setEnabled(can_start)
        self._bar.setVisible(running)
        self._stop.setVisible(running)
        with signals_blocked(self._objects_3d):
            self._objects_3d.setChecked(objects_3d)
        self._said.setText(said)
        self._said.setVisible(bool(said))

    def show_progress(self, done: int, total: int) -> None:
        """Show how far the work is; a total of 0 is unknown."""
        self._bar.setRange(0, total)
        self._bar.setValue(done)
