"""What happens to a Points layer that holds prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt._qt.image_events import transform_events

if TYPE_CHECKING:
    from napari.layers import Points

__all__ = ["PointsEvents"]


class PointsEvents(QObject):
    """Tells when one Points layer is changed."""

    edited = Signal()
    """Points were added, moved, removed, or got other features."""
    moved = Signal()
    """The layer is placed differently, or has other units."""
    defaulted = Signal()
    """The next point would have other features."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._points: Points | None = None

    def watch(self, points: Points | None) -> None:
        """Listen to a layer and to no other, or to none."""
        if self._points is not None:
            events = self._points.events
            events.data.disconnect(self._on_event)
            events.features.disconnect(self._on_event)
            events.feature_defaults.disconnect(self._on_defaults)
            for emitter in transform_events(self._points):
                emitter.disconnect(self._on_moved)
        self._points = points
        if points is not None:
            points.events.data.connect(self._on_event)
            points.events.features.connect(self._on_event)
            points.events.feature_defaults.connect(self._on_defaults)
            for emitter in transform_events(points):
                emitter.connect(self._on_moved)

    def _on_event(self, event: object) -> None:
        action = str(getattr(event, "action", "changed"))
        # The -ing events come before the change and carry the old points.
        if not action.endswith("ing"):
            self.edited.emit()

    def _on_moved(self, _event: object) -> None:
        self.moved.emit()

    def _on_defaults(self, _event: object) -> None:
        self.defaulted.emit()
