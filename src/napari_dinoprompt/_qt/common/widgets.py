"""Small widgets and helpers that all tabs of the dock are made of."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, TypeVar
from weakref import ref

from qtpy.QtCore import QEvent, QObject, QRect, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QGuiApplication,
    QHelpEvent,
    QIcon,
    QKeySequence,
    QPainter,
    QPalette,
    QPen,
)
from qtpy.QtWidgets import (
    QApplication,
    QBoxLayout,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QTabWidget,
    QToolTip,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible, QElidingLabel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qtpy.QtGui import QContextMenuEvent, QKeyEvent, QPaintEvent
    from qtpy.QtWidgets import QLayout


_Widget = TypeVar("_Widget", bound=QWidget)
# What napari's style leaves free around the text of a label, on both sides.
_PADDING = 12
# Qt's QWIDGETSIZE_MAX.
_ANY_HEIGHT = 16_777_215

# Qt breaks lines here, and shows nothing.
_BREAK = "\u200b"
# Above and below the text, in napari's style.
_MESSAGE_PADDING = 13
_FITTING = (QEvent.Type.FontChange, QEvent.Type.Polish, QEvent.Type.Resize)
_LONG = re.compile(r"\S{16,}")
_PIECE = re.compile(r"[^/\\_.\-]{1,12}[/\\_.\-]?|[/\\_.\-]")

_LEAST_LETTERS = 8

_WIDTH = 2
_ROOM = 2
_MOVES = (QEvent.Type.Move, QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Hide)


def explain(widget: _Widget, text: str, name: str = "") -> _Widget:
    """Give a widget a tooltip, and tell a screen reader the same.

    The text says what it does, and in which unit its value is; the name what it is
    called, where neither its own text nor a label says so.
    """
    widget.setToolTip(wrap(text))
    widget.setAccessibleDescription(text)
    if name:
        widget.setAccessibleName(name)
    return widget


def wrap(text: str) -> str:
    """Turn a text into a tooltip: Qt wraps only those that are rich text."""
    lines = "<br>".join(escape(line) for line in text.splitlines())
    return f"<qt>{lines}</qt>" if text else ""


def literal(text: str) -> str:
    """Keep an ampersand in a name from being taken for a mnemonic."""
    return text.replace("&", "&&")


def shorten(text: str, most: int) -> str:
    """Leave out the middle of a text of more characters than can be shown."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def button(text: str, tooltip: str) -> QPushButton:
    """Make a button that explains itself; an ampersand marks its letter."""
    return explain(QPushButton(text), tooltip)


def label_of(text: str, widget: QWidget) -> QLabel:
    """Make the label of a widget; its letter turns to the widget."""
    label = QLabel(text)
    label.setBuddy(widget)
    return label


def new_form() -> QFormLayout:
    """Make rows of labels and fields, as wide as there is room."""
    form = QFormLayout()
    no_margins(form)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form


def row_of(*parts: QWidget | QLayout) -> QHBoxLayout:
    """Lay parts out side by side."""
    row = QHBoxLayout()
    add_all(row, *parts)
    return row


def in_column(owner: QWidget, *parts: QWidget | QLayout) -> None:
    """Fill a widget with parts below each other, without margins of its own."""
    column = QVBoxLayout(owner)
    no_margins(column)
    add_all(column, *parts)


def add_all(box: QBoxLayout, *parts: QWidget | QLayout) -> None:
    """Add parts one after the other."""
    for part in parts:
        if isinstance(part, QWidget):
            box.addWidget(part)
        else:
            box.addLayout(part)


def put_in_tab_order(first: QWidget, *following: QWidget) -> None:
    """Let Tab go from one to the next; what is made later would come last of all."""
    for widget in following:
        QWidget.setTabOrder(first, widget)
        first = widget


def no_margins(layout: QLayout) -> None:
    """Fit a layout into one that has margins of its own."""
    layout.setContentsMargins(0, 0, 0, 0)


