"""Labels of what is really there, which the user may have and may go on drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

__all__ = ["Truth"]


class Truth(QObject):
    """The layer that is chosen, and how often it was changed."""

    changed = Signal()
    """Another layer is chosen, or it has other pixels."""

    def __init__(self, viewer: ViewerModel, parent: QObject) -> None:
        super().__init__(parent)
        self.layer: Labels | None = None
        self.edits = 0
        """How often a truth had other pixels."""
        viewer.layers.events.removed.connect(self._on_removed)

    def choose(self, layer: Labels | None) -> None:
        """Take another layer, or none."""
        if layer is self.layer:
            return
        for one, listen in ((self.layer, False), (layer, True)):
            if one is not None:
                for emitter in (one.events.data, one.events.paint):
                    change = emitter.connect if listen else emitter.disconnect
                    change(self._on_edited)
        self.layer = layer
        self.changed.emit()

    def _on_edited(self, _event: object) -> None:
        self.edits += 1
        self.changed.emit()

    def _on_removed(self, event: object) -> None:
        if self.layer is not None and event.value is self.layer:  # type: ignore[attr-defined]
            self.choose(None)
