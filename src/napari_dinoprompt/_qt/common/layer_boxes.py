"""Choosing layers, references and intensity windows, in boxes and in lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QListWidget, QListWidgetItem, QWidget
from superqt.utils import signals_blocked

from .widgets import NarrowBox, explain, in_column, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from napari.layers import Image, Layer

    from napari_dinoprompt.core.references.library import Entry
    from napari_dinoprompt.core.references.reference import Reference


_CURRENT_PROMPTS = "current prompts"
_LEAST_ROWS, _MOST_ROWS = 2, 5
_REFERENCE, _IMAGE = "as the reference", "match this image"
_FORGIVES = {
    "reference": "Forgives nothing: an image that is dimmer or brighter than the "
    "reference's source is judged as such.",
    "image": "Forgives another brightness and contrast, measured on each image "
    "itself. An image of nothing but noise is stretched to full contrast.",
    "histogram": "Forgives any difference in how grey values are distributed: only "
    "where they lie still counts.",
}


class LayerBox(NarrowBox):
    """A box of layers; `nothing` stands for none, empty if one must be chosen."""

    # Another layer is chosen, by the user or because the old one is gone.
    chosen = Signal()

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

    # Another choice of layers is ticked.
    ticked = Signal()

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


@dataclass(frozen=True, eq=False)
class WindowChoice:
    """What the user chose.

    Attributes
    ----------
    policy : {"reference", "image", "histogram"}
    like : napari.layers.Image or None
        Whose histogram to match; with "histogram" only.
    """

    policy: Literal["reference", "image", "histogram"] = "reference"
    like: Image | None = None


class WindowBox(QWidget):
    """A box of policies, and below it what the chosen one forgives.

    Histograms are matched to the `real` image, whichever that is; otherwise the images
    themselves are offered.
    """

    # Another policy is chosen.
    changed = Signal()

    def __init__(self, *, real: bool = False) -> None:
        super().__init__()
        self._real = real
        self._offered: list[tuple[str, Image]] | None = None
        self._choices: list[WindowChoice] = []
        self._box = explain(
            NarrowBox(),
            "Which grey values count as black and as white on "
            + ("the real and the fakes." if real else "the images that are ticked."),
        )
        self.setFocusProxy(self._box)
        self._forgives = QLabel()
        self._forgives.setWordWrap(True)
        in_column(self, self._box, self._forgives)
        self._box.currentIndexChanged.connect(self._on_index)
        self.show_images(())

    @property
    def choice(self) -> WindowChoice:
        """What is chosen."""
        return self._choices[max(self._box.currentIndex(), 0)]

    def choose(self, choice: WindowChoice) -> None:
        """Choose a policy that is offered."""
        for index, one in enumerate(self._choices):
            if one.policy == choice.policy and one.like is choice.like:
                self._box.setCurrentIndex(index)

    def show_images(self, images: Sequence[Image]) -> None:
        """Offer the histograms of images, too."""
        offered = [] if self._real else [(image.name, image) for image in images]
        if offered == self._offered:
            return
        before = self.choice if self._choices else WindowChoice()
        self._offered = offered
        self._choices = [WindowChoice("reference"), WindowChoice("image")]
        names = [_REFERENCE, _IMAGE]
        if self._real:
            self._choices.append(WindowChoice("histogram"))
            names.append("match histogram of the real image")
        for name, image in offered:
            self._choices.append(WindowChoice("histogram", image))
            names.append(f"match histogram of {name}")
        self._box.clear()
        self._box.addItems(names)
        self.choose(before)

    def _on_index(self, index: int) -> None:
        if index >= 0:
            self._forgives.setText(_FORGIVES[self._choices[index].policy])
            self.changed.emit()
