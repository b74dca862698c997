"""Choosing what is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QSpinBox, QWidget

from napari_dinoprompt._qt.common.layer_boxes import (
    LayerBox,
    LayerChecklist,
    ReferenceBox,
    WindowBox,
    WindowChoice,
)
from napari_dinoprompt._qt.common.widgets import (
    NarrowBox,
    button,
    explain,
    in_column,
    label_of,
    new_form,
)
from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.references.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Layer

    from napari_dinoprompt.core.references.library import Entry


_DRAWS = 20


@dataclass(frozen=True, eq=False)
class CompareRequest:
    """What is compared: at least one fake, none of them the real.

    The input image, from which the fakes were made, is only shown. Histograms are
    matched to the real. Without a class name it is the reference's first.
    """

    choice: Entry | Reference
    real: Image
    fakes: list[Image]
    input_image: Image | None
    truth: Layer | None
    window: WindowChoice
    class_name: str | None
    draws: int

    @property
    def layers(self) -> list[Layer]:
        """All layers that the result depends on."""
        truth = [] if self.truth is None else [self.truth]
        return [self.real, *self.fakes, *truth]


class ComparePanel(QWidget):
    """Boxes for the real, the fakes and the reference, and Compare."""

    # A `CompareRequest`.
    compare_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._images: list[Image] = []
        self._chosen = False
        self._real = explain(LayerBox(), "The stain that was measured.")
        self._fakes = explain(
            LayerChecklist(),
            "One or several generated stains of the same field; they may differ in "
            "number of pixels and in type.",
        )
        self._input = explain(
            LayerBox("none"),
            "What the fakes were generated from, to be shown beside them and in the "
            "figure; it is not compared.",
        )
        self._truth = explain(
            LayerBox("none"),
            "Labels of the objects that are really there, or an image of whole "
            "numbers. Only with them can missed and hallucinated objects be told from "
            "errors of the prompts.",
        )
        self._reference = ReferenceBox()
        self._class = explain(NarrowBox(), "The class of objects that is compared.")
        self._class_title = label_of("cl&ass", self._class)
        self._window = WindowBox(real=True)
        self._draws = explain(
            QSpinBox(),
            "How often the prompts are drawn anew, for intervals and noise floor. More "
            "takes longer.",
        )
        self._draws.setRange(0, 1000)
        self._draws.setValue(_DRAWS)
        self._draws.setSpecialValueText("none")
        self._compare = button("Co&mpare", "Apply the reference to all, and compare.")
        self._lay_out()
        self._real.chosen.connect(self._show_fakes)
        self._real.activated.connect(self._on_real)
        self._fakes.ticked.connect(self._enable)
        self._reference.currentIndexChanged.connect(self._on_reference)
        self._compare.clicked.connect(self._on_compare)
        self._on_reference()

    def _lay_out(self) -> None:
        form = new_form()
        form.addRow("r&eal", self._real)
        form.addRow("fa&kes", self._fakes)
        form.addRow("&input", self._input)
        form.addRow("tr&uth", self._truth)
        form.addRow("refere&nce", self._reference)
        form.addRow(self._class_title, self._class)
        form.addRow("win&dow", self._window)
        form.addRow("draws", self._draws)
        in_column(self, form, self._compare)

    def show_layers(
        self,
        images: Sequence[Image],
        labels: Sequence[Layer],
        segmented: Image | None = None,
    ) -> None:
        """Offer images, and labels as truth.

        The image that is segmented is the real one until the user chooses another.
        """
        self._images = list(images)
        self._real.show_layers(images)
        if segmented is not None and not self._chosen:
            self._real.choose(segmented)
        self._input.show_layers(images)
        self._truth.show_layers(labels)
        self._show_fakes()

    def show_references(
        self, current: Reference | None, entries: Sequence[Entry]
    ) -> None:
        """Offer the current prompts and the library."""
        self._reference.show_references(current, entries)
        self._on_reference()

    @property
    def real(self) -> Image | None:
        """The real image."""
        return self._real.layer

    def choose(self, real: Image, fakes: Sequence[Image]) -> None:
        """Choose the real and the fakes."""
        self._chosen = True
        self._real.choose(real)
        self._fakes.tick(fakes)

    def _on_real(self, _index: int) -> None:
        self._chosen = True

    def _show_fakes(self) -> None:
        self._fakes.show_layers([one for one in self._images if one is not self.real])
        self._enable()

    def _on_reference(self) -> None:
        names = _object_classes(self._reference.choice)
        if names != [self._class.itemText(i) for i in range(self._class.count())]:
            self._class.clear()
            self._class.addItems(names)
        for widget in (self._class, self._class_title):
            widget.setVisible(len(names) > 1)
        self._enable()

    def _enable(self) -> None:
        self._compare.setEnabled(
            self.real is not None
            and bool(self._fakes.layers)
            and self._reference.choice is not None
        )

    def _on_compare(self) -> None:
        choice = self._reference.choice
        if choice is None or self.real is None:
            return
        draws = self._draws.value()
        self.compare_requested.emit(
            CompareRequest(
                choice=choice,
                real=self.real,
                fakes=self._fakes.layers,
                input_image=self._input.layer,
                truth=self._truth.layer,
                window=self._window.choice,
                class_name=self._class.currentText() or None,
                # An interval needs two.
                draws=2 if draws == 1 else draws,
            )
        )


def _object_classes(choice: Entry | Reference | None) -> list[str]:
    if choice is None:
        return []
    if isinstance(choice, Reference):
        return list(choice.object_classes)
    if choice.summary is None:
        return []
    names = dict.fromkeys(choice.summary.classes)
    return [name for name in names if name != BACKGROUND]
