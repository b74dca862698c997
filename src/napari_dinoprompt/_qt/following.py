"""Going along with what happens in the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.image_events import ImageEvents
from napari_dinoprompt._qt.placed_prompts import owns_prompts
from napari_dinoprompt._qt.viewer_events import ViewerEvents
from napari_dinoprompt.core.prepared import PreparedPlanes
from napari_dinoprompt.session import Phase

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_dinoprompt._qt.preparing import Preparing
    from napari_dinoprompt._qt.prompt_layer import PromptLayer
    from napari_dinoprompt._qt.recovery.work import RecoveryWork
    from napari_dinoprompt._qt.result_layers import ResultLayers
    from napari_dinoprompt._qt.studying.work import StudyWork
    from napari_dinoprompt.session import Session

__all__ = ["Following"]


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
        recovery: RecoveryWork,
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
        self._events = ViewerEvents(viewer, self)
        self._events.listed.connect(self.changed)
        self._events.removed.connect(self._on_removed)
        self._events.settled.connect(self._on_settled)
        self._events.slid.connect(self._on_slider)
        self._events.rested.connect(self._on_view)

    @property
    def pending(self) -> bool:
        """Whether something has happened that was not gone along with yet."""
        return self._events.pending

    def watch(self, image: Image) -> None:
        """Go along with an image, too, and look at what the viewer shows of it."""
        self._images.watch(image)
        self._look(image)

    def stop(self) -> None:
        """Stay with the plane that was in view."""
        self._events.stop_looking()

    def _look(self, image: Image) -> bool:
        """Take the plane that the viewer shows; tell whether it is another one."""
        state = self._session.open(image)
        before = state.view
        state.view = layers.plane_in_view(
            image, self._viewer.dims.point, self._viewer.layers.units
        )
        return state.view != before

    def _on_settled(self, came: list[Layer]) -> None:
        self.images_changed.emit()
        state = self._session.current
        if state is not None and state.prompts is None:
            # A file with prompts of this image may have been opened.
            ours = layers.find_prompt_layer(self._viewer.layers, state.image)
            if any(ours is layer for layer in came):
                self.prompts_opened.emit()

    def _on_removed(self, gone: Layer) -> None:
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

    def _on_moved(self, image: Image) -> None:
        """Keep prompts and results on their image when it is scaled or moved."""
        state = self._session.open(image)
        self._results.follow(state)
        self._studying.follow(image)
        if not owns_prompts(state):
            # Points of the user's own stay, and lie on other pixels now.
            state.revision += 1
        if state is self._session.current:
            # The slider stays as well, and another plane lies under it.
            self._events.look_again()
            if not owns_prompts(state):
                self._preparing.take_prompts()

    def _on_replaced(self, image: Image) -> None:
        """Begin anew with the pixels that an image has now."""
        state = self._session.open(image)
        self._recovery.begin_anew(state)
        state.planes = PreparedPlanes()
        state.request = None
        state.result = None
        state.revision += 1
        self._prompts.fit(state, self._session)
        self._results.reshape(state)
        self._results.keep_only(state, state.revision)
        if state is self._session.current:
            self.image_replaced.emit()
            self._session.message = ""
            self._look(image)
            self._preparing.compute()

    def _on_slider(self) -> None:
        state = self._session.current
        if state is not None and layers.stack_shape(state.image):
            # Before it is looked at, and not when the new one is ready.
            self._results.keep_only(state, state.revision)
            self._events.look_again()

    def _on_view(self) -> None:
        """Turn to the plane that the viewer shows now."""
        state = self._session.current
        if state is not None and self._look(state.image):
            self._session.message = ""
            if self._session.phase is not Phase.STOPPED:
                self._preparing.compute()
