"""Choosing layers and references: one in a box, or several in a list with ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem
from superqt.utils import signals_blocked

from napari_dinoprompt._qt.common.widgets import NarrowBox, explain, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_dinoprompt.core.references.library import Entry
    from napari_dinoprompt.core.references.reference import Reference


_CURRENT_PROMPTS = "current prompts"
_LEAST_ROWS, _MOST_ROWS = 2, 5


class LayerBox(NarrowBox):
    """A box of layers; `nothing` stands for none, empty if one must be chosen."""

    chosen = Signal()
    """Another layer is chosen, by the user or because the old one is gone."""

    def __init__(self, nothing: str = "") -> None:
        super().__init__()
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
        """Choose a layer that is offered, or else nothing."""
        places = (i for i, (_, one) in enumerate(self._offered) if one is layer)
        self.setCurrentIndex(next(places, -1))

    def show_layers(self, layers: Sequence[Layer]) -> None:
        """Offer layers by name; the one that is chosen stays so."""
        first = [(self._nothing, None)] if self._nothing else []
        offered = [*first, *((layer.name, layer) for layer in layers)]
        if offered == self._offered:
            return
        before = self.layer
        self._offered = offered
        with signals_blocked(self):
            self.clear()
            self.addItems([name for name, _ in offered])
            self.choose(before)
            if self.currentIndex() < 0 and offered:
                self.setCurrentIndex(0)
        if self.layer is not before:
            self.chosen.emit()

    def _on_index(self, _index: int) -> None:
        self.chosen.emit()


class LayerChecklist(QListWidget):
    """A list of layers with ticks, as high as it needs to be."""

    ticked = Signal()
    """Another choice of layers is ticked."""

    def __init__(self) -> None:
        super().__init__()
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
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable
        with signals_blocked(self):
            self._offered = offered
            self.clear()
            for name, _ in offered:
                item = QListWidgetItem(name, self)
                item.setToolTip(wrap(name))
                item.setFlags(flags)
                item.setCheckState(Qt.CheckState.Unchecked)
            self.tick(before)
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


class ReferenceBox(NarrowBox):
    """A box of references; damaged ones are not offered."""

    def __init__(self) -> None:
        super().__init__()
        self._current: Reference | None = None
        self._entries: list[Entry] = []
        explain(self, "The prompts of the current image, or a saved reference.")

    @property
    def choice(self) -> Entry | Reference | None:
        """What is chosen, if anything is offered."""
        row = self.currentIndex()
        if self._current is not None:
            if row == 0:
                return self._current
            row -= 1
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def show_references(
        self, current: Reference | None, entries: Sequence[Entry]
    ) -> None:
        """Offer the current prompts and the library; what is chosen stays so."""
        readable = [entry for entry in entries if entry.summary is not None]
        names = [_CURRENT_PROMPTS] if current is not None else []
        names += [entry.name for entry in readable]
        before = self.currentText()
        self._current, self._entries = current, readable
        if names != [self.itemText(i) for i in range(self.count())]:
            self.clear()
            self.addItems(names)
            self.setCurrentIndex(max(self.findText(before), 0) if names else -1)
