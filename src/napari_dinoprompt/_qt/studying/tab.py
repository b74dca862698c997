"""The tab "Study": what prompts, place, resolution and threshold do to the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_dinoprompt._qt.studying.export import ask_for_path
from napari_dinoprompt._qt.studying.head import StudyHead
from napari_dinoprompt._qt.studying.pages import (
    ConvergencePage,
    InfluencePage,
    SuggestionPage,
)
from napari_dinoprompt._qt.studying.plot import StudyPlot
from napari_dinoprompt._qt.studying.resolution_page import ResolutionPage
from napari_dinoprompt._qt.studying.steps import StudyOptions
from napari_dinoprompt._qt.studying.words import HINTS, say
from napari_dinoprompt._qt.tab_page import WorkTab, ruler
from napari_dinoprompt._qt.widgets.explaining import button, put_in_tab_order
from napari_dinoprompt._qt.widgets.message_label import MessageLabel
from napari_dinoprompt.core.prompts import BACKGROUND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from qtpy.QtGui import QHideEvent, QShowEvent

    from napari_dinoprompt._qt.studying.canvas import StudyCanvas
    from napari_dinoprompt._qt.studying.work import StudyWork
    from napari_dinoprompt.session import Session

__all__ = ["StudyTab"]

_WIDTH = 368
_STALE = "Of earlier prompts or settings; press Run for those of now. "


class StudyTab(WorkTab):
    """Choosing a part of the study, its answer, plot and table."""

    undo_requested = Signal()
    """Take back the last change of the prompts."""

    def __init__(
        self,
        viewer: ViewerModel,
        work: StudyWork,
        session: Session,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._work = work
        self._session = session
        self._viewer = viewer
        self._images: list[Image] = []
        self._turned_to = False
        self._seen = self._hidden = False
        self.head = StudyHead()
        self._part, self._truth = self.head.part, self.head.truth
        self._class = self.head.class_box
        self.convergence = ConvergencePage()
        self.influence = InfluencePage()
        self.suggestion = SuggestionPage()
        self.resolution = ResolutionPage()
        self._run = button("Ru&n", "Study this with the prompts as they are now.")
        self._undo = button("Und&o", "Take back the prompt that came or went last.")
        self._sentence = MessageLabel("answer of the study")
        self._place = StudyPlot(viewer)
        self._plot = button("Save plot…", "Write the plot as PNG or PDF.")
        self._table = button("Save ta&ble…", "Write the figures as CSV.")
        self._lay_out()
        self._connect()
        self._on_part()

    def _lay_out(self) -> None:
        # A dock does not grow by itself when there is a result to show.
        self.head.setMinimumWidth(_WIDTH)
        run = QHBoxLayout()
        run.addWidget(self._run)
        run.addWidget(self._undo)
        save = QHBoxLayout()
        save.addWidget(self._plot)
        save.addWidget(self._table)
        self.column.addWidget(self.head)
        self.column.addWidget(self.convergence)
        self.column.addWidget(self.resolution)
        self.column.addLayout(run)
        self.column.addWidget(ruler())
        self.column.addWidget(self._sentence)
        self.column.addWidget(self.influence)
        self.column.addWidget(self.suggestion)
        self.column.addWidget(self.resolution.answer)
        self.column.addWidget(self._place)
        self.column.addLayout(save)
        self.column.addStretch()

    def _connect(self) -> None:
        work = self._work
        self._part.currentIndexChanged.connect(self._on_part)
        self._truth.chosen.connect(self._on_truth)
        self._class.activated.connect(self._on_class)
        self._run.clicked.connect(self._on_run)
        self._undo.clicked.connect(self.undo_requested)
        self.influence.remove_requested.connect(work.remove)
        self.suggestion.object_requested.connect(self._on_object)
        self.suggestion.background_requested.connect(self._on_background)
        self.suggestion.skip_requested.connect(work.skip)
        self.suggestion.look_requested.connect(work.go_to_ghost)
        self.resolution.masks.toggled.connect(work.show_masks)
        self._plot.clicked.connect(self._on_save_plot)
        self._table.clicked.connect(self._on_save_table)
        work.progressed.connect(self.progressed)

    @property
    def _canvas(self) -> StudyCanvas | None:
        return self._place.canvas

    @property
    def part(self) -> str:
        """The part on show."""
        return str(self._part.currentData())

    @property
    def hint(self) -> str:
        """What is in the way, what was said last, or what to do."""
        work = self._work
        return work.obstacle(self.part) or work.message or HINTS[self.part]

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

    def refresh(self, images: Sequence[Image], labels: Sequence[Labels]) -> None:
        """Show layers and results as they are.

        Parameters
        ----------
        images : sequence of napari.layers.Image
            That can be segmented.
        labels : sequence of napari.layers.Labels
            The user's own.
        """
        work, state, part = self._work, self._session.current, self.part
        self._images = list(images)
        self._truth.show_layers(labels)
        self._truth.choose(work.truth)
        self.head.show_classes(work.classes, work.class_name)
        studied = None if state is None else state.image
        self.resolution.show_images(images, studied)
        result, current = work.result(part), work.is_current(part)
        self._run.setEnabled(not work.obstacle(part))
        self._undo.setVisible(part in ("influence", "suggestion"))
        self._undo.setEnabled(state is not None and bool(state.history))
        found = None if result is None else result.found
        if part == "influence":
            self.influence.show_influence(found, current=current, ours=work.can_change)
            put_in_tab_order(self._sentence, *self.influence.buttons)
        elif part == "suggestion":
            self.suggestion.show_ghost(
                work.ghost, ours=work.can_change, name=work.class_name
            )
        self.resolution.show_resolution(
            found if part == "resolution" else None,
            current=current,
            masks=work.shows.masks.shown,
        )
        text = "" if found is None else say(part, found, work.ghost)
        self._sentence.setText(text if current or not text else _STALE + text)
        self._sentence.setVisible(bool(text))
        self._table.setVisible(found is not None)
        self._plot.setVisible(found is not None and part != "suggestion")
        self._place.show_part(part, None if part == "suggestion" else found)

    def _look(self) -> None:
        on_show = self._turned_to and not self._hidden
        self._work.look(self, self.part if on_show else "")

    def _on_part(self) -> None:
        part = self.part
        self.convergence.setVisible(part == "convergence")
        self.influence.setVisible(part == "influence")
        self.suggestion.setVisible(part == "suggestion")
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
        part, page = self.part, self.resolution
        other = page.other
        options = StudyOptions(
            orders=self.convergence.orders,
            upscales=page.upscales,
            backbones=page.backbones,
            other_name="" if other is None else other.name,
            read_other=None if other is None else self._work.reader(other),
        )
        self._work.run(part, options)

    def _on_object(self) -> None:
        self._work.accept(self._work.class_name)

    def _on_background(self) -> None:
        self._work.accept(BACKGROUND)

    def _on_save_plot(self) -> None:
        self._save(plot=True)

    def _on_save_table(self) -> None:
        self._save(plot=False)

    def _save(self, *, plot: bool) -> None:
        path = ask_for_path(self, self.part, plot=plot)
        if path is not None:
            self._work.save(self.part, path, plot=plot)
