"""Classes as coloured chips, and undoing prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QLineEdit,
    QMenu,
    QStyle,
    QToolButton,
    QWidget,
)
from superqt import QFlowLayout
from superqt.utils import signals_blocked

from napari_dinoprompt._qt.common.keys import with_key
from napari_dinoprompt._qt.common.layer_boxes import LayerBox
from napari_dinoprompt._qt.common.widgets import (
    button,
    explain,
    in_column,
    literal,
    put_in_tab_order,
    row_of,
    shorten,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Layer, Points
    from qtpy.QtWidgets import QAbstractButton


_SWATCH = 14
# Drawn larger, so that it is sharp on fine screens.
_FINER = 4
_MOST_LETTERS = 24
# Of a swatch of size 1.
_TICK = ((0.2, 0.55), (0.42, 0.77), (0.8, 0.25))
_BRIGHT = 0.18


class ClassChip(QToolButton):
    """Chooses a class. The chosen one is ticked and bold: colour alone says nothing."""

    def __init__(self, name: str, colour: str) -> None:
        super().__init__()
        self._name = name
        self._swatches = {on: _swatch(colour, ticked=on) for on in (False, True)}
        self.setObjectName(name)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        explain(
            self,
            f"The next prompts are {name}. With prompts selected: make them {name}. "
            + with_key("Next class", "class"),
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


class PromptPanel(QWidget):
    """Chooses the class of the next prompt and takes prompts back."""

    # The user chose a class; selected prompts are to become of it.
    class_requested = Signal(str)
    # The user typed the name of a new class.
    new_class_requested = Signal(str)
    # The user wants to click prompts.
    add_requested = Signal()
    # The user wants the last change of the prompts taken back.
    undo_requested = Signal()
    # The user wants the change made again that was taken back last.
    redo_requested = Signal()
    # The user wants all prompts of the image removed.
    clear_requested = Signal()
    # The user chose whether prompts stand for their points alone.
    points_only_requested = Signal(bool)
    # The user chose the Points layer that holds the prompts.
    layer_requested = Signal(object)
    # The regions of a Labels or Shapes layer are to be prompts, too.
    drawn_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._chips: dict[str, ClassChip] = {}
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._group.buttonClicked.connect(self._on_chip)
        self._flow = QWidget()
        self._chip_layout = QFlowLayout(self._flow)
        self._chip_layout.setContentsMargins(0, 0, 0, 0)
        self._layer = explain(
            LayerBox(),
            "The Points layer that holds the prompts: the one made here, or your own. "
            "A column class in its features gives the classes.",
            "layer of the prompts",
        )
        self._layer.activated.connect(self._on_layer)
        self._layer.hide()
        self._new = explain(
            QLineEdit(), "Type a name and press Enter to add a class.", "new class"
        )
        self._new.setPlaceholderText("new class…")
        self._new.returnPressed.connect(self._on_new)
        tip = with_key("Clicks on the image place prompts from now on.", "prompts")
        self._add = button("Add pro&mpts", tip)
        self._add.clicked.connect(self.add_requested)
        self._undo = button("Und&o", with_key("Take back the last change.", "undo"))
        self._undo.clicked.connect(self.undo_requested)
        self._redo = button("&Redo", with_key("Make that change again.", "redo"))
        self._redo.clicked.connect(self.redo_requested)
        self._clear = button("Clear", "Remove all prompts of this image.")
        self._clear.clicked.connect(self.clear_requested)
        self._points_only = explain(
            QCheckBox("Points onl&y"),
            "Take the features at the clicked points alone. If not ticked, a prompt "
            "stands for the whole object that it is on.",
        )
        self._points_only.toggled.connect(self.points_only_requested)
        self._drawn = button(
            "From la&yer…",
            "Each label or shape of a layer, on the plane in view, becomes a prompt of "
            "the chosen class, or of its own in a column class.",
        )
        self._drawn.setMenu(QMenu(self))
        buttons = row_of(self._add, self._undo, self._redo, self._clear)
        new = row_of(self._new, self._drawn, self._points_only)
        in_column(self, self._layer, self._flow, new, buttons)

    def show_classes(
        self, colours: Mapping[str, str], counts: Mapping[str, int], selected: str
    ) -> None:
        """Show a chip per class, in its colour, with its number of prompts."""
        for name, colour in colours.items():
            if name not in self._chips:
                self._chips[name] = self._make_chip(name, colour)
        for name, chip in self._chips.items():
            chip.show_state(counts.get(name, 0), name == selected)

    def show_layers(self, points: Sequence[Points], chosen: Points | None) -> None:
        """Offer the Points layers that can hold the prompts, if there is a choice."""
        self._layer.show_layers(points)
        self._layer.choose(chosen)
        self._layer.setVisible(len(points) > 1 or chosen not in points)

    def show_drawn(self, offered: Sequence[Layer]) -> None:
        """Offer layers whose regions can be prompts."""
        menu = self._drawn.menu()
        assert menu is not None
        menu.clear()
        for layer in offered:
            choose = menu.addAction(literal(shorten(layer.name, _MOST_LETTERS)))
            assert choose is not None
            choose.triggered.connect(lambda _=0, one=layer: self._on_drawn(one))
        self._drawn.setEnabled(bool(offered))

    def _on_drawn(self, layer: Layer) -> None:
        self.drawn_requested.emit(layer)

    def show_points_only(self, points_only: bool) -> None:
        """Show what prompts stand for."""
        with signals_blocked(self._points_only):
            self._points_only.setChecked(points_only)

    def take_keyboard(self) -> None:
        """Have the keyboard at Add prompts, which takes no letter."""
        self._add.setFocus()

    def show_prompting(self, prompting: bool) -> None:
        """Point at Add prompts while clicks place none."""
        style = self._add.style()
        assert style is not None
        warning = style.standardIcon(QStyle.StandardPixmap.SP_MessageBoxWarning)
        self._add.setIcon(QIcon() if prompting else warning)

    def enable_changes(self, *, undo: bool, redo: bool, clear: bool) -> None:
        """Enable changes; a layer of the user's own is changed by no button."""
        self._undo.setEnabled(undo)
        self._redo.setEnabled(redo)
        self._clear.setEnabled(clear)

    def _make_chip(self, name: str, colour: str) -> ClassChip:
        chip = ClassChip(name, colour)
        self._group.addButton(chip)
        self._chip_layout.addWidget(chip)
        put_in_tab_order(self._layer, *self._chips.values(), chip)
        return chip

    def _on_chip(self, chip: QAbstractButton) -> None:
        self.class_requested.emit(chip.objectName())

    def _on_layer(self, _index: int) -> None:
        self.layer_requested.emit(self._layer.layer)

    def _on_new(self) -> None:
        name = self._new.text().strip()
        self._new.clear()
        if name:
            self.new_class_requested.emit(name)


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
