"""The line that offers prompts of before."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_dinoprompt._qt.widgets.explaining import button, explain

if TYPE_CHECKING:
    from napari_dinoprompt.core.recovery.record import ImageRecord

__all__ = ["RecoveryPanel", "describe_time"]


class RecoveryPanel(QWidget):
    """Restore and Forget; hidden while there is nothing to be offered."""

    restore_requested = Signal()
    """The user wants the prompts and settings of before."""
    forget_requested = Signal()
    """The user does not want them any more."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: ImageRecord | None = None
        self._restore = button(
            "Restore prompts", "Bring back the prompts that this image had before."
        )
        self._forget = button("Forget", "Remove these prompts from the disk.")
        self._restore.clicked.connect(self.restore_requested)
        self._forget.clicked.connect(self.forget_requested)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._restore, stretch=1)
        layout.addWidget(self._forget)
        self.show_offer(None)

    def show_offer(self, record: ImageRecord | None) -> None:
        """Offer the prompts of a record.

        Parameters
        ----------
        record : ImageRecord or None
            None hides the line.
        """
        if record is not None and record is not self._shown:
            count = len(record.classes)
            prompts = "1 prompt" if count == 1 else f"{count} prompts"
            when = describe_time(record.changed)
            self._restore.setText(f"Restore {prompts} of {when}")
            explain(
                self._restore,
                f"This image had {prompts} when it was open the last time "
                f"({record.settings.backbone}, ×{record.settings.upscale:g}). Bring "
                "them back, with classes, thresholds, backbone and cleaning. Undo "
                "takes the prompts away again.",
            )
        self._shown = record
        self.setVisible(record is not None)


def describe_time(moment: float, now: datetime | None = None) -> str:
    """Write a moment as users read it, such as "today, 10:15".

    Parameters
    ----------
    moment : float
        In seconds since 1970.
    now : datetime, optional

    Returns
    -------
    str
        In the time of this place.
    """
    then = datetime.fromtimestamp(moment)
    today = (now or datetime.now()).date()
    days = (today - then.date()).days
    day = {0: "today", 1: "yesterday"}.get(days, f"{then:%Y-%m-%d}")
    return f"{day}, {then:%H:%M}"
