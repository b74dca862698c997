"""A part of a page that is closed at first."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dinoprompt._qt.widgets.explaining import button, no_margins

__all__ = ["Section"]


class Section(QWidget):
    """Opens and closes with mouse, Space and its letter.

    What is in a closed section is hidden, so that the keyboard passes over it. The
    triangle is part of the text and has its colour, in every theme.

    Parameters
    ----------
    title : str
        An ampersand marks its letter.
    tooltip : str
    content : QWidget
    """

    def __init__(
        self, title: str, tooltip: str, content: QWidget, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._title = title
        self._content = content
        self.toggle = button(title, tooltip)
        self.toggle.setCheckable(True)
        self.toggle.setAccessibleName(title.replace("&", ""))
        self.toggle.toggled.connect(self.open)
        layout = QVBoxLayout(self)
        no_margins(layout)
        layout.addWidget(self.toggle)
        layout.addWidget(content)
        self.open(False)

    def open(self, opened: bool) -> None:
        """Open or close it."""
        self.toggle.setChecked(opened)
        self.toggle.setText(f"{'▾' if opened else '▸'} {self._title}")
        self._content.setVisible(opened)
