"""Layers of our own over an image, and several images in a grid with one camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt import layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import LayerList, ViewerModel
    from napari.layers import Image, Layer

__all__ = ["SideBySide", "add_quietly", "lay_over", "remove"]


def add_quietly(stack: LayerList, layer: Layer) -> None:
    """Add a layer on top; what was selected stays so."""
    selected, active = set(stack.selection), stack.selection.active
    stack.append(layer)
    stack.selection = selected
    stack.selection.active = active


def remove(stack: LayerList, made: Sequence[Layer]) -> None:
    """Remove layers, but for those that the user has deleted."""
    for layer in made:
        if layer in stack:
            stack.remove(layer)


def lay_over(layer: Layer, image: Image) -> None:
    """Put a layer where its image was moved to."""
    for name, value in layers.spatial_metadata(image).items():
        setattr(layer, name, value)


class SideBySide:
    """A grid of layers; all others are hidden meanwhile, and shown again afterwards."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._hidden: list[Layer] | None = None

    @property
    def shown(self) -> bool:
        """Whether layers are in a grid."""
        return self._hidden is not None

    def show(self, cells: Sequence[Sequence[Layer]], *, most_in_a_row: int) -> None:
        """Show the layers of the list so, each cell with as many as the first."""
        stack = self._viewer.layers
        shown = [layer for cell in cells for layer in cell]
        self._hidden = [
            layer
            for layer in stack
            if layer.visible and not any(layer is one for one in shown)
        ]
        for layer in self._hidden:
            layer.visible = False
        # The grid takes layers in the order of the list, so many for each cell.
        for place, layer in enumerate(shown):
            stack.move(stack.index(layer), place)
        grid = self._viewer.canvas.grid
        grid.stride = len(cells[0])
        grid.shape = (1, len(cells)) if len(cells) <= most_in_a_row else (-1, -1)
        grid.enabled = True
        self._viewer.reset_view()

    def hide(self) -> None:
        """Show the layers as they were before."""
        if self._hidden is None:
            return
        hidden, self._hidden = self._hidden, None
        self._viewer.canvas.grid.enabled = False
        for layer in hidden:
            layer.visible = True
