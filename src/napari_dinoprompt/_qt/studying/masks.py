"""The masks of several resolutions side by side, in a grid with one camera."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_dinoprompt import layers
from napari_dinoprompt.result_arrays import empty_result, put_plane

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.studying.resolution import Resolution

__all__ = ["StudyMasks"]

_MASK, _COPY = "study mask", "study image"
_COLOUR = "#2a9d8f"
_MOST_IN_A_ROW = 2


class StudyMasks:
    """Makes, arranges and removes the layers of one study of resolutions.

    The user's layers are hidden meanwhile and shown again afterwards; nothing else of
    them changes.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._made: list[Layer] = []
        self._hidden: list[Layer] = []

    @property
    def shown(self) -> bool:
        """Whether masks are side by side."""
        return bool(self._made)

    def show(self, image: Image, plane: PlaneIndex, found: Resolution) -> None:
        """Put the image into one cell of a grid for each mask."""
        self.hide()
        stack = self._viewer.layers
        self._hidden = [layer for layer in stack if layer.visible]
        for layer in self._hidden:
            layer.visible = False
        selected, active = set(stack.selection), stack.selection.active
        cells = [
            (_copy(image, one.name), _mask(image, plane, one.name, one.mask))
            for one in found.trials
        ]
        self._made = [layer for cell in cells for layer in cell]
        # The grid takes layers in the order of the list, so many for each cell.
        for place, layer in enumerate(self._made):
            stack.insert(place, layer)
        stack.selection = selected
        stack.selection.active = active
        grid = self._viewer.canvas.grid
        grid.stride = 2
        few = len(cells) <= _MOST_IN_A_ROW
        grid.shape = (1, len(cells)) if few else (-1, -1)
        grid.enabled = True
        self._viewer.reset_view()

    def hide(self) -> None:
        """Show the layers as they were before."""
        if not self._made:
            return
        made, self._made = self._made, []
        hidden, self._hidden = self._hidden, []
        self._viewer.canvas.grid.enabled = False
        for layer in made:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        for layer in hidden:
            layer.visible = True

    def follow(self, image: Image) -> None:
        """Put the layers where their image was moved to."""
        for layer in self._made:
            for role in (_MASK, _COPY):
                if layers.find_owned((layer,), image, role) is not None:
                    for name, value in layers.spatial_metadata(image).items():
                        setattr(layer, name, value)


def _copy(image: Image, name: str) -> Image:
    """Show an image once more; the pixels are shared."""
    options: dict[str, Any] = {}
    if not image.rgb:
        options = {"colormap": image.colormap, "contrast_limits": image.contrast_limits}
    return Image(
        image.data,
        name=f"{image.name}, {name}",
        rgb=image.rgb,
        multiscale=image.multiscale,
        metadata=layers.owned(image, _COPY),
        **layers.spatial_metadata(image),
        **options,
    )


def _mask(image: Image, plane: PlaneIndex, name: str, mask: Any) -> Labels:
    colours = {None: "transparent", 0: "transparent", 1: _COLOUR}
    layer = Labels(
        empty_result(image, np.uint8),
        name=f"{name} mask",
        opacity=0.6,
        colormap=DirectLabelColormap(color_dict=colours),
        metadata=layers.owned(image, _MASK),
        **layers.spatial_metadata(image),
    )
    put_plane(layer, plane, mask.astype(np.uint8))
    # Which one it is, in its corner.
    layer.name_overlay.visible = True
    return layer