class OfferRow(QWidget):
    """A button that takes what is offered, and one that does without."""

    # The user wants it.
    accepted = Signal()
    # The user does not want it.
    dismissed = Signal()

    def __init__(self, dismiss: str, tooltip: str) -> None:
        super().__init__()
        self._accept, self._dismiss = QPushButton(), button(dismiss, tooltip)
        self._accept.clicked.connect(self.accepted)
        self._dismiss.clicked.connect(self.dismissed)
        row = row_of(self._accept, self._dismiss)
        row.setStretch(0, 1)
        in_column(self, row)

    def show_offer(self, text: str, tooltip: str) -> None:
        """Offer something; an empty text is nothing, and hides the row."""
        if text:
            self._accept.setText(literal(text))
            explain(self._accept, tooltip)
        self.setVisible(bool(text))


class ElidedLabel(QElidingLabel):
    """The name of a file, cut in its middle where there is no room."""

    def __init__(self) -> None:
        super().__init__()
        self.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.setEllipsesWidth(_PADDING)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def show_text(self, text: str, details: str) -> None:
        """Show a line, and more in its tooltip."""
        self.setText(text)
        self.setToolTip(wrap(details))
        self.setAccessibleName(text)


class Section(QCollapsible):
    """A part of a page that is closed at first; it opens at once.

    What is in a closed section is hidden, so that the keyboard passes over it. The
    triangle is part of the text and has its colour, in every theme.
    """

    def __init__(self, title: str, tooltip: str, content: QWidget) -> None:
        super().__init__(title, None, QIcon(), QIcon())
        self._title = title
        self.setDuration(0)
        self.toggleButton().setStyleSheet("")
        explain(self.toggleButton(), tooltip, title.replace("&", ""))
        layout = self.layout()
        assert layout is not None
        no_margins(layout)
        self.content().hide()
        self.setContent(content)
        self.toggled.connect(self._on_toggled)
        self._on_toggled(False)

    def _on_toggled(self, opened: bool) -> None:
        self.setText(f"{'▾' if opened else '▸'} {self._title}")
        self.content().setVisible(opened)
        # As high as it comes to be, not as it was when it was opened.
        self.content().setMaximumHeight(_ANY_HEIGHT)


class MessageLabel(QLabel):
    """A text of several lines. A long path in it makes the dock no wider.

    It keeps room for so many lines, that a longer text does not push others around; its
    name says what it is, for a screen reader.
    """

    def __init__(self, name: str, lines: int = 0) -> None:
        super().__init__()
        self._said = ""
        self._name = name
        self._lines = lines
        self.setWordWrap(True)
        # Qt's layouts keep an old height where rows beside it come and go: it is set
        # here instead.
        policy = self.sizePolicy()
        policy.setHeightForWidth(False)
        self.setSizePolicy(policy)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setAccessibleName(name)
        self.setToolTip("Select text with mouse or keyboard to copy it.")

    def text(self) -> str:
        """Return what is said, without the breaks."""
        return self._said

    def setText(self, text: str | None) -> None:
        """Say something else."""
        text = text or ""
        if text != self._said:
            self._said = text
            super().setText(_LONG.sub(_with_breaks, text))
            self.setAccessibleName(f"{self._name}: {text}" if text else self._name)
            self._fit()

    def clear(self) -> None:
        """Say nothing."""
        self.setText("")

    def event(self, event: QEvent | None) -> bool:
        """Be as high as the lines are, in whichever font and width."""
        done = super().event(event)
        if event is not None and event.type() in _FITTING:
            self._fit()
        return done

    def _fit(self) -> None:
        room = self.fontMetrics().lineSpacing() * self._lines + _MESSAGE_PADDING
        needed = max(self.heightForWidth(self.width()), 0)
        self.setFixedHeight(max(needed, room) if self._lines else needed)

    def copy(self) -> None:
        """Copy what is selected, or all, to the clipboard."""
        chosen = self.selectedText().replace(_BREAK, "") or self._said
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(chosen)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Copy without the breaks."""
        if event is not None and event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:
        """Offer to copy."""
        menu = QMenu(self)
        action = menu.addAction("Copy")
        assert action is not None
        action.triggered.connect(self.copy)
        if event is not None:
            menu.exec(event.globalPos())


def _with_breaks(found: re.Match[str]) -> str:
    return _BREAK.join(_PIECE.findall(found.group()))


class NarrowBox(QComboBox):
    """What is chosen is cut where there is no room, and whole in the tooltip."""

    def __init__(self) -> None:
        super().__init__()
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


def duration(seconds: float) -> str:
    """Say how long something takes, in seconds or minutes."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"
