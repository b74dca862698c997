"""Choosing layers: one in a box, or several in a list with ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from napari_dinoprompt._qt.widgets.explaining import wrap
from napari_dinoprompt._qt.widgets.narrow_box import NarrowBox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

__all__ = ["LayerBox", "LayerChecklist"]

_LEAST_ROWS, _MOST_ROWS = 2, 5


class LayerBox(NarrowBox):
    """A box of layers.

    Parameters
    ----------
    nothing : str
        What stands for none; empty if one must be chosen.
    """

    chosen = Signal()
    """Another layer is chosen, by the user or because the old one is gone."""

    def __init__(self, nothing: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._nothing = nothing
        self._offered: list[tuple[str, Layer | None]] = []
        self.currentIndexChanged.connect(self._on_index)
        self.show_layers(())

    @property
    def layer(self) -> Layer | None:
        """The layer that is chosen, if any."""
        index = self.currentIndex()
        return self._offered[index][1] if 0 <= index < len(self._offered) else None

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer that is offered."""
        for index, (_, one) in enumerate(self._offered):
            if one is layer:
                self.setCurrentIndex(index)

    def show_layers(self, layers: Sequence[Layer]) -> None:
        """Offer layers by name; the one that is chosen stays so."""
        first = [(self._nothing, None)] if self._nothing else []
        offered = [*first, *((layer.name, layer) for layer in layers)]
        if offered == self._offered:
            return
        before = self.layer
        self._offered = offered
        blocked = self.blockSignals(True)
        self.clear()
        self.addItems([name for name, _ in offered])
        self.choose(before)
        self.blockSignals(blocked)
        if self.layer is not before:
            self.chosen.emit()

    def _on_index(self, _index: int) -> None:
        self.chosen.emit()


class LayerChecklist(QListWidget):
    """A list of layers with ticks, as high as it needs to be."""

    ticked = Signal()
    """Another choice of layers is ticked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._offered: list[tuple[str, Layer]] = []
        self.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.itemChanged.connect(self._on_item)
        self._fit()

    @property
    def layers(self) -> list[Layer]:
        """The layers that are ticked, in the order of the list."""
        return [
            layer
            for row, (_, layer) in enumerate(self._offered)
            if self._at(row).checkState() == Qt.CheckState.Checked
        ]

    def tick(self, layers: Sequence[Layer]) -> None:
        """Tick these layers and no others."""
        for row, (_, layer) in enumerate(self._offered):
            wanted = any(layer is one for one in layers)
            self._at(row).setCheckState(
                Qt.CheckState.Checked if wanted else Qt.CheckState.Unchecked
            )

    def show_layers(self, layers: Sequence[Layer]) -> None:
        """Offer layers by name; ticks stay."""
        offered = [(layer.name, layer) for layer in layers]
        if offered == self._offered:
            return
        before = self.layers
        blocked = self.blockSignals(True)
        self._offered = offered
        self.clear()
        for name, _ in offered:
            item = QListWidgetItem(name, self)
            item.setToolTip(wrap(name))
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Unchecked)
        self.tick(before)
        self.blockSignals(blocked)
        self._fit()
        self.ticked.emit()

    def _at(self, row: int) -> QListWidgetItem:
        item = self.item(row)
        assert item is not None
        return item

    def _fit(self) -> None:
        rows = min(max(self.count(), _LEAST_ROWS), _MOST_ROWS)
        height = self.sizeHintForRow(0) if self.count() else 0
        height = max(height, self.fontMetrics().lineSpacing() + 4)
        self.setFixedHeight(rows * height + 2 * self.frameWidth() + 2)

    def _on_item(self, _item: QListWidgetItem) -> None:
        self.ticked.emit()
