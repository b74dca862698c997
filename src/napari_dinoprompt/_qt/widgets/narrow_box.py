"""A box to choose from that no long name makes wide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QHelpEvent
from qtpy.QtWidgets import QComboBox, QToolTip, QWidget

from napari_dinoprompt._qt.widgets.explaining import wrap

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NarrowBox"]

_LEAST_LETTERS = 8


class NarrowBox(QComboBox):
    """What is chosen is cut where there is no room, and whole in the tooltip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.setMinimumContentsLength(_LEAST_LETTERS)
        view = self.view()
        assert view is not None
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)

    def addItems(self, texts: Iterable[str | None]) -> None:
        """Offer texts, each whole in its tooltip."""
        first, texts = self.count(), list(texts)
        super().addItems(texts)
        for row, text in enumerate(texts, first):
            self.setItemData(row, wrap(text or ""), Qt.ItemDataRole.ToolTipRole)

    def event(self, event: QEvent | None) -> bool:
        """Say what the box is for, and what is chosen."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            lines = (self.accessibleDescription(), self.currentText())
            QToolTip.showText(event.globalPos(), wrap("\n".join(lines)), self)
            return True
        return super().event(event)
