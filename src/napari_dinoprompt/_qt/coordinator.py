"""The one that talks to the viewer: turns requests of the panels into work.

It reads layers, starts jobs and shows their results; what is computed, `core`
computes, in threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from qtpy.QtCore import QObject, QTimer, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.desk import Desk
from napari_dinoprompt._qt.feature_work import FeatureWork
from napari_dinoprompt._qt.image_events import ImageEvents
from napari_dinoprompt._qt.preferences import read_preferences
from napari_dinoprompt._qt.prompt_layer import PromptLayer
from napari_dinoprompt._qt.result_layers import ResultLayers
from napari_dinoprompt._qt.scoring import Scoring
from napari_dinoprompt._qt.stack_work import StackWork
from napari_dinoprompt.core.prepared import PreparedPlanes
from napari_dinoprompt.session import FeatureRequest, Phase, Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Image, Layer, Points
    from numpy.typing import NDArray

    from napari_dinoprompt.core.estimate import Estimate
    from napari_dinoprompt.core.masks import Cleaning
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.session import ImageState

__all__ = ["Coordinator", "coordinator_of"]

# Features of images other than the current one are kept up to this size.
_KEPT_BYTES = 4_000_000_000
_SCROLL_DELAY_MS = 30

_coordinators: WeakValueDictionary[int, Coordinator] = WeakValueDictionary()


def coordinator_of(viewer: ViewerModel) -> Coordinator:
    """Return the coordinator of a viewer: one, however many docks are open.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Or napari's proxy of it, which hashes alike.
    """
    found = _coordinators.get(hash(viewer))
    if found is None:
        found = Coordinator(viewer)
        _coordinators[hash(viewer)] = found
    return found


class Coordinator(QObject):
    """Session, layers and jobs of one viewer."""

    changed = Signal()
    """Something that panels show is different."""
    images_changed = Signal()
    """Images were opened, closed or renamed."""
    progressed = Signal(int, int)
    """Tiles done and in all; a total of 0 is unknown."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.viewer = viewer
        preferences = read_preferences()
        self.session = Session(FeatureRequest(preferences.backbone, 1.0))
        self.wanted_dinov2 = preferences.wanted
        self._features = FeatureWork(self)
        self._features.changed.connect(self.changed)
        self._features.progressed.connect(self.progressed)
        self._features.ready.connect(self._on_features)
        self._features.failed.connect(self._on_features_failed)
        self._prompts = PromptLayer(viewer, self)
        self._prompts.changed.connect(self._on_prompts)
        self._results = ResultLayers(viewer)
        self._scoring = Scoring(self.session, self._prompts, self._results, self)
        self._scoring.changed.connect(self.changed)
        self._scoring.progressed.connect(self.progressed)
        self.stacks = StackWork(self.session, self._results, self._features.shelf, self)
        self.stacks.changed.connect(self.changed)
        self._scoring.changed.connect(self.stacks.note_result)
        self.changed.connect(self.stacks.drop_stale)
        self.desk = Desk(viewer, self.session, self._features.shelf, self)
        self.desk.studying.prompt_wanted.connect(self.add_prompt)
        self.desk.studying.removal_wanted.connect(self.remove_prompt)
        self.changed.connect(self.desk.studying.review)
        self._images = ImageEvents(self)
        self._images.moved.connect(self._on_moved)
        self._images.replaced.connect(self._on_replaced)
        self._view_timer = QTimer(self)
        self._view_timer.setSingleShot(True)
        self._view_timer.setInterval(_SCROLL_DELAY_MS)
        self._view_timer.timeout.connect(self._on_view)
        # A sample or a folder opens several layers in one go; choose when all are in.
        self._came: list[Layer] = []
        self._images_timer = QTimer(self)
        self._images_timer.setSingleShot(True)
        self._images_timer.setInterval(0)
        self._images_timer.timeout.connect(self._on_all_inserted)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.renamed.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.dims.events.point.connect(self._on_slider)

    @property
    def working(self) -> bool:
        """Whether anything is being computed or about to be."""
        return (
            self._features.running
            or self._scoring.running
            or self.stacks.running
            or self._view_timer.isActive()
            or self._images_timer.isActive()
            or self._prompts.pending
            or self.desk.working
        )

    @property
    def estimate(self) -> Estimate | None:
        """Size of the features under way or computed last, once it is known."""
        return self._features.estimate

    @property
    def seconds_left(self) -> float | None:
        """How long the features under way will take, once that is known."""
        return self._features.seconds_left

    def images(self) -> list[Image]:
        """Return the layers that can be segmented, as the viewer lists them."""
        return [layer for layer in self.viewer.layers if layers.can_segment(layer)]

    # --- requests of the panels

    def choose_image(self, image: Image | None) -> None:
        """Turn to an image; what it had before comes back."""
        current = self.session.current
        if current is not None and current.image is image:
            return
        self._prompts.flush()
        self.stop()
        self.session.message = ""
        if image is None:
            self.session.current = None
            self._prompts.watch(None)
            self.changed.emit()
            return
        state = self.session.open(image)
        self.session.current = state
        self._images.watch(image)
        self._results.adopt(state)
        state.view = self._plane_in_view(image)
        self._prompts.ensure(state, self.session)
        self.compute()

    def prompt_layers(self) -> list[Points]:
        """Return the Points layers that can hold the prompts, ours first."""
        state = self.session.current
        if state is None:
            return []
        ours = layers.find_prompt_layer(self.viewer.layers, state.image)
        own = [p for p in self.viewer.layers if layers.can_prompt(p, state.image)]
        return own if ours is None else [ours, *own]

    def choose_prompts(self, points: Points) -> None:
        """Take the prompts from another Points layer."""
        state = self.session.current
        if state is not None and points is not state.prompts:
            self._prompts.flush()
            self._prompts.choose(state, self.session, points)

    @property
    def owns_prompts(self) -> bool:
        """Whether the prompts of the image are in a layer made here."""
        state = self.session.current
        return state is not None and self._owns_prompts(state)

    @staticmethod
    def _owns_prompts(state: ImageState) -> bool:
        return state.prompts is not None and layers.is_ours(state.prompts)

    def choose_features(self, request: FeatureRequest) -> None:
        """Use another backbone, device or upscale."""
        if request == self.session.request:
            return
        self.session.request = request
        self.session.message = ""
        if self.session.current is not None:
            self.compute()
        self.changed.emit()

    def compute(self) -> None:
        """Get the features that are needed, unless they are here, and score."""
        state = self.session.current
        if state is None:
            return
        request = self.session.request
        target = self._features.target(state, request)
        missing = [
            plane
            for plane in self._needed(state)
            if plane not in target and plane not in target.empty
        ]
        if missing:
            self.session.phase = Phase.PREPARING
            self._scoring.stop()
            self._features.start(state, request, missing)
        else:
            self._features.cancel()
            self._take(state, target)
        self.changed.emit()

    def _take(self, state: ImageState, planes: PreparedPlanes) -> None:
        """Go on with planes that hold all that is needed now."""
        request = self.session.request
        if state.planes is not planes:
            state.planes = planes
            state.revision += 1
        name = request.backbone.name
        if state.backbone != name:
            # A threshold of one backbone means nothing to another.
            known = (
                {} if state.backbone else layers.recall_thresholds(state.prompts, name)
            )
            state.thresholds = known
            state.backbone = name
            layers.remember_thresholds(state.prompts, name, state.thresholds)
        state.request = request
        state.planes.trim(self._needed(state))
        self._make_room(state)
        self.session.phase = Phase.READY
        self._scoring.score()

    def _make_room(self, current: ImageState) -> None:
        """Let go of the features of other images, the first opened first."""
        others = [state for state in self.session if state is not current]
        size = sum(state.planes.bytes for state in others)
        for state in others:
            if size <= _KEPT_BYTES:
                break
            size -= state.planes.bytes
            state.planes = PreparedPlanes()
            state.request = None

    def _needed(self, state: ImageState) -> list[PlaneIndex]:
        """Return the plane in view and those that hold prompts."""
        prompted = self._prompts.placed(state).planes
        return list(dict.fromkeys((state.view, *sorted(set(prompted)))))

    @property
    def filling(self) -> bool:
        """Whether the result of a large image is filling in."""
        return self._scoring.filling

    def cancel(self) -> None:
        """Stop computing; the image can go on from here later."""
        if self._scoring.filling:
            self._scoring.stop()
            self.session.message = "Stopped. The result is there as far as it came."
            self.changed.emit()
        if self._features.running:
            self._features.cancel()
            self.session.phase = Phase.STOPPED
            self.changed.emit()

    def stop(self) -> None:
        """Drop all work under way."""
        self._features.forget()
        self._scoring.stop()
        self.stacks.cancel()
        self.desk.studying.stop()
        self._view_timer.stop()

    def choose_class(self, name: str) -> None:
        """Make the next prompts of a class, and the selected ones too."""
        self.session.selected_class = name
        self._prompts.use_class(self.session)
        self._scoring.show_similarity()
        self.changed.emit()

    def add_class(self, name: str) -> None:
        """Add a class by name and choose it."""
        name = self.session.add_class(name)
        if name:
            self._prompts.show_colours(self.session)
            self.choose_class(name)

    def add_prompts(self) -> None:
        """Let the user click prompts: the layer is there, active, in add mode."""
        state = self.session.current
        if state is not None:
            gone = state.prompts is None
            self._prompts.ensure(state, self.session)
            self._prompts.activate(state)
            if gone:
                self._on_prompts()
            self.changed.emit()

    def place_prompts(
        self, points: NDArray[np.float64], classes: Sequence[str]
    ) -> None:
        """Replace the prompts of the current image; can be undone.

        Parameters
        ----------
        points : (N, 2) ndarray of float64
            y and x in pixels of the image.
        classes : sequence of N str
        """
        for name in classes:
            self.session.add_class(name)
        self._prompts.show_colours(self.session)
        self._prompts.place(points, classes)

    def add_prompt(self, point: tuple[float, float], name: str) -> None:
        """Add one prompt on the plane in view to our layer; can be undone.

        Parameters
        ----------
        point : (float, float)
            y and x in pixels of the image.
        name : str
            Its class.
        """
        self._prompts.append(point, name)

    def remove_prompt(self, row: int) -> None:
        """Remove one prompt of our layer; can be undone."""
        self._prompts.remove(row)

    def undo(self) -> None:
        """Take back the last change of the prompts."""
        self._prompts.undo()

    def clear(self) -> None:
        """Remove all prompts of the image."""
        self._prompts.clear()

    def choose_threshold(self, value: float | None) -> None:
        """Set the threshold of the class on the slider; None is auto."""
        state = self.session.current
        if state is None:
            return
        name = self.session.threshold_class()
        if value is None:
            state.thresholds.pop(name, None)
        else:
            state.thresholds[name] = value
        layers.remember_thresholds(state.prompts, state.backbone, state.thresholds)
        self._scoring.cut_anew()

    def choose_cleaning(self, cleaning: Cleaning) -> None:
        """Clean the masks in another way."""
        self.session.cleaning = cleaning
        for state in self.session:
            if state is not self.session.current:
                state.revision += 1
        self._scoring.cut_anew()
        self.stacks.clean_anew()
        self.changed.emit()

    # --- what the viewer does

    def _on_layers(self, _event: object) -> None:
        self._images_timer.start()
        self.changed.emit()

    def _on_inserted(self, event: object) -> None:
        self._came.append(event.value)  # type: ignore[attr-defined]

    def _on_all_inserted(self) -> None:
        came, self._came = self._came, []
        self.images_changed.emit()
        state = self.session.current
        if state is not None and state.prompts is None:
            # A file with prompts of this image may have been opened.
            ours = layers.find_prompt_layer(self.viewer.layers, state.image)
            if any(ours is layer for layer in came):
                self.add_prompts()

    def _on_removed(self, event: object) -> None:
        gone = event.value  # type: ignore[attr-defined]
        for state in list(self.session):
            if gone is state.image:
                if state is self.session.current:
                    self.choose_image(None)
                self.session.forget(state)
                self._images.unwatch(state.image)
            elif gone is state.prompts:
                state.prompts = None
                state.snapshot = None
                state.history.clear()
                if state is self.session.current:
                    self._prompts.watch(None)
                    self._on_prompts()
            else:
                self._results.drop(state, gone)
        self._images_timer.start()
        self.changed.emit()

    def _on_prompts(self) -> None:
        state = self.session.current
        if state is not None:
            state.revision += 1
            unknown = set(state.counts()).difference(self.session.classes)
            for name in sorted(unknown):
                self.session.add_class(name)
            if unknown:
                self._prompts.show_colours(self.session)
        if self.session.phase is not Phase.FAILED:
            self.session.message = ""
        # Under way, it is looked at when the planes of before are ready.
        if self.session.phase is Phase.READY:
            self.compute()
        self.changed.emit()

    def _on_moved(self, image: Image) -> None:
        """Keep prompts and results on their image when it is scaled or moved."""
        state = self.session.open(image)
        self._results.follow(state)
        self.desk.studying.follow(image)
        if not self._owns_prompts(state):
            # Points of the user's own stay, and lie on other pixels now.
            state.revision += 1
        if state is self.session.current:
            # The slider stays as well, and another plane lies under it.
            self._view_timer.start()
            if not self._owns_prompts(state):
                self._on_prompts()

    def _on_replaced(self, image: Image) -> None:
        """Begin anew with the pixels that an image has now."""
        state = self.session.open(image)
        state.planes = PreparedPlanes()
        state.request = None
        state.result = None
        state.revision += 1
        self._prompts.fit(state, self.session)
        self._results.reshape(state)
        self._results.keep_only(state, state.revision)
        if state is self.session.current:
            self.stop()
            self.session.message = ""
            state.view = self._plane_in_view(state.image)
            self.compute()

    def _plane_in_view(self, image: Image) -> PlaneIndex:
        return layers.plane_in_view(
            image, self.viewer.dims.point, self.viewer.layers.units
        )

    def _on_slider(self, _event: object) -> None:
        state = self.session.current
        if state is not None and layers.stack_shape(state.image):
            # Before it is looked at, and not when the new one is ready.
            self._results.keep_only(state, state.revision)
            self._view_timer.start()

    def _on_view(self) -> None:
        """Turn to the plane that the viewer shows now."""
        state = self.session.current
        if state is None:
            return
        view = self._plane_in_view(state.image)
        if view != state.view:
            state.view = view
            self.session.message = ""
            if self.session.phase is not Phase.STOPPED:
                self.compute()

    # --- what the jobs say

    def _on_features(self, planes: PreparedPlanes) -> None:
        state = self.session.current
        assert state is not None
        missing = set(self._needed(state)) - set(planes) - planes.empty
        if not missing:
            self._take(state, planes)
            self.changed.emit()
        else:
            # Prompts were placed on further planes meanwhile.
            self.compute()

    def _on_features_failed(self, message: str) -> None:
        state = self.session.current
        assert state is not None
        if state.request is None or state.request == self.session.request:
            self.session.phase = Phase.FAILED
        else:
            # What was there before goes on working.
            self.session.request = state.request
            self.compute()
        self.session.message = message
        self.changed.emit()

    def thresholds_in_force(self, state: ImageState) -> tuple[float | None, bool]:
        """Return the threshold on the slider, and whether it is auto."""
        name = self.session.threshold_class()
        value = state.thresholds.get(name)
        if value is None and state.result is not None:
            value = state.result.thresholds.get(name)
        return value, name not in state.thresholds
