"""The one that talks to the viewer: turns requests of the panels into work.

It reads layers, starts jobs and shows their results; what is computed, `core`
computes, in threads.
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from qtpy.QtCore import QObject, QTimer, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt import steps
from napari_dinoprompt._qt.jobs import LatestJob
from napari_dinoprompt._qt.preferences import read_preferences
from napari_dinoprompt._qt.prompt_layer import PromptLayer
from napari_dinoprompt._qt.result_layers import ResultLayers
from napari_dinoprompt.core.masks import Cleaning
from napari_dinoprompt.core.prepared import PreparedPlane, PreparedPlanes
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.reference import BACKGROUND, PlaneIndex
from napari_dinoprompt.session import FeatureRequest, Phase, Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Image, Points
    from numpy.typing import NDArray

    from napari_dinoprompt.core.estimate import Estimate
    from napari_dinoprompt.core.live import LiveResult
    from napari_dinoprompt.session import ImageState

__all__ = ["Coordinator", "coordinator_of"]

_CLEANING_DELAY_MS = 120
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
        self.seconds_left: float | None = None
        self._shelf = steps.BackboneShelf()
        self._started = 0.0
        self._features = LatestJob(self)
        self._features.yielded.connect(self._on_progress)
        self._features.returned.connect(self._on_features)
        self._features.failed.connect(self._on_features_failed)
        self._features.crashed.connect(self._on_features_crashed)
        self._scores = LatestJob(self)
        self._scores.returned.connect(self._on_result)
        self._scores.failed.connect(self._on_score_failed)
        self._cleaned = LatestJob(self)
        self._cleaned.returned.connect(self._on_cleaned)
        self._prompts = PromptLayer(viewer, self)
        self._prompts.changed.connect(self._on_prompts)
        self._results = ResultLayers(viewer)
        self._target = PreparedPlanes()
        self._view_timer = QTimer(self)
        self._view_timer.setSingleShot(True)
        self._view_timer.setInterval(_SCROLL_DELAY_MS)
        self._view_timer.timeout.connect(self._on_view)
        self._cleaning_timer = QTimer(self)
        self._cleaning_timer.setSingleShot(True)
        self._cleaning_timer.setInterval(_CLEANING_DELAY_MS)
        self._cleaning_timer.timeout.connect(self._clean)
        # A sample or a folder opens several layers in one go; choose when all are in.
        self._images_timer = QTimer(self)
        self._images_timer.setSingleShot(True)
        self._images_timer.setInterval(0)
        self._images_timer.timeout.connect(self.images_changed)
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.renamed.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.dims.events.point.connect(self._on_slider)

    @property
    def working(self) -> bool:
        """Whether anything is being computed or about to be."""
        return (
            self._features.running
            or self._scores.running
            or self._cleaned.running
            or self._cleaning_timer.isActive()
            or self._view_timer.isActive()
            or self._images_timer.isActive()
            or self._prompts.pending
        )

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
        if state.prompts is None and state.snapshot is None:
            self._watch(image)
        self._results.adopt(state)
        self._results.reshape(state)
        state.view = self._plane_in_view(image)
        self._prompts.ensure(state, self.session)
        state.thresholds.update(layers.recall_thresholds(state.prompts))
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
        if request.backbone.name != self.session.request.backbone.name:
            # A threshold of one backbone means nothing to another.
            for state in self.session:
                state.thresholds.clear()
                layers.remember_thresholds(state.prompts, state.thresholds)
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
        fresh = state.request == request
        target = state.planes if fresh else PreparedPlanes()
        needed = self._needed(state)
        missing = [
            plane
            for plane in needed
            if plane not in target and plane not in target.empty
        ]
        self.seconds_left = None
        if not missing:
            self._features.cancel()
            self.session.phase = Phase.READY
            self._score()
        else:
            self.session.phase = Phase.PREPARING
            self.session.estimate = None
            self._scores.cancel()
            self._started = monotonic()
            self._target = target
            self._features.start(
                steps.prepare(
                    target,
                    partial(layers.read_plane, state.image),
                    layers.stack_shape(state.image),
                    layers.plane_shape(state.image),
                    self._shelf,
                    request,
                    missing,
                )
            )
        self.changed.emit()

    def _needed(self, state: ImageState) -> list[PlaneIndex]:
        """Return the plane in view and those that hold prompts."""
        prompted = self._prompts.placed(state).planes
        return list(dict.fromkeys((state.view, *sorted(set(prompted)))))

    def cancel(self) -> None:
        """Stop computing features; the image can go on from here later."""
        if self._features.running:
            self._features.cancel()
            self.session.phase = Phase.STOPPED
            self.changed.emit()

    def stop(self) -> None:
        """Drop all work under way."""
        for job in (self._features, self._scores, self._cleaned):
            job.cancel()
        self._cleaning_timer.stop()
        self._view_timer.stop()
        self._target = PreparedPlanes()

    def choose_class(self, name: str) -> None:
        """Make the next prompts of a class, and the selected ones too."""
        self.session.selected_class = name
        self._prompts.use_class(self.session)
        self._show_similarity()
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
        layers.remember_thresholds(state.prompts, state.thresholds)
        self._cut_anew(state)

    def choose_cleaning(self, cleaning: Cleaning) -> None:
        """Clean the masks in another way."""
        self.session.cleaning = cleaning
        for state in self.session:
            if state is self.session.current:
                self._cut_anew(state)
            else:
                state.revision += 1
        self.changed.emit()

    # --- what the viewer does

    def _on_layers(self, _event: object) -> None:
        self._images_timer.start()
        self.changed.emit()

    def _on_removed(self, event: object) -> None:
        gone = event.value  # type: ignore[attr-defined]
        for state in list(self.session):
            if gone is state.image:
                if state is self.session.current:
                    self.choose_image(None)
                self.session.forget(state)
                self._unwatch(state.image)
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

    def _watch(self, image: Image) -> None:
        image.events.data.connect(self._on_replaced)
        for emitter in _transforms(image):
            emitter.connect(self._on_moved)

    def _unwatch(self, image: Image) -> None:
        image.events.data.disconnect(self._on_replaced)
        for emitter in _transforms(image):
            emitter.disconnect(self._on_moved)

    def _on_moved(self, event: object) -> None:
        """Keep prompts and results on their image when it is scaled or moved."""
        state = self._state_of(event)
        self._results.follow(state)
        if not self._owns_prompts(state):
            # Points of the user's own stay, and lie on other pixels now.
            state.revision += 1
        if state is self.session.current:
            # The slider stays as well, and another plane lies under it.
            self._view_timer.start()
            if not self._owns_prompts(state):
                self._on_prompts()

    def _on_replaced(self, event: object) -> None:
        """Begin anew with the pixels that an image has now."""
        state = self._state_of(event)
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

    def _state_of(self, event: object) -> ImageState:
        source = event.source  # type: ignore[attr-defined]
        return next(state for state in self.session if state.image is source)

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

    def _on_progress(
        self, said: Progress | Estimate | tuple[PlaneIndex, PreparedPlane]
    ) -> None:
        if isinstance(said, tuple):
            self._target.add(*said)
        elif isinstance(said, Progress):
            self.progressed.emit(said.done, said.total)
            if said.done:
                spent = monotonic() - self._started
                self.seconds_left = spent / said.done * (said.total - said.done)
        else:
            self.session.estimate = said
            self._started = monotonic()
        self.changed.emit()

    def _on_features(self, _nothing: None) -> None:
        state = self.session.current
        assert state is not None
        if state.planes is not self._target:
            state.planes = self._target
            state.revision += 1
        state.request = self.session.request
        state.planes.trim(self._needed(state))
        # Prompts may have been placed on further planes meanwhile.
        self.compute()

    def _on_features_failed(self, message: str) -> None:
        state = self.session.current
        assert state is not None
        self.seconds_left = None
        if state.request is None or state.request == self.session.request:
            self.session.phase = Phase.FAILED
        else:
            # What was there before goes on working.
            self.session.request = state.request
            self.compute()
        self.session.message = message
        self.changed.emit()

    def _on_features_crashed(self) -> None:
        self._on_features_failed("Computing features failed; see the notification.")

    def _on_score_failed(self, message: str) -> None:
        self.session.message = message
        self.changed.emit()

    def _on_result(self, result: LiveResult) -> None:
        state = self.session.current
        assert state is not None
        state.result = result
        state.outdated = False
        self._results.keep_only(state, state.revision)
        state.shown[result.plane] = state.revision
        self._show_similarity()
        self._show_mask()
        self.changed.emit()

    def _on_cleaned(self, cleaned: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> None:
        state = self.session.current
        if state is None or state.result is None:
            return
        mask, instances = cleaned
        plane = state.result.plane
        if self.session.cleaning.split:
            self._results.show_instances(state, plane, instances)
        else:
            colours = self._mask_colours(state.result)
            self._results.show_mask(state, plane, mask, colours)

    # --- work

    def _score(self) -> None:
        state = self.session.current
        if state is None or self.session.phase is not Phase.READY:
            return
        self._cleaned.cancel()
        self._cleaning_timer.stop()
        prompts, left_out = self._prompts.usable(state)
        empty = state.view in state.planes.empty
        if empty:
            self.session.message = "This plane holds nothing but NaN or infinity."
        elif left_out:
            self.session.message = _left_out(left_out)
        if empty or all(name == BACKGROUND for name in prompts.classes):
            self._scores.cancel()
            state.result = None
            state.outdated = False
            state.revision += 1
            self._results.keep_only(state, state.revision)
            return
        state.outdated = True
        self._scores.start(
            steps.score_prompts(
                state.planes,
                prompts,
                state.view,
                dict(state.thresholds),
                state.image.name,
            )
        )

    def _cut_anew(self, state: ImageState) -> None:
        """Make the mask from the similarities again, for the plane in view."""
        state.revision += 1
        if state.outdated:
            # Only scoring anew knows what is under way and would be replaced.
            self._score()
        elif state.result is not None and self.session.phase is Phase.READY:
            self._cleaned.cancel()
            self._scores.start(steps.rethreshold(state.result, dict(state.thresholds)))

    def _clean(self) -> None:
        state = self.session.current
        if state is not None and state.result is not None:
            self._cleaned.start(
                steps.clean(
                    state.result.mask,
                    self.session.cleaning,
                    state.result.similarities.no_data,
                )
            )

    def _show_similarity(self) -> None:
        state, name = self.session.current, self.session.shown_class()
        if state is not None and state.result is not None and name is not None:
            self._results.show_similarity(state, state.result, name)

    def _show_mask(self) -> None:
        """Show the plain mask at once; cleaning follows when the user pauses."""
        state = self.session.current
        if state is None or state.result is None:
            return
        self._cleaned.cancel()
        self._results.show_mask(
            state,
            state.result.plane,
            state.result.mask,
            self._mask_colours(state.result),
        )
        if self.session.cleaning != Cleaning():
            self._cleaning_timer.start()

    def _mask_colours(self, result: LiveResult) -> list[str]:
        colours = self.session.colours()
        return [colours[name] for name in result.similarities.names]

    def thresholds_in_force(self, state: ImageState) -> tuple[float | None, bool]:
        """Return the threshold on the slider, and whether it is auto."""
        name = self.session.threshold_class()
        value = state.thresholds.get(name)
        if value is None and state.result is not None:
            value = state.result.thresholds.get(name)
        return value, name not in state.thresholds


def _transforms(image: Image) -> tuple[Any, ...]:
    events = image.events
    return (
        events.scale,
        events.translate,
        events.rotate,
        events.shear,
        events.affine,
        events.units,
    )


def _left_out(count: int) -> str:
    prompts = "1 prompt lies" if count == 1 else f"{count} prompts lie"
    return f"{prompts} outside the image or on pixels without data and do not count."
