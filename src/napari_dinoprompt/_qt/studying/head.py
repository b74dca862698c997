"""Choosing the part of the study, the truth and the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QWidget

from napari_dinoprompt._qt.layer_boxes import LayerBox
from napari_dinoprompt._qt.studying.words import TITLES
from napari_dinoprompt._qt.widgets.explaining import explain, label_of, new_form
from napari_dinoprompt._qt.widgets.narrow_box import NarrowBox

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["StudyHead"]


class StudyHead(QWidget):
    """The boxes above the button Run, whichever part is on show."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.part = NarrowBox()
        explain(self.part, "What is studied.")
        for part, title in TITLES.items():
            self.part.addItem(title, part)
        self.truth = LayerBox("none")
        explain(
            self.truth,
            "Labels of the objects that are really there. Without them, masks are "
            "compared with each other.",
        )
        self.class_box = NarrowBox()
        explain(self.class_box, "The class of objects that is studied.")
        self._class_title = label_of("cl&ass", self.class_box)
        form = new_form()
        form.addRow("stud&y", self.part)
        form.addRow("tr&uth", self.truth)
        form.addRow(self._class_title, self.class_box)
        self.setLayout(form)

    def show_classes(self, names: Sequence[str], chosen: str) -> None:
        """Offer the classes, where there is a choice."""
        box = self.class_box
        if list(names) != [box.itemText(i) for i in range(box.count())]:
            box.clear()
            box.addItems(list(names))
        box.setCurrentText(chosen)
        for widget in (box, self._class_title):
            widget.setVisible(len(names) > 1)
