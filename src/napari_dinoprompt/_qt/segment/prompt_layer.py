"""The Points layer of the current image: watched, coloured, changed, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.events import later, transform_events
from napari_dinoprompt._qt.common.jobs import LatestJob
from napari_dinoprompt.core.prompts import PlaneIndex, Prompts
from napari_dinoprompt.core.tiling.grid import lies_on_plane
from napari_dinoprompt.session.image_state import ImageState, PromptSnapshot

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer, Points
    from numpy.typing import NDArray

    from napari_dinoprompt.core.autosave.records import ImageRecord
    from napari_dinoprompt.session.session import Session


_MAX_HISTORY = 200


def placed_prompts(state: ImageState) -> Prompts:
    """Return the prompts that lie on a plane of the image, in pixels."""
    if state.prompts is None or state.snapshot is None:
        return Prompts(np.empty((0, 2)), ())
    prompts = layers.placed_prompts(state.prompts, state.image)
    inside = lies_on_plane(prompts.points, layers.plane_shape(state.image))
    stack = layers.stack_shape(state.image)
    on_stack = [
        all(0 <= at < length for at, length in zip(plane, stack, strict=True))
        for plane in prompts.planes
    ]
    return state.with_regions(prompts.keep(inside & np.array(on_stack, dtype=bool)))


def usable_prompts(state: ImageState) -> tuple[Prompts, int]:
    """Return the prompts that lie on data, and how many do not."""
    prompts = placed_prompts(state)
    rows: dict[PlaneIndex, list[int]] = {}
    for row, plane in enumerate(prompts.planes):
        rows.setdefault(plane, []).append(row)
    held = np.zeros(len(prompts.planes), dtype=bool)
    # Plane by plane: there may be thousands of prompts.
    for plane, here in rows.items():
        if plane in state.planes:
            features = state.planes[plane].features
            held[here] = features.holds_data(prompts.points[here])
    usable = prompts.keep(held)
    count = 0 if state.snapshot is None else len(state.snapshot.points)
    return usable, count - len(usable.points)


class PromptLayer(QObject):
    """Keeps snapshots of one image's prompts up to date, and changes them.

    napari reports one change of the points in several events, and has no undo for
    them; here the events of one turn of the event loop are one change. A layer of the
    user's own is never changed.
    """

    # Prompts were added, moved, removed or given another class.
    changed = Signal()
    # Why regions cannot be prompts.
    refused = Signal(str)
    # Clicks place prompts from now on, or do not any more.
    tool_changed = Signal()

    def __init__(self, viewer: ViewerModel, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._state: ImageState | None = None
        self._points: Points | None = None
        self._moved = False
        self._pixels: NDArray[np.float64] = np.empty((0, 2))
        self._timer = later(self, 0, self._take)
        # Results that come turn the user's tool away and back.
        self._tool_timer = later(self, 0, self._look_at_tool)
        self._drawn = LatestJob(self, "Taking regions as prompts")
        self._drawn.returned.connect(self._on_drawn)
        self._drawn.failed.connect(self.refused)
        viewer.layers.selection.events.active.connect(self._on_tool)
        self._put_aside = False
        viewer.dims.events.ndisplay.connect(self._on_display)

    @property
    def pending(self) -> bool:
        """Whether a change has not been taken yet."""
        waiting = self._timer.isActive() or self._tool_timer.isActive()
        return waiting or self._drawn.running

    @property
    def _ours(self) -> Points | None:
        """The layer, if it was made here and may be changed."""
        points = self._points
        return points if points is not None and layers.is_ours(points) else None

    def ensure(self, state: ImageState) -> None:
        """Make the layer if there is none; let the user click into one of ours."""
        if state.prompts is None:
            state.prompts = layers.find_prompt_layer(self._viewer.layers, state.image)
        if state.prompts is None:
            points = layers.make_prompt_layer(
                state.image, self._session.colours(), self._session.selected_class
            )
            self._viewer.layers.append(points)
            state.prompts = points
        self._follow(state)
        if state.owns_prompts:
            self.activate(state)

    def activate(self, state: ImageState) -> None:
        """Let the user click into the layer."""
        if state.prompts is not None:
            self._viewer.layers.selection.active = state.prompts
            # napari lets nobody click into a hidden layer.
            state.prompts.visible = True
            state.prompts.mode = "add"
            self._on_display()

    def fit(self, state: ImageState) -> None:
        """Begin a new layer where an image now has more or fewer axes."""
        if state.prompts is None or state.prompts.ndim == state.image.ndim:
            return
        # On which plane its prompts would be, nobody knows; they are not thrown away.
        ours = layers.find_prompt_layer(self._viewer.layers, state.image)
        if ours is not None:
            layers.give_up(ours)
        state.leave_prompts()
        if state is self._state:
            self.ensure(state)

    def choose(self, state: ImageState, points: Points) -> None:
        """Take the prompts from another Points layer, the user's own or ours."""
        state.leave_prompts()
        state.prompts = points
        self._follow(state)
        self.changed.emit()

    def _follow(self, state: ImageState) -> None:
        assert state.prompts is not None
        for name in layers.prompt_classes(state.prompts):
            self._session.add_class(name)
        if state.snapshot is None:
            state.snapshot = _snapshot(state.prompts)
        self.watch(state)
        # Changes that were made while another image was watched.
        self._take()
        self.show_colours()
        self.use_class()

    def watch(self, state: ImageState | None) -> None:
        """Follow the layer of an image, or none."""
        self._timer.stop()
        self._moved = False
        self._listen(on=False)
        self._state = state
        self._points = None if state is None else state.prompts
        if state is not None and self._points is not None:
            self._pixels = layers.pixel_points(self._points, state.image)
        self._listen(on=True)
        self._tool_timer.start()

    def _listen(self, *, on: bool) -> None:
        """Hear of changes of the layer, or no more."""
        if self._points is None:
            return
        events = self._points.events
        for emitter, slot in (
            (events.data, self._on_edited),
            (events.features, self._on_edited),
            (events.feature_defaults, self._assert_class),
            (events.mode, self._on_tool),
            *((one, self._on_moved) for one in transform_events(self._points)),
        ):
            if on:
                emitter.connect(slot)
            else:
                emitter.disconnect(slot)

    def show_colours(self) -> None:
        """Colour the prompts by class."""
        if self._ours is not None:
            self._ours.face_color_cycle = self._session.colours()

    def use_class(self) -> None:
        """Make the next prompts, and the selected ones, of the selected class."""
        ours = self._ours
        if ours is None:
            return
        if ours.selected_data and str(ours.mode) == "select":
            features, name = ours.features.copy(), self._session.selected_class
            features.loc[sorted(ours.selected_data), layers.CLASS_COLUMN] = name
            ours.features = features
        self._assert_class()

    def undo(self) -> None:
        """Take back the last change."""
        self.flush()
        if self._state is not None:
            self._go(self._state.history, self._state.undone)

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        self.flush()
        if self._state is not None:
            self._go(self._state.undone, self._state.history)

    def _go(self, towards: list[PromptSnapshot], behind: list[PromptSnapshot]) -> None:
        """Turn to the last prompts on one side; those of now go to the other."""
        state, points = self._state, self._points
        if state is None or points is None or state.snapshot is None or not towards:
            return
        behind.append(state.snapshot)
        state.snapshot = snapshot = towards.pop()
        layers.set_prompts(points, snapshot.points, snapshot.classes)
        self._assert_class()
        self._timer.stop()
        self.changed.emit()

    def place(self, pixels: NDArray[np.float64], classes: Sequence[str]) -> None:
        """Replace all by (N, 2) pixels on the plane in view, of N classes."""
        if self._ours is not None:
            layers.set_prompts(self._ours, self._on_plane(pixels), classes)

    def add_drawn(self, layer: Layer) -> None:
        """Add a prompt for each region of a layer on the plane in view."""
        state = self._state
        if state is None or self._ours is None:
            self.refused.emit("Regions become prompts in the layer made here alone.")
            return
        labels = isinstance(layer, Labels)
        on = layers.plane_in_view(self._viewer, layer) if labels else ()
        name = self._session.selected_class
        self._drawn.start(_draw(layer, state, on, name))

    def _on_drawn(self, found: tuple[ImageState, Prompts]) -> None:
        state, drawn = found
        ours = self._ours
        if state is not self._state or ours is None:
            return
        for name in drawn.classes:
            self._session.add_class(name)
        self.show_colours()
        state.note_regions(drawn)
        planes = np.array(drawn.planes, dtype=np.float64).reshape(len(drawn.points), -1)
        pixels = np.concatenate((planes, drawn.points), axis=1)
        where = layers.points_from_pixels(pixels, ours, state.image)
        classes = (*layers.prompt_classes(ours), *drawn.classes)
        layers.set_prompts(ours, np.concatenate((ours.data, where)), classes)
        self.flush()

    def remove(self, row: int) -> None:
        """Remove one prompt."""
        ours = self._ours
        if ours is not None:
            classes = list(layers.prompt_classes(ours))
            del classes[row]
            layers.set_prompts(ours, np.delete(ours.data, row, axis=0), classes)
            self.flush()

    def clear(self) -> None:
        """Remove all prompts."""
        if self._ours is not None:
            layers.set_prompts(self._ours, np.empty((0, self._ours.ndim)), ())

    def restore(self, state: ImageState, record: ImageRecord) -> None:
        """Bring prompts of the image in view back that were kept, into our layer."""
        self.flush()
        if not state.owns_prompts:
            state.leave_prompts()
        self.ensure(state)
        points = state.prompts
        assert points is not None
        pixels = np.array(record.points, dtype=np.float64)
        placed = layers.points_from_pixels(pixels, points, state.image)
        if record.placed:
            # Where the layer lies as it did, to the last bit: so will the mask be.
            before = np.array(record.placed, dtype=np.float64)
            if np.allclose(before, placed, rtol=1e-9, atol=1e-9):
                placed = before
        layers.set_prompts(points, placed, record.classes)
        self.flush()

    def flush(self) -> None:
        """Take a change that is waiting for its turn now."""
        if self._timer.isActive():
            self._timer.stop()
            self._take()

    def _on_plane(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Express (N, 2) pixels of the plane in view in coordinates of the layer."""
        assert self._state is not None and self._points is not None
        plane = np.array(self._state.view, dtype=np.float64)
        planes = np.broadcast_to(plane, (len(pixels), len(plane)))
        whole = np.concatenate((planes, pixels), axis=1)
        return layers.points_from_pixels(whole, self._points, self._state.image)

    def _on_edited(self, event: object) -> None:
        # The -ing events come before the change and carry the old points.
        if not str(getattr(event, "action", "changed")).endswith("ing"):
            self._timer.start()

    def _on_moved(self, _event: object) -> None:
        self._moved = True
        self._timer.start()

    def _on_tool(self, _event: object) -> None:
        self._tool_timer.start()

    def _on_display(self, _event: object = None) -> None:
        """Take the tool away in 3-D, where a click has no depth, and give it back."""
        points, deep = self._points, self._viewer.dims.ndisplay == 3
        if points is not None and deep and points.mode == "add":
            points.mode, self._put_aside = "pan_zoom", True
        elif self._put_aside and not deep:
            self._put_aside = False
            if points is not None and points == self._viewer.layers.selection.active:
                points.mode = "add"

    def _look_at_tool(self) -> None:
        """Tell whether clicks place prompts now."""
        points, active = self._points, self._viewer.layers.selection.active
        # A plugin gets a proxy of the active layer, which is equal, not the same. One
        # that is hidden has no other mode than to be moved.
        prompting = points is not None and points == active and points.mode == "add"
        if prompting != self._session.prompting:
            self._session.prompting = prompting
            self.tool_changed.emit()

    def _assert_class(self, _event: object = None) -> None:
        """Selecting a point makes its class the default of the next; ours counts."""
        ours, wanted = self._ours, self._session.selected_class
        if ours is None:
            return
        defaults = ours.feature_defaults[layers.CLASS_COLUMN]
        if str(defaults.iloc[0]) != wanted:
            ours.feature_defaults = {layers.CLASS_COLUMN: wanted}

    def _take(self) -> None:
        state = self._state
        if state is None or state.prompts is None or state.snapshot is None:
            return
        moved = self._moved and self._lie_elsewhere(state)
        self._moved = False
        now = _snapshot(state.prompts)
        before = state.snapshot
        same = now.classes == before.classes and np.array_equal(
            now.points, before.points
        )
        if same and not moved:
            return
        if not same and state.owns_prompts:
            state.history.append(before)
            del state.history[:-_MAX_HISTORY]
            state.undone.clear()
        state.snapshot = now
        self._pixels = layers.pixel_points(state.prompts, state.image)
        self.changed.emit()

    def _lie_elsewhere(self, state: ImageState) -> bool:
        """Tell whether the prompts lie on other pixels than when they were taken.

        They do not where the image was moved and our layer followed it.
        """
        assert state.prompts is not None
        pixels = layers.pixel_points(state.prompts, state.image)
        return self._pixels.shape != pixels.shape or not np.allclose(
            self._pixels, pixels, atol=1e-6
        )


def _draw(
    layer: Layer, state: ImageState, on: PlaneIndex, name: str
) -> Generator[None, None, tuple[ImageState, Prompts]]:
    """Make prompts of the regions of a layer, in a thread."""
    yield
    return state, layers.drawn_prompts(layer, state.image, state.view, on, name)


def _snapshot(points: Points) -> PromptSnapshot:
    return PromptSnapshot(
        np.array(points.data, dtype=np.float64), layers.prompt_classes(points)
    )
