"""Classes as coloured chips, and undoing prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout

from napari_dinoprompt._qt.class_chip import ClassChip
from napari_dinoprompt._qt.widgets.explaining import (
    button,
    explain,
    no_margins,
    put_in_tab_order,
)
from napari_dinoprompt._qt.widgets.narrow_box import NarrowBox

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Points
    from qtpy.QtWidgets import QAbstractButton

__all__ = ["PromptPanel"]


class PromptPanel(QWidget):
    """Chooses the class of the next prompt and takes prompts back."""

    class_requested = Signal(str)
    """The user chose a class; selected prompts are to become of it."""
    new_class_requested = Signal(str)
    """The user typed the name of a new class."""
    add_requested = Signal()
    """The user wants to click prompts."""
    undo_requested = Signal()
    """The user wants the last change of the prompts taken back."""
    clear_requested = Signal()
    """The user wants all prompts of the image removed."""
    layer_requested = Signal(object)
    """The user chose the Points layer that holds the prompts."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chips: dict[str, ClassChip] = {}
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._group.buttonClicked.connect(self._on_chip)
        self._flow = QWidget()
        self._chip_layout = QFlowLayout(self._flow)
        self._chip_layout.setContentsMargins(0, 0, 0, 0)
        self._offered: list[tuple[str, Points]] = []
        self._layer = NarrowBox()
        explain(
            self._layer,
            "The Points layer that holds the prompts: the one made here, or your own. "
            "A column class in its features gives the classes.",
            "layer of the prompts",
        )
        self._layer.activated.connect(self._on_layer)
        self._layer.hide()
        self._new = QLineEdit()
        self._new.setPlaceholderText("new class…")
        explain(self._new, "Type a name and press Enter to add a class.", "new class")
        self._new.returnPressed.connect(self._on_new)
        self._add = button(
            "Add pro&mpts",
            "Clicks on the image place prompts from now on.",
        )
        self._undo = button("Und&o", "Take back the last change of the prompts.")
        self._clear = button("Clear", "Remove all prompts of this image.")
        self._add.clicked.connect(self.add_requested)
        self._undo.clicked.connect(self.undo_requested)
        self._clear.clicked.connect(self.clear_requested)
        buttons = QHBoxLayout()
        for one in (self._add, self._undo, self._clear):
            buttons.addWidget(one)
        layout = QVBoxLayout(self)
        no_margins(layout)
        layout.addWidget(self._layer)
        layout.addWidget(self._flow)
        layout.addWidget(self._new)
        layout.addLayout(buttons)

    def show_classes(
        self, colours: Mapping[str, str], counts: Mapping[str, int], selected: str
    ) -> None:
        """Show a chip per class.

        Parameters
        ----------
        colours : mapping of str to str
            Every class and its colour.
        counts : mapping of str to int
            Prompts per class; absent is none.
        selected : str
            Class of the next prompt.
        """
        for name, colour in colours.items():
            if name not in self._chips:
                self._chips[name] = self._make_chip(name, colour)
        for name, chip in self._chips.items():
            chip.show_state(counts.get(name, 0), name == selected)

    def show_layers(self, points: Sequence[Points], chosen: Points | None) -> None:
        """Offer the Points layers that can hold the prompts, if there is a choice.

        Parameters
        ----------
        points : sequence of Points
        chosen : Points or None
            The one in use.
        """
        offered = [(layer.name, layer) for layer in points]
        if offered != self._offered:
            self._offered = offered
            self._layer.clear()
            self._layer.addItems([name for name, _ in offered])
        self._layer.setVisible(len(offered) > 1 or chosen not in points)
        self._layer.setCurrentIndex(
            next((i for i, layer in enumerate(points) if layer is chosen), -1)
        )

    def enable_changes(self, *, undo: bool, clear: bool) -> None:
        """Enable Undo and Clear; a layer of the user's own is changed by no button."""
        self._undo.setEnabled(undo)
        self._clear.setEnabled(clear)

    def _make_chip(self, name: str, colour: str) -> ClassChip:
        chip = ClassChip(name, colour)
        self._group.addButton(chip)
        self._chip_layout.addWidget(chip)
        put_in_tab_order(self._layer, *self._chips.values(), chip)
        return chip

    def _on_chip(self, chip: QAbstractButton) -> None:
        self.class_requested.emit(chip.objectName())

    def _on_layer(self, index: int) -> None:
        self.layer_requested.emit(self._offered[index][1])

    def _on_new(self) -> None:
        name = self._new.text().strip()
        self._new.clear()
        if name:
            self.new_class_requested.emit(name)
