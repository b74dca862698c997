"""A frame around the widget that has the keyboard: napari's style shows none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from qtpy.QtCore import QEvent, QObject, QRect, Qt
from qtpy.QtGui import QColor, QPainter, QPalette, QPen
from qtpy.QtWidgets import QApplication, QTabWidget, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

__all__ = ["FocusRing"]

_WIDTH = 2
_ROOM = 2
_MOVES = (QEvent.Type.Move, QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Hide)


class FocusRing(QWidget):
    """Follows the keyboard through the widgets of a dock.

    Drawn in the colour of the text, which every theme sets off from its background.
    """

    def __init__(self, dock: QWidget) -> None:
        super().__init__(dock)
        # Kept as it is, it would never be let go of.
        self._dock = ref(dock)
        self._at: QWidget | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hide()
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.focusChanged.connect(self._on_focus)

    @property
    def around(self) -> QWidget | None:
        """The widget that it is drawn around."""
        return None if self.isHidden() else self._at

    def _on_focus(self, _old: QWidget | None, new: QWidget | None) -> None:
        if self._at is not None:
            self._at.removeEventFilter(self)
            self._at.destroyed.disconnect(self._on_gone)
            self._at = None
        dock = self._dock()
        if new is None or dock is None or not dock.isAncestorOf(new):
            self.hide()
            return
        self._at = _whole(new)
        self._at.installEventFilter(self)
        self._at.destroyed.connect(self._on_gone)
        self._follow()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Stay with the widget."""
        if event is not None and watched is self._at and event.type() in _MOVES:
            self._follow()
        return False

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw the frame."""
        painter = QPainter(self)
        painter.setPen(QPen(self._colour(), _WIDTH))
        painter.drawRect(self.rect().adjusted(1, 1, -1, -1))

    def _colour(self) -> QColor:
        return (self._at or self).palette().color(QPalette.ColorRole.WindowText)

    def _follow(self) -> None:
        at = self._at
        if at is None or at.isHidden():
            self.hide()
            return
        parent = at.parentWidget()
        if parent is not self.parentWidget():
            # As a neighbour it is scrolled and cut off together with the widget.
            self.setParent(parent)
        room = QRect(at.geometry()).adjusted(-_ROOM, -_ROOM, _ROOM, _ROOM)
        if parent is not None:
            room = room.intersected(parent.rect())
        self.setGeometry(room)
        self.raise_()
        self.show()

    def _on_gone(self) -> None:
        self._at = None
        self.hide()


def _whole(widget: QWidget) -> QWidget:
    """Return the field that a widget is the inner part of."""
    parent = widget.parentWidget()
    outside = isinstance(parent, QTabWidget)
    if parent is not None and not outside and parent.focusProxy() is widget:
        return parent
    return widget
