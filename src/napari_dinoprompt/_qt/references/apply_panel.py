"""Applying a reference to other images that are open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_dinoprompt import layers
from napari_dinoprompt._qt.layer_boxes import LayerChecklist
from napari_dinoprompt._qt.widgets.explaining import (
    button,
    explain,
    in_column,
    label_of,
)
from napari_dinoprompt._qt.widgets.message_label import MessageLabel
from napari_dinoprompt._qt.window_box import WindowBox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from napari_dinoprompt._qt.window_box import WindowChoice

__all__ = ["ApplyPanel"]


class ApplyPanel(QWidget):
    """A list of images with ticks, the window policy, and Apply."""

    apply_requested = Signal()
    """The reference is to be applied to the ticked images."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = ""
        self._title = MessageLabel("what is applied")
        self._images = explain(
            LayerChecklist(),
            "Tick the images on which the reference is used, with its own statistics "
            "and thresholds; no prompts are copied.",
            "images to apply to",
        )
        self._window = WindowBox()
        self._all_planes = explain(
            QCheckBox("All planes of stac&ks"),
            "Apply to all planes, not only to the one in view.",
        )
        self._apply = button(
            "&Apply",
            "Show similarity, mask and instances on each ticked image. Cleaning is as "
            "set under Segment.",
        )
        self._apply.clicked.connect(self.apply_requested)
        in_column(
            self,
            self._title,
            self._images,
            label_of("Intensit&y window", self._window),
            self._window,
            self._all_planes,
            self._apply,
        )
        self._images.ticked.connect(self._enable)
        self.show_reference("")

    @property
    def images(self) -> list[Image]:
        """The ticked images."""
        return self._images.layers

    @property
    def window_choice(self) -> WindowChoice:
        """The window policy."""
        return self._window.choice

    @property
    def all_planes(self) -> bool:
        """Whether all planes of stacks are wanted."""
        return self._all_planes.isChecked() and not self._all_planes.isHidden()

    def show_reference(self, name: str) -> None:
        """Say what will be applied; an empty name is nothing."""
        self._name = name
        self._title.setText(
            f"Apply {name} to" if name else "Choose a reference above to apply it to"
        )
        self._enable()

    def show_images(self, images: Sequence[Image]) -> None:
        """Offer images."""
        self._images.show_layers(images)
        self._window.show_images(images)
        self._all_planes.setVisible(any(layers.stack_shape(one) for one in images))

    def _enable(self) -> None:
        self._apply.setEnabled(bool(self._name) and bool(self.images))
