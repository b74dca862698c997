"""The dock "Prompt segmentation"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from napari_dinoprompt import layers
from napari_dinoprompt._qt.comparing.tab import CompareTab
from napari_dinoprompt._qt.coordinator import coordinator_of
from napari_dinoprompt._qt.image_panel import ImagePanel
from napari_dinoprompt._qt.prompt_panel import PromptPanel
from napari_dinoprompt._qt.references.tab import ReferencesTab
from napari_dinoprompt._qt.result_panel import ResultPanel
from napari_dinoprompt._qt.stack_panel import StackPanel
from napari_dinoprompt._qt.status_panel import StatusPanel
from napari_dinoprompt._qt.studying.tab import StudyTab
from napari_dinoprompt._qt.tab_page import TabPage, ruler
from napari_dinoprompt._qt.weights_panel import WeightsPanel
from napari_dinoprompt.core.weights.search import is_dinov2
from napari_dinoprompt.session import Phase

if TYPE_CHECKING:
    import napari

    from napari_dinoprompt.session import FeatureRequest

__all__ = ["PromptSegmentation"]


class PromptSegmentation(QWidget):
    """Click prompts on an image; everything that looks like them is segmented.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari when the dock is opened from a menu.
    """

    def __init__(
        self, napari_viewer: napari.Viewer, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.coordinator = coordinator_of(napari_viewer)
        session = self.coordinator.session
        self.status = StatusPanel()
        self.image = ImagePanel(session.request)
        self.weights = WeightsPanel()
        self.prompts = PromptPanel()
        self.result = ResultPanel(session.cleaning)
        self.stack = StackPanel()
        self.references = ReferencesTab(self.coordinator.desk, session)
        self.compare = CompareTab(self.coordinator.desk, session)
        self.study = StudyTab(napari_viewer, self.coordinator.desk, session)
        self.tabs = QTabWidget()
        self._lay_out()
        self._connect()
        self._offer_weights()
        self._on_images_changed()

    def _lay_out(self) -> None:
        segment = TabPage()
        panels = (self.image, self.weights, self.prompts, self.result, self.stack)
        for panel in panels:
            if panel in (self.prompts, self.result):
                segment.column.addWidget(ruler())
            segment.column.addWidget(panel)
        segment.column.addStretch()
        self.tabs.addTab(segment, "Segment")
        self.tabs.addTab(self.references, "References")
        self.tabs.addTab(self.compare, "Compare")
        self.tabs.addTab(self.study, "Study")
        layout = QVBoxLayout(self)
        layout.addWidget(self.status)
        layout.addWidget(self.tabs)

    def _connect(self) -> None:
        work = self.coordinator
        self.status.cancel_requested.connect(self._on_cancel)
        self.status.compute_requested.connect(work.compute)
        self.image.image_requested.connect(work.choose_image)
        self.image.features_requested.connect(self._on_features_requested)
        self.weights.fetched.connect(self._on_fetched)
        self.prompts.class_requested.connect(work.choose_class)
        self.prompts.new_class_requested.connect(work.add_class)
        self.prompts.add_requested.connect(work.add_prompts)
        self.prompts.undo_requested.connect(work.undo)
        self.prompts.clear_requested.connect(work.clear)
        self.prompts.layer_requested.connect(work.choose_prompts)
        self.result.threshold_requested.connect(work.choose_threshold)
        self.result.cleaning_requested.connect(work.choose_cleaning)
        self.stack.start_requested.connect(work.stacks.start)
        self.stack.stop_requested.connect(work.stacks.cancel)
        self.stack.objects_3d_requested.connect(work.stacks.choose_3d)
        work.stacks.progressed.connect(self.stack.show_progress)
        work.changed.connect(self._refresh)
        work.images_changed.connect(self._on_images_changed)
        work.progressed.connect(self._on_progress)
        desk = work.desk
        desk.changed.connect(self._refresh)
        desk.applying.progressed.connect(self._on_applying)
        desk.comparing.progressed.connect(self._on_comparing)
        desk.studying.progressed.connect(self._on_studying)
        self.study.undo_requested.connect(work.undo)
        self.tabs.currentChanged.connect(self._on_tab)

    def _on_features_requested(self, request: FeatureRequest) -> None:
        name = request.backbone.name
        if is_dinov2(name) and request.backbone.checkpoint is None:
            self.coordinator.wanted_dinov2 = name
        self.coordinator.choose_features(request)
        self._offer_weights()

    def _offer_weights(self) -> None:
        """Look whether weights are missing; too slow for every refresh."""
        work = self.coordinator
        folder = work.session.request.backbone.weights_folder
        self.weights.offer(work.wanted_dinov2, folder)
        self.weights.show_used(work.session.request.backbone.name)

    def _on_fetched(self, name: str) -> None:
        """Turn to the backbone that the user has waited for; the prompts stay."""
        work, asked = self.coordinator, self.coordinator.session.request
        backbone = replace(asked.backbone, name=name, checkpoint=None)
        request = replace(asked, backbone=backbone)
        if request == asked:
            # It was asked for before, and failed.
            work.compute()
        else:
            work.choose_features(request)
        self._offer_weights()

    def _on_images_changed(self) -> None:
        """Turn to an image if none is chosen, and offer those that are there."""
        images = self.coordinator.images()
        if self.coordinator.session.current is None and images:
            active = self.coordinator.viewer.layers.selection.active
            on_show = [image for image in images if image.visible] or images
            # From the list: a plugin's viewer hands out a proxy of the active layer,
            # and layers are told apart by identity.
            chosen = [image for image in on_show if image == active] or on_show[-1:]
            self.coordinator.choose_image(chosen[0])
        self._refresh()

    def _refresh(self) -> None:
        """Show the session as it is."""
        work, session = self.coordinator, self.coordinator.session
        state = session.current
        self._refresh_status()
        if self.tabs.currentWidget() is self.references:
            self.references.refresh(work.images())
        elif self.tabs.currentWidget() is self.compare:
            labels = layers.own_labels(work.viewer.layers)
            self.compare.refresh(work.images(), labels)
        elif self.tabs.currentWidget() is self.study:
            labels = layers.own_labels(work.viewer.layers)
            self.study.refresh(work.images(), labels)
        self.image.show_images(work.images(), None if state is None else state.image)
        self.image.show_request(session.request)
        self.image.show_facts(work.estimate, work.seconds_left)
        self.weights.show_used(session.request.backbone.name)
        counts = {} if state is None else state.counts()
        self.prompts.show_classes(session.colours(), counts, session.selected_class)
        self.prompts.show_layers(
            work.prompt_layers(), None if state is None else state.prompts
        )
        self.prompts.enable_changes(
            undo=state is not None and bool(state.history),
            clear=state is not None and work.owns_prompts,
        )
        value, auto = (None, True) if state is None else work.thresholds_in_force(state)
        self.result.show_threshold(session.threshold_class(), value, auto)
        self.result.show_cleaning(session.cleaning)
        self._refresh_stack()

    def _refresh_stack(self) -> None:
        """Offer all planes where there are several."""
        stacks = self.coordinator.stacks
        self.stack.setVisible(stacks.total > 0)
        self.stack.show_stack(
            can_start=stacks.can_start,
            running=stacks.running,
            objects_3d=stacks.objects_3d,
            said=stacks.message,
        )

    def _refresh_status(self) -> None:
        """Say how the work of the tab in view stands."""
        session, desk = self.coordinator.session, self.coordinator.desk
        tab = self.tabs.currentWidget()
        if tab is self.references:
            self.status.show_hint(self.references.hint)
            self.status.show_work(running=desk.applying.running, stopped=False)
        elif tab is self.compare:
            self.status.show_hint(self.compare.hint)
            self.status.show_work(running=desk.comparing.comparing, stopped=False)
        elif tab is self.study:
            self.status.show_hint(self.study.hint)
            self.status.show_work(running=bool(desk.studying.studying), stopped=False)
        else:
            here = session.current is not None
            idle = session.phase in (Phase.STOPPED, Phase.FAILED)
            self.status.show_hint(session.hint())
            self.status.show_work(
                running=here
                and (session.phase is Phase.PREPARING or self.coordinator.filling),
                stopped=here and idle,
            )

    def _on_tab(self, _index: int) -> None:
        self.status.show_progress(0, 0)
        self.study.turn(self.tabs.currentWidget() is self.study)
        if self.tabs.currentIndex() > 0:
            self.coordinator.desk.library.read()
        self._refresh()

    def _on_cancel(self) -> None:
        """Stop the work of the tab in view."""
        tab, desk = self.tabs.currentWidget(), self.coordinator.desk
        if tab is self.references:
            desk.applying.cancel()
        elif tab is self.compare:
            desk.comparing.cancel()
        elif tab is self.study:
            desk.studying.cancel()
        else:
            self.coordinator.cancel()

    def _on_progress(self, done: int, total: int) -> None:
        if self.tabs.currentIndex() == 0:
            self.status.show_progress(done, total)

    def _on_applying(self, done: int, total: int) -> None:
        if self.tabs.currentWidget() is self.references:
            self.status.show_progress(done, total)

    def _on_comparing(self, done: int, total: int) -> None:
        if self.tabs.currentWidget() is self.compare:
            self.status.show_progress(done, total)

    def _on_studying(self, done: int, total: int) -> None:
        if self.tabs.currentWidget() is self.study:
            self.status.show_progress(done, total)
