"""A class of prompts: its colour, its name and how many there are."""

from __future__ import annotations

from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QToolButton, QWidget

from napari_dinoprompt._qt.widgets.elided_label import shorten
from napari_dinoprompt._qt.widgets.explaining import explain, literal

__all__ = ["ClassChip"]

_SWATCH = 14
# Drawn larger, so that it is sharp on fine screens.
_FINER = 4
_MOST_LETTERS = 24
# Of a swatch of size 1.
_TICK = ((0.2, 0.55), (0.42, 0.77), (0.8, 0.25))
_BRIGHT = 0.18


class ClassChip(QToolButton):
    """Chooses a class. The chosen one is ticked and bold: colour alone says nothing.

    Parameters
    ----------
    name : str
    colour : str
    """

    def __init__(self, name: str, colour: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._swatches = {on: _swatch(colour, ticked=on) for on in (False, True)}
        self.setObjectName(name)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        explain(
            self,
            f"The next prompts are {name}. With prompts selected: make them {name}.",
        )
        self.toggled.connect(self._on_toggled)
        self._on_toggled(False)

    def show_state(self, count: int, chosen: bool) -> None:
        """Show how many prompts there are, and whether the next is of this class."""
        self.setText(f"{literal(shorten(self._name, _MOST_LETTERS))}  {count}")
        self.setAccessibleName(f"class {self._name}, {count} prompts")
        self.setChecked(chosen)

    def _on_toggled(self, chosen: bool) -> None:
        self.setIcon(self._swatches[chosen])
        font = self.font()
        font.setBold(chosen)
        self.setFont(font)


def _swatch(colour: str, *, ticked: bool) -> QIcon:
    size = _SWATCH * _FINER
    ground = QColor(colour)
    swatch = QPixmap(size, size)
    swatch.fill(ground)
    if ticked:
        painter = QPainter(swatch)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = Qt.GlobalColor.black if _luminance(ground) > _BRIGHT else "white"
        painter.setPen(QPen(QColor(ink), 2.5 * _FINER))
        painter.drawPolyline(QPolygonF([QPointF(size * x, size * y) for x, y in _TICK]))
        painter.end()
    swatch.setDevicePixelRatio(_FINER)
    return QIcon(swatch)


def _luminance(colour: QColor) -> float:
    """Return the relative luminance of WCAG, in [0, 1]."""
    parts = (colour.redF(), colour.greenF(), colour.blueF())
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
