"""A page of the dock that scrolls where the screen is low."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

__all__ = ["TabPage", "heading", "ruler"]

# The dock has its own; width is scarce.
_MARGINS = (4, 6, 4, 6)


class TabPage(QScrollArea):
    """Widgets below each other; never narrower than they need, and as low as wanted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._content = QWidget()
        self.column = QVBoxLayout(self._content)
        self.column.setContentsMargins(*_MARGINS)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(self._content)

    def minimumSizeHint(self) -> QSize:
        """Return the width that the widgets need, and little height."""
        hint = super().minimumSizeHint()
        return QSize(self._width(self._content.minimumSizeHint()), hint.height())

    def sizeHint(self) -> QSize:
        """Return the size that shows everything."""
        hint = self._content.sizeHint()
        return QSize(self._width(hint), hint.height())

    def _width(self, hint: QSize) -> int:
        bar = self.verticalScrollBar()
        return hint.width() + (0 if bar is None else bar.sizeHint().width())


def heading(text: str) -> QLabel:
    """Make the title of a part of a page."""
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def ruler() -> QFrame:
    """Make a line between two parts of a page."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    return line
