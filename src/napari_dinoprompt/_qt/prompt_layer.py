"""The Points layer of the current image: watched, coloured, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_dinoprompt import layers
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
        """Make the layer if there is none, and let the user click into it."""
        if state.prompts is None:
            state.prompts = layers.find_prompt_layer(self._viewer.layers, state.image)
        if state.prompts is None:
            points = layers.make_prompt_layer(
                state.image, session.colours(), session.selected_class
            )
            self._viewer.layers.append(points)
            state.prompts = points
        for name in layers.prompt_classes(state.prompts):
            session.add_class(name)
        if state.snapshot is None:
            state.snapshot = _snapshot(state.prompts)
        self.watch(state)
        self.show_colours(session)
        self.use_class(session)
        self._viewer.layers.selection.active = state.prompts
        state.prompts.mode = "add"

    def watch(self, state: ImageState | None) -> None:
        """Follow the layer of an image, or none."""
        if self._points is not None:
            self._points.events.data.disconnect(self._on_event)
            self._points.events.features.disconnect(self._on_event)
            self._points.events.feature_defaults.disconnect(self._on_defaults)
        self._timer.stop()
        self._state = state
        self._points = None if state is None else state.prompts
        if self._points is not None:
            self._points.events.data.connect(self._on_event)
            self._points.events.features.connect(self._on_event)
            self._points.events.feature_defaults.connect(self._on_defaults)

    def show_colours(self, session: Session) -> None:
        """Colour the prompts by class."""
        if self._points is not None:
            self._points.face_color_cycle = session.colours()

    def use_class(self, session: Session) -> None:
        """Make the next prompts, and the selected ones, of the selected class."""
        self._selected_class = session.selected_class
        points = self._points
        if points is None:
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
        """Replace all prompts by points in pixels of the image; can be undone."""
        if self._state is not None and self._points is not None:
            where = layers.points_from_pixels(points, self._points, self._state.image)
            layers.set_prompts(self._points, where, classes)

    def clear(self) -> None:
        """Remove all prompts; can be undone."""
        if self._points is not None:
            layers.set_prompts(self._points, np.empty((0, 2)), ())

    def flush(self) -> None:
        """Take a change that is waiting for its turn now."""
        if self._timer.isActive():
            self._timer.stop()
            self._take()

    def usable(
        self, state: ImageState
    ) -> tuple[NDArray[np.float64], tuple[str, ...], int]:
        """Return the prompts that lie on data, in pixels, and how many do not."""
        if state.prompts is None or state.snapshot is None or state.prepared is None:
            return np.empty((0, 2)), (), 0
        points = layers.pixel_points(state.prompts, state.image)
        good = state.prepared.features.holds_data(points)
        classes = layers.prompt_classes(state.prompts)
        kept = tuple(name for name, on in zip(classes, good, strict=True) if on)
        return points[good], kept, int((~good).sum())

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

    def _on_defaults(self, _event: object) -> None:
        self._assert_class()

    def _assert_class(self) -> None:
        """Selecting a point makes its class the default of the next; ours counts."""
        if self._points is None or not self._selected_class:
            return
        wanted = {layers.CLASS_COLUMN: self._selected_class}
        defaults = self._points.feature_defaults[layers.CLASS_COLUMN]
        if str(defaults.iloc[0]) != self._selected_class:
            self._points.feature_defaults = wanted

    def _take(self) -> None:
        state = self._state
        if state is None or state.prompts is None or state.snapshot is None:
            return
        now = _snapshot(state.prompts)
        before = state.snapshot
        if now.classes == before.classes and np.array_equal(now.points, before.points):
            return
        state.history.append(before)
        del state.history[:-_MAX_HISTORY]
        state.snapshot = now
        self.changed.emit()


def _snapshot(points: Points) -> PromptSnapshot:
    return PromptSnapshot(
        np.array(points.data, dtype=np.float64), layers.prompt_classes(points)
    )
