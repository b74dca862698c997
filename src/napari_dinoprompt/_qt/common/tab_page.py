"""A page of the dock that scrolls where the screen is low."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, QSize, Qt, Signal
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from .widgets import add_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Layer
    from qtpy.QtWidgets import QLayout


# The dock has its own; width is scarce.
_MARGINS = (4, 6, 4, 6)
# Beside the bar, in napari's style.
_EDGE = 2


class TabPage(QScrollArea):
    """Widgets below each other; never narrower than they need, and as low as wanted."""

    def __init__(self) -> None:
        super().__init__()
        self._content = QWidget()
        self.column = QVBoxLayout(self._content)
        self.column.setContentsMargins(*_MARGINS)
        self.setWidgetResizable(True)
        # It is scrolled by what the keyboard turns to.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(self._content)

    def fill(self, *parts: QWidget | QLayout) -> None:
        """Put parts below each other, at the top where there is room to spare."""
        add_all(self.column, *parts)
        self.column.addStretch()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Ask for room when the content needs more of it."""
        seen = super().eventFilter(watched, event)
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return seen

    def focusNextPrevChild(self, next: bool) -> bool:
        """Bring the widget that the keyboard turns to into view."""
        moved = super().focusNextPrevChild(next)
        turned_to = self.focusWidget()
        if moved and turned_to is not None and self.isAncestorOf(turned_to):
            self.ensureWidgetVisible(turned_to)
        return moved

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
        return hint.width() + (0 if bar is None else bar.sizeHint().width() + _EDGE)


class WorkTab(TabPage):
    """A page with work of its own, which the dock shows above its tabs."""

    # Steps done and in all; a total of 0 is unknown.
    progressed = Signal(int, int)

    @property
    def hint(self) -> str:
        """What to do next, or what was said last."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether there is work that can be cancelled."""
        raise NotImplementedError

    @property
    def stopped(self) -> bool:
        """Whether features could be computed, and are not."""
        return False

    def cancel(self) -> None:
        """Stop the work."""
        raise NotImplementedError

    def refresh(self, images: Sequence[Image], labels: Sequence[Layer]) -> None:
        """Show all as it is: images to be segmented, and what can be the truth."""
        raise NotImplementedError


def ruler() -> QFrame:
    """Make a line between two parts of a page."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    return line
