"""What happens in a viewer, once for all that happens in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["ViewerEvents"]

_SCROLL_DELAY_MS = 30


class ViewerEvents(QObject):
    """Tells when layers come and go, and when the sliders have been moved."""

    listed = Signal()
    """A layer came or was renamed."""
    removed = Signal(object)
    """The layer that was removed."""
    settled = Signal(object)
    """The layers that came lately, maybe none, when all of them are in."""
    slid = Signal()
    """A slider is being moved."""
    rested = Signal()
    """The sliders stand still, or the plane in view is to be looked at again."""

    def __init__(self, viewer: ViewerModel, parent: QObject) -> None:
        super().__init__(parent)
        self._view_timer = QTimer(self)
        self._view_timer.setSingleShot(True)
        self._view_timer.setInterval(_SCROLL_DELAY_MS)
        self._view_timer.timeout.connect(self.rested)
        # A sample or a folder opens several layers in one go; choose when all are in.
        self._came: list[Layer] = []
        self._layers_timer = QTimer(self)
        self._layers_timer.setSingleShot(True)
        self._layers_timer.setInterval(0)
        self._layers_timer.timeout.connect(self._on_settled)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.renamed.connect(self._on_renamed)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.dims.events.point.connect(self._on_slider)

    @property
    def pending(self) -> bool:
        """Whether something is still to be told."""
        return self._view_timer.isActive() or self._layers_timer.isActive()

    def look_again(self) -> None:
        """Tell in a moment that the plane in view may be another."""
        self._view_timer.start()

    def stop_looking(self) -> None:
        """Leave the plane in view as it is."""
        self._view_timer.stop()

    def _on_inserted(self, event: Any) -> None:
        self._came.append(event.value)
        self._on_renamed(event)

    def _on_renamed(self, _event: object) -> None:
        self._layers_timer.start()
        self.listed.emit()

    def _on_removed(self, event: Any) -> None:
        self.removed.emit(event.value)
        self._layers_timer.start()
        self.listed.emit()

    def _on_settled(self) -> None:
        came, self._came = self._came, []
        self.settled.emit(came)

    def _on_slider(self, _event: object) -> None:
        self.slid.emit()
