"""The tab "Study": what prompts, place, resolution and threshold do to the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QWidget,
)

from napari_dinoprompt._qt.layer_boxes import LayerBox
from napari_dinoprompt._qt.studying.export import ask_for_path
from napari_dinoprompt._qt.studying.pages import (
    ConvergencePage,
    InfluencePage,
    SuggestionPage,
    button,
    no_margins,
)
from napari_dinoprompt._qt.studying.resolution_page import ResolutionPage
from napari_dinoprompt._qt.studying.steps import StudyOptions
from napari_dinoprompt._qt.studying.words import HINTS, TITLES, say
from napari_dinoprompt._qt.tab_page import TabPage, ruler
from napari_dinoprompt.core.prompts import BACKGROUND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from qtpy.QtGui import QHideEvent, QShowEvent

    from napari_dinoprompt._qt.desk import Desk
    from napari_dinoprompt._qt.studying.canvas import StudyCanvas
    from napari_dinoprompt.session import Session

__all__ = ["StudyTab"]

_WIDTH = 368
_STALE = "Of earlier prompts or settings; press Run for those of now. "


class StudyTab(TabPage):
    """Choosing a part of the study, its answer, plot and table."""

    undo_requested = Signal()
    """Take back the last change of the prompts."""

    def __init__(
        self,
        viewer: ViewerModel,
        desk: Desk,
        session: Session,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._work = desk.studying
        self._session = session
        self._viewer = viewer
        self._images: list[Image] = []
        self._turned_to = False
        self._seen = self._hidden = False
        self._canvas: StudyCanvas | None = None
        self._part = QComboBox()
        self._part.setToolTip("What is studied.")
        for part, title in TITLES.items():
            self._part.addItem(title, part)
        self._truth = LayerBox("none")
        self._truth.setToolTip(
            "Labels of the objects that are really there. Without them, masks are "
            "compared with each other."
        )
        self._class = QComboBox()
        self._class.setToolTip("The class of objects that is studied.")
        self._class_title = QLabel("class")
        self.convergence = ConvergencePage()
        self.influence = InfluencePage()
        self.suggestion = SuggestionPage()
        self.resolution = ResolutionPage()
        self._run = button("Run", "Study this with the prompts as they are now.")
        self._undo = button("Undo", "Take back the last change of the prompts.")
        self._sentence = QLabel()
        self._sentence.setWordWrap(True)
        self._sentence.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
        )
        self._place = QHBoxLayout()
        self._plot = button("Save plot…", "Write the plot as PNG or PDF.")
        self._table = button("Save table…", "Write the figures as CSV.")
        self._lay_out()
        self._connect()
        self._on_part()

    def _lay_out(self) -> None:
        form = QFormLayout()
        no_margins(form)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("study", self._part)
        form.addRow("truth", self._truth)
        form.addRow(self._class_title, self._class)
        head = QWidget()
        head.setLayout(form)
        # A dock does not grow by itself when there is a result to show.
        head.setMinimumWidth(_WIDTH)
        run = QHBoxLayout()
        run.addWidget(self._run)
        run.addWidget(self._undo)
        save = QHBoxLayout()
        save.addWidget(self._plot)
        save.addWidget(self._table)
        self.column.addWidget(head)
        self.column.addWidget(self.convergence)
        self.column.addWidget(self.resolution)
        self.column.addLayout(run)
        self.column.addWidget(ruler())
        self.column.addWidget(self._sentence)
        self.column.addWidget(self.influence)
        self.column.addWidget(self.suggestion)
        self.column.addWidget(self.resolution.answer)
        self.column.addLayout(self._place)
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
        self._viewer.events.theme.connect(self._on_theme)

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
        self._show_classes()
        studied = None if state is None else state.image
        self.resolution.show_images(images, studied)
        result, current = work.result(part), work.is_current(part)
        self._run.setEnabled(not work.obstacle(part))
        self._undo.setVisible(part in ("influence", "suggestion"))
        self._undo.setEnabled(state is not None and bool(state.history))
        found = None if result is None else result.found
        if part == "influence":
            self.influence.show_influence(found, current=current, ours=work.can_change)
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
        self._show_plot(found)

    def _show_classes(self) -> None:
        names = list(self._work.classes)
        if names != [self._class.itemText(i) for i in range(self._class.count())]:
            self._class.clear()
            self._class.addItems(names)
        self._class.setCurrentText(self._work.class_name)
        for widget in (self._class, self._class_title):
            widget.setVisible(len(names) > 1)

    def _show_plot(self, found: object | None) -> None:
        part = self.part
        if found is not None and part != "suggestion":
            if self._canvas is None:
                # Not before: matplotlib takes a moment.
                from napari_dinoprompt._qt.studying.canvas import StudyCanvas

                self._canvas = StudyCanvas(self._viewer.theme)
                self._place.addWidget(self._canvas)
            self._canvas.show_part(part, found)
            self._canvas.show()
        elif self._canvas is not None:
            self._canvas.hide()

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

    def _on_theme(self, _event: object) -> None:
        if self._canvas is not None:
            self._canvas.show_theme(self._viewer.theme)
