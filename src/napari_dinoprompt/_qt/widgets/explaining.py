"""Widgets that say what they do: to the mouse, to the keyboard, to a screen reader."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, TypeVar

from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QBoxLayout,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible, QElidingLabel

if TYPE_CHECKING:
    from qtpy.QtWidgets import QLayout

__all__ = [
    "ElidedLabel",
    "Section",
    "button",
    "explain",
    "in_column",
    "label_of",
    "literal",
    "new_form",
    "no_margins",
    "put_in_tab_order",
    "row_of",
    "shorten",
    "wrap",
]

_Widget = TypeVar("_Widget", bound=QWidget)
# What napari's style leaves free around the text of a label, on both sides.
_PADDING = 12
# Qt's QWIDGETSIZE_MAX.
_ANY_HEIGHT = 16_777_215


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
    _add_all(row, parts)
    return row


def in_column(owner: QWidget, *parts: QWidget | QLayout) -> None:
    """Fill a widget with parts below each other, without margins of its own."""
    column = QVBoxLayout(owner)
    no_margins(column)
    _add_all(column, parts)


def _add_all(box: QBoxLayout, parts: tuple[QWidget | QLayout, ...]) -> None:
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


class ElidedLabel(QElidingLabel):
    """The name of a file, cut in its middle where there is no room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
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

    def __init__(
        self, title: str, tooltip: str, content: QWidget, parent: QWidget | None = None
    ) -> None:
        super().__init__(title, parent, QIcon(), QIcon())
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
