"""The one that talks to the viewer: turns requests of the panels into work.

It reads layers, starts jobs and shows their results; what is computed, `core`
computes, in threads. What the viewer does is `LayerSync`'s matter, and what has to be
computed `FeatureController`'s.
"""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, WeakValueDictionary

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.events import ImageEvents, later
from napari_dinoprompt._qt.common.jobs import LatestJob, Workplace
from napari_dinoprompt._qt.common.keys import bind_keys
from napari_dinoprompt._qt.common.preferences import read_preferences
from napari_dinoprompt._qt.compare.job import CompareJob
from napari_dinoprompt._qt.recovery.offers import Recovery
from napari_dinoprompt._qt.references.apply import ApplyJob
from napari_dinoprompt._qt.references.batch import BatchJob
from napari_dinoprompt._qt.references.library import LibraryJob
from napari_dinoprompt._qt.segment.corrections import Corrections
from napari_dinoprompt._qt.segment.features import FeatureController
from napari_dinoprompt._qt.segment.given_objects import GivenObjects
from napari_dinoprompt._qt.segment.prompt_layer import PromptLayer
from napari_dinoprompt._qt.segment.result_layers import ResultLayers
from napari_dinoprompt._qt.segment.scoring import Scoring
from napari_dinoprompt._qt.segment.stack import StackJob
from napari_dinoprompt._qt.segment.table import TableJob
from napari_dinoprompt._qt.study.job import StudyJob
from napari_dinoprompt.core.images.plane import describe_odd_planes
from napari_dinoprompt.core.memory import release_memory
from napari_dinoprompt.core.progress import Notice
from napari_dinoprompt.session.image_state import FeatureRequest
from napari_dinoprompt.session.records import restore_settings
from napari_dinoprompt.session.session import Phase, Session

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Image, Layer, Points
    from numpy.typing import NDArray

    from napari_dinoprompt.core.masks.cleaning import Cleaning


_WEIGHTS_WANTED = (
    "The prompts are back. Their weights were a file of yours: choose it again under "
    "Advanced."
)
_controllers: WeakValueDictionary[int, Controller] = WeakValueDictionary()

_SCROLL_DELAY_MS = 30
# How often freed memory is given back while something happens.
_TRIM_MS = 20_000


def controller_of(viewer: ViewerModel) -> Controller:
    """Return the controller of a viewer: one, however many docks are open.

    It may be napari's proxy of the viewer, which hashes alike.
    """
    found = _controllers.get(hash(viewer))
    if found is None:
        found = Controller(viewer)
        _controllers[hash(viewer)] = found
    return found


