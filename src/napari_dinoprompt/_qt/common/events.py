"""What happens to the image layers themselves, and what is done a moment later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Layer


class ImageEvents(QObject):
    """Tells when a watched image is moved or gets other pixels."""

    # The image layer whose transform or units changed.
    moved = Signal(object)
    # The image layer whose data was replaced.
    replaced = Signal(object)
    # An image shows several planes in another way.
    projected = Signal()

    def watch(self, image: Image) -> None:
        """Listen to an image, once however often it is asked for."""
        image.events.data.connect(self._on_replaced)
        for emitter in transform_events(image):
            emitter.connect(self._on_moved)
        image.events.projection_mode.connect(self._on_projected)

    def unwatch(self, image: Image) -> None:
        """Listen no more."""
        image.events.data.disconnect(self._on_replaced)
        for emitter in transform_events(image):
            emitter.disconnect(self._on_moved)
        image.events.projection_mode.disconnect(self._on_projected)

    def _on_projected(self, _event: object) -> None:
        self.projected.emit()

    def _on_replaced(self, event: Any) -> None:
        self.replaced.emit(event.source)

    def _on_moved(self, event: Any) -> None:
        self.moved.emit(event.source)


def transform_events(layer: Layer) -> tuple[Any, ...]:
    """Return the emitters that speak when a layer is placed differently."""
    events = layer.events
    return (
        *(events.scale, events.translate, events.rotate),
        *(events.shear, events.affine, events.units),
    )


def later(parent: QObject, milliseconds: int, slot: Callable[[], object]) -> QTimer:
    """Make a timer that calls a slot once, so long after it was started last."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(slot)
    return timer
