"""The Points layer of the current image: watched, coloured, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.points_events import PointsEvents
from napari_dinoprompt._qt.prompt_edits import (
    change_selected,
    place_prompts,
    put_back,
    remove_prompt,
)
from napari_dinoprompt.session import PromptSnapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Points
    from numpy.typing import NDArray

    from napari_dinoprompt.core.recovery.record import ImageRecord
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
        self._events = PointsEvents(self)
        self._events.edited.connect(self._on_edited)
        self._events.moved.connect(self._on_moved)
        self._events.defaulted.connect(self._assert_class)

    @property
    def pending(self) -> bool:
        """Whether a change has not been taken yet."""
        return self._timer.isActive()

    @property
    def _ours(self) -> Points | None:
        """The layer, if it was made here and may be changed."""
        points = self._points
        return points if points is not None and layers.is_ours(points) else None

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
        state.leave_prompts()
        if state is self._state:
            self.ensure(state, session)

    def choose(self, state: ImageState, session: Session, points: Points) -> None:
        """Take the prompts from another Points layer, the user's own or ours."""
        state.leave_prompts()
        state.prompts = points
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
        self._timer.stop()
        self._moved = False
        self._state = state
        self._points = None if state is None else state.prompts
        if state is not None and self._points is not None:
            self._pixels = layers.pixel_points(self._points, state.image)
        self._events.watch(self._points)

    def show_colours(self, session: Session) -> None:
        """Colour the prompts by class; a layer of the user's own stays as it is."""
        if self._ours is not None:
            self._ours.face_color_cycle = session.colours()

    def use_class(self, session: Session) -> None:
        """Make the next prompts, and the selected ones, of the selected class."""
        self._selected_class = session.selected_class
        if self._ours is None:
            return
        change_selected(self._ours, self._selected_class)
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
        state, ours = self._state, self._ours
        if state is not None and ours is not None:
            place_prompts(ours, state.image, state.view, points, classes)

    def remove(self, row: int) -> None:
        """Remove one prompt, unless they are the user's own layer; can be undone."""
        if self._ours is not None:
            remove_prompt(self._ours, row)
            self.flush()

    def restore(self, state: ImageState, session: Session, record: ImageRecord) -> None:
        """Bring prompts back that were kept, into a layer of ours; can be undone.

        Parameters
        ----------
        state : ImageState
            Of the image in view.
        session : Session
        record : ImageRecord
        """
        self.flush()
        if state.prompts is None or not layers.is_ours(state.prompts):
            state.leave_prompts()
        self.ensure(state, session)
        assert state.prompts is not None
        put_back(state.prompts, state.image, record)
        self.flush()

    def clear(self) -> None:
        """Remove all prompts, unless they are the user's own layer; can be undone."""
        if self._ours is not None:
            layers.set_prompts(self._ours, np.empty((0, self._ours.ndim)), ())

    def flush(self) -> None:
        """Take a change that is waiting for its turn now."""
        if self._timer.isActive():
            self._timer.stop()
            self._take()

    def _restore(self, snapshot: PromptSnapshot) -> None:
        assert self._state is not None and self._points is not None
        self._state.snapshot = snapshot
        layers.set_prompts(self._points, snapshot.points, snapshot.classes)
        self._assert_class()
        self._timer.stop()
        self.changed.emit()

    def _on_edited(self) -> None:
        self._timer.start()

    def _on_moved(self) -> None:
        self._moved = True
        self._timer.start()

    def _assert_class(self) -> None:
        """Selecting a point makes its class the default of the next; ours counts."""
        ours = self._ours
        if ours is None or not self._selected_class:
            return
        wanted = {layers.CLASS_COLUMN: self._selected_class}
        defaults = ours.feature_defaults[layers.CLASS_COLUMN]
        if str(defaults.iloc[0]) != self._selected_class:
            ours.feature_defaults = wanted

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
