"""Going along with what happens in the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.image_events import ImageEvents, later
from napari_dinoprompt.session import Phase

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_dinoprompt._qt.preparing import Preparing
    from napari_dinoprompt._qt.prompt_layer import PromptLayer
    from napari_dinoprompt._qt.recovery.offers import Recovery
    from napari_dinoprompt._qt.result_layers import ResultLayers
    from napari_dinoprompt._qt.studying.work import StudyWork
    from napari_dinoprompt.session import Session

__all__ = ["Following"]

_SCROLL_DELAY_MS = 30


class Following(QObject):
    """Keeps the session in step with layers that come, go, move or change."""

    changed = Signal()
    """Something that panels show is different."""
    images_changed = Signal()
    """Images were opened, closed or renamed."""
    image_lost = Signal()
    """The current image is being removed."""
    image_replaced = Signal()
    """The current image has other pixels now."""
    prompts_opened = Signal()
    """Prompts of the current image came, as from a file."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        prompts: PromptLayer,
        results: ResultLayers,
        preparing: Preparing,
        recovery: Recovery,
        studying: StudyWork,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._prompts = prompts
        self._results = results
        self._preparing = preparing
        self._recovery = recovery
        self._studying = studying
        self._images = ImageEvents(self)
        self._images.moved.connect(self._on_moved)
        self._images.replaced.connect(self._on_replaced)
        self._view_timer = later(self, _SCROLL_DELAY_MS, self._on_view)
        # A sample or a folder opens several layers in one go; choose when all are in.
        self._came: list[Layer] = []
        self._layers_timer = later(self, 0, self._on_settled)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.renamed.connect(self._on_listed)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.dims.events.point.connect(self._on_slider)

    @property
    def pending(self) -> bool:
        """Whether something has happened that was not gone along with yet."""
        return self._view_timer.isActive() or self._layers_timer.isActive()

    def watch(self, image: Image) -> None:
        """Go along with an image, too, and look at what the viewer shows of it."""
        self._images.watch(image)
        self._look(image)

    def stop(self) -> None:
        """Stay with the plane that was in view."""
        self._view_timer.stop()

    def _look(self, image: Image) -> bool:
        """Take the plane that the viewer shows; tell whether it is another one."""
        state = self._session.open(image)
        before = state.view
        state.view = layers.plane_in_view(self._viewer, image)
        return state.view != before

    def _on_inserted(self, event: Any) -> None:
        self._came.append(event.value)
        self._on_listed()

    def _on_listed(self, _event: object = None) -> None:
        self._layers_timer.start()
        self.changed.emit()

    def _on_settled(self) -> None:
        came, self._came = self._came, []
        self.images_changed.emit()
        state = self._session.current
        if state is not None and state.prompts is None:
            # A file with prompts of this image may have been opened.
            ours = layers.find_prompt_layer(self._viewer.layers, state.image)
            if any(ours is layer for layer in came):
                self.prompts_opened.emit()

    def _on_removed(self, event: Any) -> None:
        gone = event.value
        # The last time that they can be seen.
        self._recovery.autosave.look()
        for state in list(self._session):
            if gone is state.image:
                if state is self._session.current:
                    self.image_lost.emit()
                self._session.forget(state)
                self._images.unwatch(state.image)
                self._recovery.let_go(state)
            elif gone is state.prompts:
                state.leave_prompts()
                if state is self._session.current:
                    self._prompts.watch(None)
                    self._preparing.take_prompts()
            else:
                self._results.drop(state, gone)
        self._on_listed()

    def _on_moved(self, image: Image) -> None:
        """Keep prompts and results on their image when it is scaled or moved."""
        state = self._session.open(image)
        self._results.follow(state)
        self._studying.follow(image)
        if not state.owns_prompts:
            # Points of the user's own stay, and lie on other pixels now.
            state.invalidate()
        if state is self._session.current:
            # The slider stays as well, and another plane lies under it.
            self._view_timer.start()
            if not state.owns_prompts:
                self._preparing.take_prompts()

    def _on_replaced(self, image: Image) -> None:
        """Begin anew with the pixels that an image has now."""
        state = self._session.open(image)
        self._recovery.begin_anew(state)
        state.pixels_replaced()
        self._prompts.fit(state)
        self._results.reshape(state)
        self._results.drop_stale(state)
        if state is self._session.current:
            self.image_replaced.emit()
            self._session.message = ""
            self._look(image)
            self._preparing.compute()

    def _on_slider(self, _event: object) -> None:
        state = self._session.current
        if state is not None and layers.stack_shape(state.image):
            # Before it is looked at, and not when the new one is ready.
            self._results.drop_stale(state)
            self._view_timer.start()

    def _on_view(self) -> None:
        """Turn to the plane that the viewer shows now."""
        state = self._session.current
        if state is not None and self._look(state.image):
            self._session.message = ""
            if self._session.phase is not Phase.STOPPED:
                self._preparing.compute()
