"""The Points layer of the current image: watched, coloured, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.image_events import transform_events
from napari_dinoprompt.core.geometry import lies_on_plane
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.session import PromptSnapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Points
    from numpy.typing import NDArray

    from napari_dinoprompt.session import ImageState, Session

__all__ = ["PromptLayer"]

_MAX_HISTORY = 200


class PromptLayer(QObject):
    """Keeps snapshots of one image's prompts up to date.

    napari reports one change of the points in several events, and has no undo for
    them; here the events of one turn of the event loop are one change.
    """

    changed = Signal()
    """Prompts were added, moved, removed or given another class."""

    def __init__(self, viewer: ViewerModel, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._state: ImageState | None = None
        self._points: Points | None = None
        self._moved = False
        self._pixels: NDArray[np.float64] = np.empty((0, 2))
        self._selected_class = ""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._take)

    @property
    def pending(self) -> bool:
        """Whether a change has not been taken yet."""
        return self._timer.isActive()

    def ensure(self, state: ImageState, session: Session) -> None:
        """Make the layer if there is none; let the user click into one of ours."""
        if state.prompts is None:
            state.prompts = layers.find_prompt_layer(self._viewer.layers, state.image)
        if state.prompts is None:
            points = layers.make_prompt_layer(
                state.image, session.colours(), session.selected_class
            )
            self._viewer.layers.append(points)
            state.prompts = points
        self.follow(state, session)
        if layers.is_ours(state.prompts):
            self.activate(state)

    def activate(self, state: ImageState) -> None:
        """Let the user click into the layer."""
        if state.prompts is not None:
            self._viewer.layers.selection.active = state.prompts
            state.prompts.mode = "add"

    def fit(self, state: ImageState, session: Session) -> None:
        """Begin a new layer where an image now has more or fewer axes."""
        if state.prompts is None or state.prompts.ndim == state.image.ndim:
            return
        # On which plane its prompts would be, nobody knows; they are not thrown away.
        ours = layers.find_prompt_layer(self._viewer.layers, state.image)
        if ours is not None:
            layers.give_up(ours)
        state.prompts = None
        state.snapshot = None
        state.history.clear()
        if state is self._state:
            self.ensure(state, session)

    def choose(self, state: ImageState, session: Session, points: Points) -> None:
        """Take the prompts from another Points layer, the user's own or ours."""
        state.prompts = points
        state.snapshot = None
        state.history.clear()
        self.follow(state, session)
        self.changed.emit()

    def follow(self, state: ImageState, session: Session) -> None:
        """Watch the prompts of an image."""
        assert state.prompts is not None
        for name in layers.prompt_classes(state.prompts):
            session.add_class(name)
        if state.snapshot is None:
            state.snapshot = _snapshot(state.prompts)
        self.watch(state)
        # Changes that were made while another image was watched.
        self._take()
        self.show_colours(session)
        self.use_class(session)

    def watch(self, state: ImageState | None) -> None:
        """Follow the layer of an image, or none."""
        if self._points is not None:
            for emitter in self._emitters(self._points):
                emitter.disconnect(self._on_event)
            for emitter in transform_events(self._points):
                emitter.disconnect(self._on_moved)
            self._points.events.feature_defaults.disconnect(self._on_defaults)
        self._timer.stop()
        self._moved = False
        self._state = state
        self._points = None if state is None else state.prompts
        if state is not None and self._points is not None:
            self._pixels = layers.pixel_points(self._points, state.image)
            for emitter in self._emitters(self._points):
                emitter.connect(self._on_event)
            for emitter in transform_events(self._points):
                emitter.connect(self._on_moved)
            self._points.events.feature_defaults.connect(self._on_defaults)

    @staticmethod
    def _emitters(points: Points) -> tuple[Any, ...]:
        return (points.events.data, points.events.features)

    def show_colours(self, session: Session) -> None:
        """Colour the prompts by class; a layer of the user's own stays as it is."""
        if self._points is not None and layers.is_ours(self._points):
            self._points.face_color_cycle = session.colours()

    def use_class(self, session: Session) -> None:
        """Make the next prompts, and the selected ones, of the selected class."""
        self._selected_class = session.selected_class
        points = self._points
        if points is None or not layers.is_ours(points):
            return
        if points.selected_data and str(points.mode) == "select":
            features = points.features.copy()
            features.loc[sorted(points.selected_data), layers.CLASS_COLUMN] = (
                self._selected_class
            )
            points.features = features
        self._assert_class()

    def undo(self) -> None:
        """Take back the last change."""
        state = self._state
        self.flush()
        if state is None or state.prompts is None or not state.history:
            return
        self._restore(state.history.pop())

    def place(self, points: NDArray[np.float64], classes: Sequence[str]) -> None:
        """Replace all prompts by points on the plane in view; can be undone.

        Parameters
        ----------
        points : (N, 2) ndarray of float64
            y and x in pixels of the image.
        classes : sequence of N str
        """
        if (
            self._state is not None
            and self._points is not None
            and layers.is_ours(self._points)
        ):
            plane = np.broadcast_to(
                np.array(self._state.view, dtype=np.float64),
                (len(points), len(self._state.view)),
            )
            pixels = np.concatenate((plane, points), axis=1)
            where = layers.points_from_pixels(pixels, self._points, self._state.image)
            layers.set_prompts(self._points, where, classes)

    def append(self, point: tuple[float, float], name: str) -> None:
        """Add a point on the plane in view as a prompt of a class; can be undone.

        Parameters
        ----------
        point : (float, float)
            y and x in pixels of the image.
        name : str
        """
        points, state = self._points, self._state
        if state is not None and points is not None and layers.is_ours(points):
            pixels = np.array([(*state.view, *point)], dtype=np.float64)
            where = layers.points_from_pixels(pixels, points, state.image)
            classes = (*layers.prompt_classes(points), name)
            layers.set_prompts(points, np.concatenate((points.data, where)), classes)
            self.flush()

    def remove(self, row: int) -> None:
        """Remove one prompt, unless they are the user's own layer; can be undone."""
        points = self._points
        if points is not None and layers.is_ours(points):
            classes = list(layers.prompt_classes(points))
            del classes[row]
            layers.set_prompts(points, np.delete(points.data, row, axis=0), classes)
            self.flush()

    def clear(self) -> None:
        """Remove all prompts, unless they are the user's own layer; can be undone."""
        if self._points is not None and layers.is_ours(self._points):
            layers.set_prompts(self._points, np.empty((0, self._points.ndim)), ())

    def flush(self) -> None:
        """Take a change that is waiting for its turn now."""
        if self._timer.isActive():
            self._timer.stop()
            self._take()

    def placed(self, state: ImageState) -> Prompts:
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
        return prompts.keep(inside & np.array(on_stack, dtype=bool))

    def usable(self, state: ImageState) -> tuple[Prompts, int]:
        """Return the prompts that lie on data, and how many do not."""
        prompts = self.placed(state)
        held = [
            plane in state.planes
            and state.planes[plane].features.holds_data(point[None])[0]
            for plane, point in zip(prompts.planes, prompts.points, strict=True)
        ]
        usable = prompts.keep(np.array(held, dtype=bool))
        count = 0 if state.snapshot is None else len(state.snapshot.points)
        return usable, count - len(usable.points)

    def _restore(self, snapshot: PromptSnapshot) -> None:
        assert self._state is not None and self._points is not None
        self._state.snapshot = snapshot
        layers.set_prompts(self._points, snapshot.points, snapshot.classes)
        self._assert_class()
        self._timer.stop()
        self.changed.emit()

    def _on_event(self, event: object) -> None:
        action = str(getattr(event, "action", "changed"))
        # The -ing events come before the change and carry the old points.
        if not action.endswith("ing"):
            self._timer.start()

    def _on_moved(self, _event: object) -> None:
        self._moved = True
        self._timer.start()

    def _on_defaults(self, _event: object) -> None:
        self._assert_class()

    def _assert_class(self) -> None:
        """Selecting a point makes its class the default of the next; ours counts."""
        if (
            self._points is None
            or not self._selected_class
            or not layers.is_ours(self._points)
        ):
            return
        wanted = {layers.CLASS_COLUMN: self._selected_class}
        defaults = self._points.feature_defaults[layers.CLASS_COLUMN]
        if str(defaults.iloc[0]) != self._selected_class:
            self._points.feature_defaults = wanted

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
        if not same and layers.is_ours(state.prompts):
            state.history.append(before)
            del state.history[:-_MAX_HISTORY]
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


def _snapshot(points: Points) -> PromptSnapshot:
    return PromptSnapshot(
        np.array(points.data, dtype=np.float64), layers.prompt_classes(points)
    )
