"""The tab "Study": what prompts, resolution and threshold do to the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QWidget

from napari_dinoprompt._qt.common.layer_boxes import LayerBox
from napari_dinoprompt._qt.common.tab_page import WorkTab, ruler
from napari_dinoprompt._qt.common.widgets import (
    MessageLabel,
    NarrowBox,
    button,
    explain,
    label_of,
    new_form,
    put_in_tab_order,
    row_of,
)

from .job import StudyJob, StudyOptions
from .pages import ConvergencePage, InfluencePage, ResolutionPage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from qtpy.QtGui import QHideEvent, QShowEvent

    from napari_dinoprompt.session.session import Session

    from .plot import StudyPlot


_WIDTH = 368
_STALE = "Of earlier prompts or settings; press Run for those of now. "
# Title and hint of each part, in their order.
_PARTS = {
    "convergence": (
        "Convergence: are the prompts enough?",
        "Run adds your prompts in many random orders and shows how the mask settles.",
    ),
    "influence": (
        "Influence: what does each prompt do?",
        "Run leaves each prompt out in turn. Rings in the viewer are the brighter the "
        "more of the mask depends on the prompt.",
    ),
    "resolution": (
        "Resolution: which upscale and backbone?",
        "Run segments with your prompts at each upscale that is ticked, and with each "
        "backbone if several are here.",
    ),
    "threshold": (
        "Threshold: how much depends on it?",
        "Run cuts the similarity map at all thresholds; a plateau means that the exact "
        "value matters little.",
    ),
}


class StudyTab(WorkTab):
    """Choosing a part of the study, its answer, plot and table."""

    # Take back the last change of the prompts.
    undo_requested = Signal()

    def __init__(self, viewer: ViewerModel, work: StudyJob, session: Session) -> None:
        super().__init__()
        self._work = work
        self._session = session
        self._viewer = viewer
        self._turned_to = False
        self._seen = self._hidden = False
        self._part = explain(NarrowBox(), "What is studied.")
        for part, (title, _) in _PARTS.items():
            self._part.addItem(title, part)
        self._truth = explain(
            LayerBox("none"),
            "Labels of the objects that are really there, or an image of whole "
            "numbers. Without them, masks are compared with each other.",
        )
        self._class = explain(NarrowBox(), "The class of objects that is studied.")
        self._class_title = label_of("cl&ass", self._class)
        self.convergence = ConvergencePage()
        self.influence = InfluencePage()
        self.resolution = ResolutionPage()
        self._run = button("Ru&n", "Study this with the prompts as they are now.")
        self._undo = button("Und&o", "Take back the prompt that came or went last.")
        self._sentence = MessageLabel("answer of the study")
        self._canvas: StudyPlot | None = None
        self._place = QHBoxLayout()
        self._plot = button("Save plot…", "Write the plot as PNG or PDF.")
        self._table = button("Save ta&ble…", "Write the figures as CSV.")
        self._lay_out()
        self._connect()
        self._on_part()

    def _lay_out(self) -> None:
        head = QWidget()
        form = new_form()
        form.addRow("stud&y", self._part)
        form.addRow("tr&uth", self._truth)
        form.addRow(self._class_title, self._class)
        head.setLayout(form)
        # A dock does not grow by itself when there is a result to show.
        head.setMinimumWidth(_WIDTH)
        self.fill(
            *(head, self.convergence, self.resolution),
            *(row_of(self._run, self._undo), ruler()),
            *(self._sentence, self.influence, self.resolution.answer, self._place),
            row_of(self._plot, self._table),
        )

    def _connect(self) -> None:
        work = self._work
        self._part.currentIndexChanged.connect(self._on_part)
        self._truth.chosen.connect(self._on_truth)
        self._class.activated.connect(self._on_class)
        self._run.clicked.connect(self._on_run)
        self._undo.clicked.connect(self.undo_requested)
        self.influence.remove_requested.connect(work.remove)
        self.resolution.masks.toggled.connect(work.show_masks)
        self._plot.clicked.connect(self._on_save_plot)
        self._table.clicked.connect(self._on_save_table)
        self._viewer.events.theme.connect(self._on_theme)
        work.progressed.connect(self.progressed)

    @property
    def part(self) -> str:
        """The part on show."""
        return str(self._part.currentData())

    @property
    def hint(self) -> str:
        """What is in the way, what was said last, or what to do."""
        work = self._work
        return work.obstacle(self.part) or work.message or _PARTS[self.part][1]

    def choose(self, part: str) -> None:
        """Turn to a part."""
        self._part.setCurrentIndex(self._part.findData(part))

    def turn(self, on: bool) -> None:
        """Note whether this is the tab on show."""
        self._turned_to = on
        if on:
            self._offer_backbones()
        self._look()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Show in the viewer what belongs to the part on show."""
        super().showEvent(event)
        self._seen, self._hidden = True, False
        self._look()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Take it from the viewer, unless the window was made an icon."""
        super().hideEvent(event)
        if event is None or not event.spontaneous():
            # Qt also hides what nobody has seen yet.
            self._hidden = self._seen
            self._look()

    @property
    def running(self) -> bool:
        """Whether a part is being studied."""
        return bool(self._work.studying)

    def cancel(self) -> None:
        """Stop the study."""
        self._work.cancel()

    def refresh(self, images: Sequence[Image], labels: Sequence[Layer]) -> None:
        """Show layers, those of the user, and results as they are."""
        work, state, part = self._work, self._session.current, self.part
        self._truth.show_layers(labels)
        self._truth.choose(work.truth)
        self._show_classes(work.classes, work.class_name)
        studied = None if state is None else state.image
        self.resolution.show_images(images, studied)
        result, current = work.result(part), work.is_current(part)
        self._run.setEnabled(not work.obstacle(part))
        self._undo.setVisible(part == "influence")
        self._undo.setEnabled(state is not None and bool(state.history))
        found = None if result is None else result.found
        text = "" if found is None else str(found.sentence)
        if part == "influence":
            self.influence.show_influence(found, current=current, ours=work.can_change)
            put_in_tab_order(self._sentence, *self.influence.buttons)
        self.resolution.show_resolution(
            found if part == "resolution" else None,
            current=current,
            masks=work.masks_shown,
        )
        self._sentence.setText(text if current or not text else _STALE + text)
        self._sentence.setVisible(bool(text))
        self._table.setVisible(found is not None)
        self._plot.setVisible(found is not None)
        self._draw(part, found)

    def _show_classes(self, names: Sequence[str], chosen: str) -> None:
        """Offer the classes, where there is a choice."""
        box = self._class
        if list(names) != [box.itemText(i) for i in range(box.count())]:
            box.clear()
            box.addItems(list(names))
        box.setCurrentText(chosen)
        for widget in (box, self._class_title):
            widget.setVisible(len(names) > 1)

    def _draw(self, part: str, found: object | None) -> None:
        """Draw what was found; None hides the plot."""
        if self._canvas is None and found is not None:
            # Not before: matplotlib takes a moment.
            from .plot import StudyPlot

            self._canvas = StudyPlot(self._viewer.theme)
            self._place.addWidget(self._canvas)
        if self._canvas is not None:
            self._canvas.setVisible(found is not None)
            if found is not None:
                self._canvas.show_part(part, found)

    def _on_theme(self, _event: object) -> None:
        if self._canvas is not None:
            self._canvas.show_theme(self._viewer.theme)

    def _look(self) -> None:
        on_show = self._turned_to and not self._hidden
        self._work.look(self, self.part if on_show else "")

    def _on_part(self) -> None:
        part = self.part
        self.convergence.setVisible(part == "convergence")
        self.influence.setVisible(part == "influence")
        self.resolution.setVisible(part == "resolution")
        self._offer_backbones()
        self._work.message = ""
        self._look()
        self._work.changed.emit()

    def _offer_backbones(self) -> None:
        """Look which weights are here; too slow for every refresh."""
        if self.part == "resolution":
            choice = self._session.request.backbone
            self.resolution.show_backbones(choice.name, choice.weights_folder)

    def _on_truth(self) -> None:
        self._work.choose_truth(self._truth.layer)

    def _on_class(self, _index: int) -> None:
        self._work.choose_class(self._class.currentText())

    def _on_run(self) -> None:
        page = self.resolution
        other = page.other
        options = StudyOptions(
            orders=self.convergence.orders,
            upscales=page.upscales,
            backbones=page.backbones,
            other_name="" if other is None else other.name,
            read_other=None if other is None else self._work.reader(other),
        )
        self._work.run(self.part, options)

    def _on_save_plot(self) -> None:
        self._save(plot=True)

    def _on_save_table(self) -> None:
        self._save(plot=False)

    def _save(self, *, plot: bool) -> None:
        """Ask where to write, and write."""
        known = (".png", ".pdf") if plot else (".csv",)
        kinds = "PNG (*.png);;PDF (*.pdf)" if plot else "CSV (*.csv)"
        name, _ = QFileDialog.getSaveFileName(
            self, "Save as", f"{self.part}{known[0]}", kinds
        )
        if name:
            path = Path(name)
            # Added, as what is behind a dot may be part of the name.
            good = path.suffix.lower() in known
            path = path if good else path.with_name(path.name + known[0])
            self._work.save(self.part, path, plot=plot)