class Controller(QObject):
    """Session, layers and jobs of one viewer."""

    # Something that panels show is different.
    changed = Signal()
    # Images were opened, closed or renamed.
    images_changed = Signal()
    # Tiles done and in all; a total of 0 is unknown.
    progressed = Signal(int, int)

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.viewer = viewer
        preferences = read_preferences()
        self.session = session = Session(FeatureRequest(preferences.backbone, 1.0))
        self.wanted = preferences.wanted
        self.recovery = Recovery(session, self)
        self.prompts = prompts = PromptLayer(viewer, session, self)
        self._results = results = ResultLayers(viewer)
        self.corrections = Corrections(viewer, session, results, self)
        self.corrections.edited.connect(self.recovery.autosave.note)
        self.corrections.handed_over.connect(self.recovery.turn_to)
        self.scoring = Scoring(session, results, self)
        self.objects = GivenObjects(viewer, session, self)
        self.table = TableJob(viewer, session, self)
        self.features = FeatureController(session, prompts, self.scoring, self)
        place = Workplace(viewer, session, self.features.shelf)
        self.stacks = StackJob(place, results, self)
        self.tab_jobs = TabJobs(place, self)
        self._layer_sync = LayerSync(
            viewer,
            session,
            prompts,
            results,
            self.features,
            self.recovery,
            self.tab_jobs.studying,
            self,
        )
        self._file = LatestJob(self, "Looking at the image's file")
        # glibc keeps what many short jobs have freed; a thread, for it takes a moment.
        self._trim = later(self, _TRIM_MS, _release_beside)
        self._connect()
        self._docks: WeakSet[QObject] = WeakSet()
        self._unbind_keys = bind_keys(viewer, self)

    def _connect(self) -> None:
        self.prompts.tool_changed.connect(self.changed)
        self.prompts.refused.connect(self._on_refused)
        for part in (
            *(self.recovery, self.features, self.scoring),
            *(self.stacks, self._layer_sync, self.corrections),
            *(self.objects, self.table),
        ):
            part.changed.connect(self.changed)
        self.features.progressed.connect(self.progressed)
        self.scoring.progressed.connect(self.progressed)
        self.scoring.changed.connect(self.stacks.note_result)
        self.scoring.changed.connect(self.objects.look)
        self.scoring.changed.connect(self.table.look)
        self._layer_sync.images_changed.connect(self.images_changed)
        self._layer_sync.image_lost.connect(self.choose_image)
        self._layer_sync.image_replaced.connect(self.stop)
        self._layer_sync.prompts_opened.connect(self.add_prompts)
        self.tab_jobs.studying.removal_wanted.connect(self.prompts.remove)
        self.changed.connect(self.stacks.drop_stale)
        self.changed.connect(self.tab_jobs.studying.review)
        self.changed.connect(self.recovery.autosave.note)
        self.changed.connect(self._trim_soon)

    def _trim_soon(self) -> None:
        if not self._trim.isActive():
            self._trim.start()

    @property
    def working(self) -> bool:
        """Whether anything is being computed or about to be."""
        return (
            self.features.running
            or self.features.identifying
            or self._file.running
            or self.features.fit.running
            or self.scoring.running
            or self.stacks.running
            or self._layer_sync.pending
            or self.prompts.pending
            or self.recovery.running
            or self.corrections.running
            or self.objects.running
            or self.table.running
            or self.tab_jobs.working
        )

    def images(self) -> list[Image]:
        """Return the layers that can be segmented, as the viewer lists them."""
        return [layer for layer in self.viewer.layers if layers.can_segment(layer)]

    def _on_refused(self, message: str) -> None:
        self.session.message = message
        self.changed.emit()

    def note_dock(self, dock: QObject, there: bool) -> None:
        """Keep the keys bound while a dock is there; a closed one may live on."""
        (self._docks.add if there else self._docks.discard)(dock)
        if not self._docks:
            self._unbind_keys()
        elif not self._unbind_keys.alive:
            self._unbind_keys = bind_keys(self.viewer, self)

    # --- requests of the panels

    def choose_image(self, image: Image | None = None) -> None:
        """Turn to an image, or to none; what it had before comes back."""
        current = self.session.current
        if current is not None and current.image is image:
            return
        self.prompts.flush()
        self.recovery.autosave.look()
        self.stop()
        self.session.message = ""
        if image is None:
            self.session.current = None
            self.prompts.watch(None)
            self.changed.emit()
            return
        state = self.session.open(image)
        self.session.turn_to(state)
        self._results.adopt(state)
        self._layer_sync.watch(image)
        self.prompts.ensure(state)
        self.recovery.turn_to(state)
        self.features.compute()
        if not state.looked_at:
            state.looked_at = True
            shape = layers.stack_shape(image), layers.plane_shape(image)
            odd = describe_odd_planes(image.name, *shape)
            self._file.start(look_at_file(image.source.path, odd))

    def switch_to(self, image: Image | None = None) -> None:
        """Turn to an image as a user does, by default the offered one: to see it."""
        image, current = image or self.session.offered, self.session.current
        if image is not None:
            before = None if current is None else current.image
            layers.turn_to(self.viewer, image, before)
            self.choose_image(image)
            self.dismiss_offer()

    def dismiss_offer(self) -> None:
        """Stay with the image, whichever other one was opened."""
        self.session.offered = None
        self.changed.emit()

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
            self.prompts.flush()
            self.prompts.choose(state, points)
            said = layers.describe_own_points(points, state.image)
            self._file.start(look_at_file(None, said))

    def stop(self) -> None:
        """Drop all work under way."""
        self.features.forget()
        self.scoring.stop()
        self.stacks.cancel()
        self.tab_jobs.studying.stop()
        self._layer_sync.stop()

    def choose_class(self, name: str) -> None:
        """Make the next prompts of a class, and the selected ones too."""
        self.session.selected_class = name
        self.prompts.use_class()
        self.scoring.show_similarity()
        self.changed.emit()

    def add_class(self, name: str) -> None:
        """Add a class by name and choose it."""
        name = self.session.add_class(name)
        if name:
            self.prompts.show_colours()
            self.choose_class(name)

    def choose_next_class(self) -> None:
        """Make the next prompts of the class after the chosen one."""
        names = self.session.classes
        at = names.index(self.session.selected_class) + 1
        self.choose_class(names[at % len(names)])

    def add_prompts(self) -> None:
        """Let the user click prompts: the layer is there, active, in add mode."""
        state = self.session.current
        if state is not None:
            gone = state.prompts is None
            self.prompts.ensure(state)
            self.prompts.activate(state)
            if self.session.offered is not None:
                # It was put on top of the image that is clicked on now.
                layers.turn_to(self.viewer, state.image, None)
            if gone:
                self.features.take_prompts()
            self.changed.emit()

    def move_threshold(self, step: float) -> None:
        """Set the threshold of the class on the slider higher or lower."""
        value, _auto = self.session.threshold_in_force()
        if value is not None:
            self.choose_threshold(round(min(max(value + step, -1), 1), 2))
            self.changed.emit()

    def choose_threshold(self, value: float | None) -> None:
        """Set the threshold of pixels, or of objects; None is auto."""
        if not self.objects.choose_threshold(value):
            self.scoring.choose_threshold(value)

    def flip(self, result: str) -> None:
        """Show a result of the image, *similarity* or *mask*, or hide it."""
        layer = getattr(self.session.current, result, None)
        if layer is not None:
            layer.visible = not layer.visible

    def place_prompts(
        self, points: NDArray[np.float64], classes: Sequence[str]
    ) -> None:
        """Replace the prompts by (N, 2) pixels of the plane in view; can be undone."""
        for name in classes:
            self.session.add_class(name)
        self.prompts.show_colours()
        self.prompts.place(points, classes)

    def choose_cleaning(self, cleaning: Cleaning) -> None:
        """Clean the masks in another way."""
        self.session.choose_cleaning(cleaning)
        self.scoring.cut_anew()
        self.stacks.clean_anew()
        self.changed.emit()

    def restore(self) -> None:
        """Bring back the prompts that are offered, and the settings they had."""
        state, offer = self.session.current, self.recovery.offer
        if state is None or offer is None:
            return
        record = offer.record
        if record.labels is not None:
            self.corrections.restore(offer, state)
        if not record.classes:
            self.recovery.note_restored(offer, state)
            return
        # Thresholds first, then features: with other ones nothing is to be computed.
        request = restore_settings(record, state, self.session)
        self.scoring.choose_points_only(record.settings.points_only)
        # Not auto: objects might ask for another upscale, and the mask is to be that
        # of before.
        self.features.choose(request)
        self.prompts.restore(state, record)
        layers.remember_thresholds(state.prompts, state.backbone, state.thresholds)
        if record.settings.own_weights and request.backbone.checkpoint is None:
            self.session.message = _WEIGHTS_WANTED
        self.recovery.note_restored(offer, state)
        self.choose_cleaning(record.settings.cleaning)


