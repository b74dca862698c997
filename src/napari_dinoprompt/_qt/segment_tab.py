"""The tab "Segment": image, prompts, threshold and what they find."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_dinoprompt._qt.image_panel import ImagePanel, WeightsPanel
from napari_dinoprompt._qt.prompt_panel import PromptPanel
from napari_dinoprompt._qt.recovery.offers import RecoveryPanel
from napari_dinoprompt._qt.result_panel import ResultPanel
from napari_dinoprompt._qt.stack_panel import StackPanel
from napari_dinoprompt._qt.tab_page import WorkTab, ruler
from napari_dinoprompt.core.weights.search import is_dinov2
from napari_dinoprompt.session import Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Labels
    from qtpy.QtWidgets import QWidget

    from napari_dinoprompt._qt.coordinator import Coordinator
    from napari_dinoprompt.session import FeatureRequest

__all__ = ["SegmentTab"]


class SegmentTab(WorkTab):
    """Passes on to the coordinator what the user wants, and shows the session."""

    def __init__(self, coordinator: Coordinator, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._coordinator = coordinator
        session = coordinator.session
        self.image = ImagePanel(session.request)
        self.weights = WeightsPanel()
        self.recovery = RecoveryPanel()
        self.prompts = PromptPanel()
        self.result = ResultPanel(session.cleaning)
        self.stack = StackPanel()
        panels = (self.image, self.weights, self.prompts, self.result, self.stack)
        for panel in panels:
            if panel in (self.prompts, self.result):
                self.column.addWidget(ruler())
            if panel is self.prompts:
                self.column.addWidget(self.recovery)
            self.column.addWidget(panel)
        self.column.addStretch()
        self._connect()
        self._offer_weights()

    def _connect(self) -> None:
        work = self._coordinator
        self.image.image_requested.connect(work.choose_image)
        self.image.features_requested.connect(self._on_features_requested)
        self.weights.fetched.connect(self._on_fetched)
        self.recovery.restore_requested.connect(self._on_restore)
        self.recovery.forget_requested.connect(work.recovery.forget)
        self.prompts.class_requested.connect(work.choose_class)
        self.prompts.new_class_requested.connect(work.add_class)
        self.prompts.add_requested.connect(work.add_prompts)
        self.prompts.undo_requested.connect(work.prompts.undo)
        self.prompts.clear_requested.connect(work.prompts.clear)
        self.prompts.layer_requested.connect(work.choose_prompts)
        self.result.threshold_requested.connect(work.scoring.choose_threshold)
        self.result.cleaning_requested.connect(work.choose_cleaning)
        self.stack.start_requested.connect(work.stacks.start)
        self.stack.stop_requested.connect(work.stacks.cancel)
        self.stack.objects_3d_requested.connect(work.stacks.choose_3d)
        work.stacks.progressed.connect(self.stack.show_progress)
        work.progressed.connect(self.progressed)

    @property
    def hint(self) -> str:
        """What to do next, or what went wrong."""
        return self._coordinator.session.hint()

    @property
    def running(self) -> bool:
        """Whether features are being computed, or the result filled in."""
        session = self._coordinator.session
        return session.current is not None and (
            session.phase is Phase.PREPARING or self._coordinator.scoring.filling
        )

    @property
    def stopped(self) -> bool:
        """Whether features could be computed, and are not."""
        session = self._coordinator.session
        idle = session.phase in (Phase.STOPPED, Phase.FAILED)
        return session.current is not None and idle

    def cancel(self) -> None:
        """Stop computing."""
        self._coordinator.features.cancel()

    def refresh(self, images: Sequence[Image], _labels: Sequence[Labels]) -> None:
        """Show the session as it is."""
        work, session = self._coordinator, self._coordinator.session
        state = session.current
        self.image.show_images(images, None if state is None else state.image)
        self.image.show_request(session.request)
        self.image.show_facts(work.features.estimate, work.features.seconds_left)
        self.weights.show_used(session.request.backbone.name)
        counts = {} if state is None else state.counts()
        self.prompts.show_classes(session.colours(), counts, session.selected_class)
        offer = work.recovery.offer
        self.recovery.show_offer(None if offer is None else offer.record)
        self.prompts.show_layers(
            work.prompt_layers(), None if state is None else state.prompts
        )
        self.prompts.enable_changes(
            undo=state is not None and bool(state.history),
            clear=state is not None and state.owns_prompts,
        )
        value, auto = session.threshold_in_force()
        self.result.show_threshold(session.threshold_class(), value, auto)
        self.result.show_cleaning(session.cleaning)
        self._refresh_stack()

    def _refresh_stack(self) -> None:
        """Offer all planes where there are several."""
        stacks = self._coordinator.stacks
        self.stack.setVisible(stacks.total > 0)
        self.stack.show_stack(
            can_start=stacks.can_start,
            running=stacks.running,
            objects_3d=stacks.objects_3d,
            said=stacks.message,
        )

    def _on_features_requested(self, request: FeatureRequest) -> None:
        name = request.backbone.name
        if is_dinov2(name) and request.backbone.checkpoint is None:
            self._coordinator.wanted_dinov2 = name
        self._coordinator.features.choose(request)
        self._offer_weights()

    def _on_restore(self) -> None:
        self._coordinator.restore()
        self._offer_weights()

    def _offer_weights(self) -> None:
        """Look whether weights are missing; too slow for every refresh."""
        work = self._coordinator
        folder = work.session.request.backbone.weights_folder
        self.weights.offer(work.wanted_dinov2, folder)
        self.weights.show_used(work.session.request.backbone.name)

    def _on_fetched(self, name: str) -> None:
        """Turn to the backbone that the user has waited for; the prompts stay."""
        work, asked = self._coordinator, self._coordinator.session.request
        backbone = replace(asked.backbone, name=name, checkpoint=None)
        request = replace(asked, backbone=backbone)
        if request == asked:
            # It was asked for before, and failed.
            work.features.compute()
        else:
            work.features.choose(request)
        self._offer_weights()
