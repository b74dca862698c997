"""The dock "Prompt segmentation", with its first tab and the demo of it."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
from qtpy.QtCore import QEvent, Qt, QTimer, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QProgressBar, QShortcut, QTabWidget, QVBoxLayout, QWidget

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.events import later
from napari_dinoprompt._qt.common.tab_page import WorkTab, ruler
from napari_dinoprompt._qt.common.widgets import (
    FocusRing,
    MessageLabel,
    OfferRow,
    button,
    explain,
    in_column,
    no_margins,
    row_of,
    shorten,
    wrap,
)
from napari_dinoprompt._qt.compare.tab import CompareTab
from napari_dinoprompt._qt.recovery.offers import describe_offer
from napari_dinoprompt._qt.references.tab import ReferencesTab
from napari_dinoprompt._qt.segment.corrections import CorrectionPanel
from napari_dinoprompt._qt.segment.given_objects import ObjectsPanel
from napari_dinoprompt._qt.segment.image_panel import ImagePanel
from napari_dinoprompt._qt.segment.prompt_panel import PromptPanel
from napari_dinoprompt._qt.segment.result_panel import ResultPanel
from napari_dinoprompt._qt.segment.stack import StackPanel
from napari_dinoprompt._qt.segment.weights_panel import WeightsPanel
from napari_dinoprompt._qt.study.tab import StudyTab
from napari_dinoprompt.core.backbones.load import FILTERBANK
from napari_dinoprompt.core.backbones.weights import is_here
from napari_dinoprompt.core.io.points import read_prompts
from napari_dinoprompt.sample_data import sample_files
from napari_dinoprompt.session.session import Phase

from .controller import Controller, controller_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import napari
    from napari.layers import Image, Layer

    from napari_dinoprompt.session.image_state import FeatureRequest


_HINT_LINES = 3
_MOST_LETTERS = 30

_FIELD = "early"


class PromptSegmentation(QWidget):
    """Click prompts on an image; everything that looks like them is segmented.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari when the dock is opened from a menu.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.controller = controller_of(napari_viewer)
        session, tab_jobs = self.controller.session, self.controller.tab_jobs
        self.status = StatusPanel()
        self.segment = SegmentTab(self.controller)
        self.references = ReferencesTab(
            session, tab_jobs.library, tab_jobs.applying, tab_jobs.batch
        )
        self.compare = CompareTab(session, tab_jobs.comparing, tab_jobs.library)
        self.study = StudyTab(napari_viewer, tab_jobs.studying, session)
        self.image, self.weights = self.segment.image, self.segment.weights
        self.prompts, self.result = self.segment.prompts, self.segment.result
        self.stack = self.segment.stack
        self.tabs = QTabWidget()
        self._ring = FocusRing(self)
        self._lay_out()
        self._connect()
        self.controller.note_dock(self, True)
        self._on_images_changed()

    def _lay_out(self) -> None:
        for tab, title, tooltip in (
            (self.segment, "Segment", "Click prompts, and see what they find."),
            (self.references, "References", "Keep prompts and use them elsewhere."),
            (self.compare, "Compare", "Compare virtual stains with the real one."),
            (self.study, "Study", "See what prompts and settings do to the result."),
        ):
            index = self.tabs.addTab(tab, title)
            # Their letters are napari's: Alt+S and Alt+C take screenshots.
            turn = QShortcut(QKeySequence(f"Alt+{index + 1}"), self)
            turn.activated.connect(partial(self.tabs.setCurrentIndex, index))
            self.tabs.setTabToolTip(index, wrap(f"{tooltip} (Alt+{index + 1})"))
        bar = self.tabs.tabBar()
        assert bar is not None
        bar.setAccessibleName("parts of the dock")
        bar.setAccessibleDescription("Arrow keys turn from one to the next.")
        layout = QVBoxLayout(self)
        layout.addWidget(self.status)
        layout.addWidget(self.tabs)
        self._shortcut = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        # Not while the canvas has the keyboard: Escape means other things there.
        self._shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)

    def _connect(self) -> None:
        work = self.controller
        self.status.cancel_requested.connect(self._on_cancel)
        self.status.compute_requested.connect(work.features.compute)
        self._shortcut.activated.connect(self._on_cancel)
        self.study.undo_requested.connect(work.prompts.undo)
        work.changed.connect(self._refresh)
        work.images_changed.connect(self._on_images_changed)
        work.tab_jobs.changed.connect(self._refresh)
        for tab in (self.segment, self.references, self.compare, self.study):
            tab.progressed.connect(self._on_progress)
        self.tabs.currentChanged.connect(self._on_tab)

    def event(self, event: QEvent | None) -> bool:
        """Note when napari puts the dock into its window, and takes it out."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            self.controller.note_dock(self, self.parent() is not None)
        return super().event(event)

    @property
    def tab(self) -> WorkTab:
        """The tab in view."""
        return cast("WorkTab", self.tabs.currentWidget())

    def _on_images_changed(self) -> None:
        """Turn to an image if none is chosen, and offer those that are there."""
        images = self.controller.images()
        if self.controller.session.current is None and images:
            active = self.controller.viewer.layers.selection.active
            on_show = [image for image in images if image.visible] or images
            # From the list: a plugin's viewer hands out a proxy of the active layer,
            # and layers are told apart by identity.
            chosen = [image for image in on_show if image == active] or on_show[-1:]
            self.controller.choose_image(chosen[0])
        # Tabs out of view let go of layers that are gone, too.
        truths = layers.truth_layers(self.controller.viewer.layers)
        for tab in (self.references, self.compare, self.study):
            if tab is not self.tab:
                tab.refresh(images, truths)
        self._refresh()

    def _refresh(self) -> None:
        """Show in the tab in view how all is."""
        work, tab = self.controller, self.tab
        labels = layers.truth_layers(work.viewer.layers)
        tab.refresh(work.images(), labels)
        # What it advises depends on what it shows.
        self.status.show_hint(tab.hint)
        self.status.show_work(running=tab.running, stopped=tab.stopped)
        self._shortcut.setEnabled(tab.running)
        if tab is not self.segment:
            # Others follow what is chosen there, and it is seen by other docks.
            self.segment.refresh(work.images(), labels)

    def _on_tab(self, _index: int) -> None:
        self.status.show_progress(0, 0)
        self.study.turn(self.tab is self.study)
        if self.tab is not self.segment:
            self.controller.tab_jobs.library.read()
        self._refresh()

    def _on_cancel(self) -> None:
        """Stop the work of the tab in view."""
        self.tab.cancel()

    def _on_progress(self, done: int, total: int) -> None:
        if self.sender() is self.tab:
            self.status.show_progress(done, total)


class StatusPanel(QWidget):
    """One line of advice, a progress bar, and Cancel or Compute."""

    # The user wants the extraction stopped.
    cancel_requested = Signal()
    # The user wants the extraction started.
    compute_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._hint = MessageLabel("what to do next", _HINT_LINES)
        self._hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        # When all else that changed at the same time has its place.
        self._later = later(self, 0, self._give_room)
        self._bar = explain(
            QProgressBar(), "How far the work is, in percent.", "progress"
        )
        self._cancel = button("Cancel", "Stop what is being computed (Escape).")
        self._cancel.clicked.connect(self.cancel_requested)
        self._compute = button(
            "Compute features", "Compute the features of the image, as chosen below."
        )
        self._compute.clicked.connect(self.compute_requested)
        # A widget, not a layout: Qt would keep room for an empty one.
        self._row = QWidget()
        row = row_of(self._bar, self._cancel, self._compute)
        no_margins(row)
        self._row.setLayout(row)
        in_column(self, self._hint, self._row)
        self.show_work(running=False, stopped=False)

    @property
    def running(self) -> bool:
        """Whether there is work that can be cancelled."""
        return not self._cancel.isHidden()

    @property
    def hint(self) -> str:
        """The line on show."""
        return self._hint.text()

    def show_hint(self, hint: str) -> None:
        """Show a line of advice."""
        self._hint.setText(hint)

    def show_work(self, *, running: bool, stopped: bool) -> None:
        """Show whether features are being computed, or could be."""
        if running and self._bar.isHidden():
            self._bar.setRange(0, 0)
        self._bar.setVisible(running)
        self._cancel.setVisible(running)
        self._compute.setVisible(stopped and not running)
        if self._row.isHidden() == (running or stopped):
            self._row.setVisible(running or stopped)
            self._later.start()

    def _give_room(self) -> None:
        """Let the tabs have the room that the row left, which Qt forgets to do."""
        self.updateGeometry()
        parent = self.parentWidget()
        layout = None if parent is None else parent.layout()
        if layout is not None:
            layout.invalidate()
            layout.activate()

    def show_progress(self, done: int, total: int) -> None:
        """Show how far the work is; a total of 0 is unknown."""
        self._bar.setRange(0, total)
        self._bar.setValue(done)


class SegmentTab(WorkTab):
    """Passes on to the controller what the user wants, and shows the session."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        session = controller.session
        self.offer = OfferRow("Dismiss", "Stay with the image in use.")
        self.image = ImagePanel(session.request)
        self.weights = WeightsPanel()
        self.recovery = OfferRow("Forget", "Remove these prompts from the disk.")
        self.prompts = PromptPanel()
        self.result = ResultPanel(session.cleaning)
        self.stack = StackPanel(controller.stacks)
        self.correction = CorrectionPanel()
        self.objects = ObjectsPanel()
        self.fill(
            *(self.offer, self.image, self.weights),
            *(ruler(), self.recovery, self.prompts),
            *(ruler(), self.objects, self.result, self.correction, self.stack),
        )
        self._connect()
        self._offer_weights()

    def _connect(self) -> None:
        work = self._controller
        # Else it would go to the list of images, where keys choose one.
        self.offer.accepted.connect(self.prompts.take_keyboard)
        self.offer.accepted.connect(work.switch_to)
        self.offer.dismissed.connect(work.dismiss_offer)
        self.image.image_requested.connect(work.switch_to)
        self.image.features_requested.connect(self._on_features_requested)
        self.image.checkpoint_chosen.connect(work.features.choose_checkpoint)
        self.weights.fetched.connect(self._on_fetched)
        self.weights.choose_requested.connect(self.image.choose_checkpoint)
        self.recovery.accepted.connect(self._on_restore)
        self.recovery.dismissed.connect(work.recovery.forget)
        self.prompts.class_requested.connect(work.choose_class)
        self.prompts.new_class_requested.connect(work.add_class)
        self.prompts.add_requested.connect(work.add_prompts)
        self.prompts.drawn_requested.connect(work.prompts.add_drawn)
        self.prompts.undo_requested.connect(work.prompts.undo)
        self.prompts.redo_requested.connect(work.prompts.redo)
        self.prompts.clear_requested.connect(work.prompts.clear)
        self.prompts.layer_requested.connect(work.choose_prompts)
        self.prompts.points_only_requested.connect(work.scoring.choose_points_only)
        self.result.threshold_requested.connect(work.choose_threshold)
        self.objects.chosen.connect(work.objects.choose)
        self.result.fit_requested.connect(work.scoring.fit_threshold)
        self.result.cleaning_requested.connect(work.choose_cleaning)
        self.result.map_requested.connect(work.scoring.choose_map)
        self.correction.correct_requested.connect(work.corrections.copy)
        work.progressed.connect(self.progressed)

    @property
    def hint(self) -> str:
        """What to do next, or what went wrong."""
        return self._controller.session.hint()

    @property
    def running(self) -> bool:
        """Whether features are being computed, or the result filled in."""
        session = self._controller.session
        return session.current is not None and (
            session.phase is Phase.PREPARING
            or self._controller.scoring.filling
            or self._controller.features.fit.running
        )

    @property
    def stopped(self) -> bool:
        """Whether features could be computed, and are not."""
        session = self._controller.session
        idle = session.phase in (Phase.STOPPED, Phase.FAILED)
        return session.current is not None and idle

    def cancel(self) -> None:
        """Stop computing."""
        self._controller.features.cancel()

    def refresh(self, images: Sequence[Image], _labels: Sequence[Layer]) -> None:
        """Show the session as it is."""
        work, session = self._controller, self._controller.session
        state = session.current
        self._refresh_offer()
        self.image.show_images(images, None if state is None else state.image)
        backbone = session.asked or session.request.backbone
        shown = replace(session.request, backbone=backbone)
        blocks = work.features.shelf.blocks.get(backbone.name)
        self.image.show_request(shown, auto=session.auto_upscale, blocks=blocks)
        self.image.show_facts(
            session.request.backbone.name,
            work.features.estimate,
            work.features.seconds_left,
        )
        if (session.asked, session.phase) != self._asked:
            self._offer_weights()
        counts = {} if state is None else state.counts()
        self.prompts.show_classes(session.colours(), counts, session.selected_class)
        kept = work.recovery.offer
        restore = ("", "") if kept is None else describe_offer(kept.record)
        self.recovery.show_offer(*restore)
        self.prompts.show_layers(
            work.prompt_layers(), None if state is None else state.prompts
        )
        own = state is not None and state.owns_prompts
        stack = work.viewer.layers
        drawn = [] if state is None else layers.drawn_layers(stack, state.image)
        self.prompts.show_drawn(drawn if own else [])
        self.prompts.enable_changes(
            undo=state is not None and bool(state.history),
            redo=state is not None and bool(state.undone),
            clear=own,
        )
        self.prompts.show_prompting(session.prompting)
        value, auto = session.threshold_in_force()
        self.result.show_threshold(session.threshold_class(), value, auto)
        self.result.show_advice(session.advice())
        self.result.show_cleaning(session.cleaning)
        found = None if state is None else state.found_counts
        lengths = None if state is None else layers.pixel_lengths(state.image)
        area = None if lengths is None else math.prod(lengths)
        self.result.show_count("" if found is None else found.describe(area))
        held = (None, None) if state is None else (state.similarity, state.mask)
        self.result.show_layers(session.map_kind, *held)
        self.prompts.show_points_only(session.points_only)
        given = None if state is None else state.given_objects
        self.objects.show_objects(work.objects.offered(), given, work.objects.line)
        corrections = work.corrections
        self.correction.show_corrected(corrections.line, can_copy=corrections.can_copy)
        self.stack.refresh()

    def _refresh_offer(self) -> None:
        """Offer the image that was opened while another is in use."""
        offered, text, tooltip = self._controller.session.offered, "", ""
        if offered is not None:
            text = f"Switch to {shorten(offered.name, _MOST_LETTERS)}"
            tooltip = f"Show {offered.name} and let the next prompts go to it."
        self.offer.show_offer(text, tooltip)

    def _on_features_requested(self, request: FeatureRequest, auto: bool) -> None:
        session = self._controller.session
        shown = session.asked or session.request.backbone
        if request.backbone.name != shown.name:
            # Who chooses another one no longer waits for that of the preferences.
            self._controller.wanted = None
        self._controller.features.choose(request, auto)
        self._offer_weights()

    def _on_restore(self) -> None:
        self._controller.restore()
        self._offer_weights()

    def _offer_weights(self) -> None:
        """Look whether weights are missing; too slow for every refresh."""
        work, used = self._controller, self._controller.session.request.backbone
        self._asked = (work.session.asked, work.session.phase)
        missing = work.features.missing
        wanted = work.wanted
        if missing is None and wanted is not None and used.name == FILTERBANK:
            missing = None if is_here(wanted, used.weights_folder) else wanted
        self.weights.offer(missing, used.name)

    def _on_fetched(self, name: str) -> None:
        """Turn to the backbone that the user has waited for; the prompts stay."""
        work, asked = self._controller, self._controller.session.request
        backbone = replace(asked.backbone, name=name, checkpoint=None)
        request = replace(asked, backbone=backbone)
        work.wanted = None
        if request == asked:
            # It was asked for before, and failed.
            work.features.compute()
        else:
            work.features.choose(request, work.session.auto_upscale)
        self._offer_weights()


def open_demo() -> None:
    """Open napari on a sample field with prompts placed, and wait until it closes."""
    import napari

    viewer = napari.Viewer()
    prompt_sample(viewer)
    # The dock has made the canvas narrower; once it is shown, the image fits again.
    QTimer.singleShot(0, viewer.reset_view)
    napari.run()


def prompt_sample(viewer: napari.Viewer) -> PromptSegmentation:
    """Open a sample field and the dock in a viewer, and place the sample's prompts.

    The features are computed in the background; the prompts count when they are ready,
    as a user's own clicks would.
    """
    viewer.open_sample("napari-dinoprompt", _FIELD)
    dock = PromptSegmentation(viewer)
    viewer.window.add_dock_widget(dock, name="Prompt segmentation")
    prompts = read_prompts(sample_files(_FIELD)["prompts"])
    dock.controller.place_prompts(prompts.points, prompts.classes)
    state = dock.controller.session.current
    if state is not None and state.prompts is not None:
        state.given = np.array(state.prompts.data)
    return dock
