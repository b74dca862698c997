"""What the user can choose for each part of the study."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_dinoprompt._qt.common.layer_boxes import LayerBox
from napari_dinoprompt._qt.common.widgets import (
    button,
    explain,
    new_form,
    no_margins,
    put_in_tab_order,
)
from napari_dinoprompt._qt.study.table import StudyTable
from napari_dinoprompt.core.backbones.load import backbone_names
from napari_dinoprompt.core.backbones.weights import is_here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from napari_dinoprompt.core.prompt_study.influence import Influence
    from napari_dinoprompt.core.prompt_study.resolution import Resolution


_ORDERS, _MOST_ORDERS = 200, 5000
_UPSCALES = (1.0, 2.0, 4.0)
_OWN_LAYER = "The prompts are in a layer of your own, which no button changes."


class ConvergencePage(QWidget):
    """In how many orders prompts are added."""

    def __init__(self) -> None:
        super().__init__()
        self._orders = QSpinBox()
        self._orders.setRange(1, _MOST_ORDERS)
        self._orders.setValue(_ORDERS)
        explain(
            self._orders,
            "In how many random orders the prompts are added; of few prompts all "
            "orders are taken.",
        )
        form = QFormLayout(self)
        no_margins(form)
        form.addRow("or&ders", self._orders)

    @property
    def orders(self) -> int:
        """How many."""
        return self._orders.value()


class InfluencePage(QWidget):
    """One button for each outlier that can be removed."""

    remove_requested = Signal(int)
    """The user wants a prompt removed, by its place in the reference."""

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        no_margins(self._column)
        self._buttons: list[QPushButton] = []
        self._shown: tuple[object, bool, bool] = (None, False, False)

    @property
    def buttons(self) -> list[QPushButton]:
        """Those that are offered."""
        return self._buttons

    def show_influence(
        self, found: Influence | None, *, current: bool, ours: bool
    ) -> None:
        """Offer to remove the outliers of a result."""
        if self._shown == (found, current, ours):
            return
        self._shown = (found, current, ours)
        for old in self._buttons:
            self._column.removeWidget(old)
            old.hide()
            old.deleteLater()
        self._buttons = []
        if found is None or not current:
            return
        for index in found.outliers:
            new = button(
                f"Remove prompt {index + 1}",
                f"Remove prompt {index + 1}, which looks like none of the others. Undo "
                "brings it back."
                if ours
                else f"Prompt {index + 1} looks like none of the others. {_OWN_LAYER}",
            )
            new.setEnabled(ours)
            new.clicked.connect(partial(self.remove_requested.emit, index))
            self._column.addWidget(new)
            self._buttons.append(new)


class ResolutionPage(QWidget):
    """What is tried; the table of what it gave is in `answer`, to be put below."""

    def __init__(self) -> None:
        super().__init__()
        self._upscales = {value: QCheckBox(f"×{value:g}") for value in _UPSCALES}
        self._backbones: dict[str, QCheckBox] = {}
        self._shown: Resolution | None = None
        self._other = LayerBox("none")
        explain(
            self._other,
            "The same field with another number of pixels, such as an image that was "
            "enlarged by another program; its pixels are taken as they are.",
        )
        self.table = StudyTable()
        self.masks = button(
            "Show masks", "Show the masks side by side, moved with one camera."
        )
        self.masks.setCheckable(True)
        self._row, self._names = QHBoxLayout(), QVBoxLayout()
        for value, box in self._upscales.items():
            box.setChecked(True)
            explain(
                box,
                f"Try the image enlarged {value:g} times."
                if value != 1
                else "Try the image in its own size.",
                f"upscale {value:g}",
            )
            self._row.addWidget(box)
        self._row.addStretch()
        form = new_form()
        self.setLayout(form)
        form.addRow("upscales", self._row)
        self._also = QLabel("also with")
        form.addRow(self._also, self._names)
        form.addRow("sa&me field", self._other)
        self.answer = QWidget()
        column = QVBoxLayout(self.answer)
        no_margins(column)
        column.addWidget(self.table)
        column.addWidget(self.masks)
        self.show_resolution(None, current=False, masks=False)

    @property
    def upscales(self) -> tuple[float, ...]:
        """Those that are ticked."""
        return tuple(one for one, box in self._upscales.items() if box.isChecked())

    @property
    def backbones(self) -> tuple[str, ...]:
        """Those that are ticked."""
        return tuple(one for one, box in self._backbones.items() if box.isChecked())

    @property
    def other(self) -> Image | None:
        """The image of the same field, if one is chosen."""
        return self._other.layer

    def show_images(self, images: Sequence[Image], studied: Image | None) -> None:
        """Offer the images beside the one that is studied."""
        self._other.show_layers([one for one in images if one is not studied])

    def show_backbones(self, in_use: str, folder: str | None) -> None:
        """Offer the backbones that are here, beside the one in use.

        Looks on the disk, so it is called when the page comes on show.
        """
        here = [one for one in backbone_names() if one != in_use]
        here = [one for one in here if is_here(one, folder)]
        if here != list(self._backbones):
            for box in self._backbones.values():
                self._names.removeWidget(box)
                box.hide()
                box.deleteLater()
            self._backbones = {name: QCheckBox(name) for name in here}
            for name, box in self._backbones.items():
                explain(box, f"Try {name}, too.")
                self._names.addWidget(box)
            put_in_tab_order(self._upscales[_UPSCALES[-1]], *self._backbones.values())
        self._also.setVisible(bool(here))

    def show_resolution(
        self, found: Resolution | None, *, current: bool, masks: bool
    ) -> None:
        """Show a result, and whether its masks are on show."""
        self.answer.setVisible(found is not None)
        self.masks.setEnabled(current)
        blocked = self.masks.blockSignals(True)
        self.masks.setChecked(masks)
        self.masks.blockSignals(blocked)
        if found is not self._shown:
            self._shown = found
            self.table.show_resolution(found)