def _release_beside() -> None:
    Thread(target=release_memory, daemon=True).start()


def look_at_file(path: str | None, odd: str) -> Generator[Notice, None, None]:
    """Tell of what napari shows otherwise than the file means it, in a thread."""
    from napari_dinoprompt.core.io.shown import describe_otherwise

    if odd:
        yield Notice(odd)
    said = describe_otherwise(Path(path)) if path else ""
    if said:
        yield Notice(
            f"Of {path} the dock computes what napari shows: {said}. Save it anew "
            "as grey or RGB to get what it means."
        )


class LayerSync(QObject):
    """Keeps the session in step with layers that come, go, move or change."""

    # Something that panels show is different.
    changed = Signal()
    # Images were opened, closed or renamed.
    images_changed = Signal()
    # The current image is being removed.
    image_lost = Signal()
    # The current image has other pixels now.
    image_replaced = Signal()
    # Prompts of the current image came, as from a file.
    prompts_opened = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        prompts: PromptLayer,
        results: ResultLayers,
        feature_controller: FeatureController,
        recovery: Recovery,
        studying: StudyJob,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._prompts = prompts
        self._results = results
        self._feature_controller = feature_controller
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
        dims, grid = viewer.dims.events, viewer.canvas.grid.events
        self._images.projected.connect(self._view_timer.start)
        for emitter in (
            *(dims.ndisplay, dims.order, dims.margin_left, dims.margin_right),
            grid.enabled,
        ):
            emitter.connect(self._on_display)

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
        said = layers.describe_view(self._viewer, image)
        if said != self._session.view:
            self._session.view = said
            self.changed.emit()
        return state.view != before

    def _on_inserted(self, event: Any) -> None:
        self._came.append(event.value)
        self._on_listed()

    def _on_listed(self, _event: object = None) -> None:
        self._layers_timer.start()
        self.changed.emit()

    def _on_settled(self) -> None:
        came, self._came = self._came, []
        state = self._session.current
        there = [one for one in came if one in self._viewer.layers and one.visible]
        new = [one for one in there if layers.can_segment(one)]
        if new and state is not None and state.image not in new:
            self._session.offered = new[-1]
        self.images_changed.emit()
        state = self._session.current
        if state is not None and state.prompts is None:
            # A file with prompts of this image may have been opened.
            ours = layers.find_prompt_layer(self._viewer.layers, state.image)
            if any(ours is layer for layer in came):
                self.prompts_opened.emit()

    def _on_removed(self, event: Any) -> None:
        gone = event.value
        if gone is self._session.offered:
            self._session.offered = None
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
                    self._feature_controller.take_prompts()
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
                self._feature_controller.take_prompts()

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
            self._feature_controller.compute()

    def _on_slider(self, _event: object) -> None:
        state = self._session.current
        if state is not None and layers.stack_shape(state.image):
            # Before it is looked at, and not when the new one is ready.
            self._results.drop_stale(state)
            self._view_timer.start()

    def _on_display(self, _event: object) -> None:
        self._view_timer.start()

    def _on_view(self) -> None:
        """Turn to the plane that the viewer shows now."""
        state = self._session.current
        if state is not None and self._look(state.image):
            self._session.message = ""
            if self._session.phase is not Phase.STOPPED:
                self._feature_controller.compute()


class TabJobs(QObject):
    """The works of one viewer, and what they said last."""

    # Another line is to be shown, or work has begun or ended.
    changed = Signal()

    def __init__(self, place: Workplace, parent: QObject) -> None:
        super().__init__(parent)
        self._session = place.session
        self.library = LibraryJob(self)
        self.applying = ApplyJob(place, self)
        self.batch = BatchJob(place, self)
        self.comparing = CompareJob(place, self)
        self.studying = StudyJob(place, self)
        for work in (self.library, self.applying, self.batch):
            work.said.connect(self._on_said)
        for each in self._works:
            each.changed.connect(self.changed)

    @property
    def working(self) -> bool:
        """Whether any of them is at work."""
        return any(work.running for work in self._works)

    @property
    def _works(self) -> tuple[Any, ...]:
        return self.library, self.applying, self.batch, self.comparing, self.studying

    def _on_said(self, message: str) -> None:
        self._session.said = message
        self.changed.emit()
