"""Widgets that say what they do: to the mouse, to the keyboard, to a screen reader."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QPushButton, QWidget

if TYPE_CHECKING:
    from qtpy.QtWidgets import QLayout

__all__ = [
    "button",
    "explain",
    "in_row",
    "label_of",
    "literal",
    "new_form",
    "no_margins",
    "put_in_tab_order",
    "wrap",
]


def explain(widget: QWidget, text: str, name: str = "") -> None:
    """Give a widget a tooltip, and tell a screen reader the same.

    Parameters
    ----------
    widget : QWidget
    text : str
        What it does, and in which unit its value is.
    name : str, optional
        What it is called, where neither its own text nor a label says so.
    """
    widget.setToolTip(wrap(text))
    widget.setAccessibleDescription(text)
    if name:
        widget.setAccessibleName(name)


def wrap(text: str) -> str:
    """Turn a text into a tooltip: Qt wraps only those that are rich text."""
    lines = "<br>".join(escape(line) for line in text.splitlines())
    return f"<qt>{lines}</qt>" if text else ""


def literal(text: str) -> str:
    """Keep an ampersand in a name from being taken for a mnemonic."""
    return text.replace("&", "&&")


def button(text: str, tooltip: str) -> QPushButton:
    """Make a button that explains itself; an ampersand marks its letter."""
    made = QPushButton(text)
    explain(made, tooltip)
    return made


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


def in_row(*widgets: QWidget) -> QHBoxLayout:
    """Put widgets one beside the other."""
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row


def put_in_tab_order(first: QWidget, *following: QWidget) -> None:
    """Let Tab go from one to the next; what is made later would come last of all."""
    for widget in following:
        QWidget.setTabOrder(first, widget)
        first = widget


def no_margins(layout: QLayout) -> None:
    """Fit a layout into one that has margins of its own."""
    layout.setContentsMargins(0, 0, 0, 0)
