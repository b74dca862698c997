"""The layers that show what an applied reference finds: one set for each image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_dinoprompt import layers
from napari_dinoprompt._qt.result_layers import empty_layer, layer_for, move_over
from napari_dinoprompt.result_arrays import put_plane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_dinoprompt._qt.work_steps import Applied

__all__ = ["AppliedLayers"]

_KINDS = ("similarity", "mask", "instances")


class AppliedLayers:
    """Makes the layers once for each image, then updates them in place.

    They are known by a mark, never by their names, and are not those of the image's
    own prompts.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer

    def show(
        self, image: Image, applied: Applied, colours: Sequence[str], split: bool
    ) -> None:
        """Show one plane; of new layers the instances (split), or else the mask."""
        for kind, levels in applied.levels.items():
            held, role = self._find(image, kind), f"applied {kind}"
            scoring = applied.reference.scoring if kind == "similarity" else None
            stack, below = self._viewer.layers, [image, *self._all_of(image)]
            layer = layer_for(stack, held, image, role, levels, scoring, below)
            if layer is not held and kind != "similarity":
                layer.visible = (kind == "instances") == split
            if kind == "mask":
                layers.colour_classes(layer, colours)
            put_plane(layer, applied.plane, *levels)

    def begin(self, image: Image) -> None:
        """Take away what an earlier reference found on an image."""
        for layer in self._all_of(image):
            empty_layer(layer, image)

    def forget(self, image: Image) -> None:
        """Remove the layers of an image whose pixels are other ones now."""
        for layer in self._all_of(image):
            self._viewer.layers.remove(layer)

    def follow(self, image: Image) -> None:
        """Put the layers where their image was moved to."""
        move_over(image, self._all_of(image))

    def link(self, images: Sequence[Image]) -> None:
        """Give all similarity maps the same contrast limits, now and later."""
        maps = [
            layer
            for image in images
            for role in ("similarity", "applied similarity")
            if (layer := layers.find_owned(self._viewer.layers, image, role))
        ]
        if len(maps) > 1:
            self._viewer.layers.link_layers(maps, ("contrast_limits",))

    def _all_of(self, image: Image) -> list[Any]:
        found = (self._find(image, kind) for kind in _KINDS)
        return [layer for layer in found if layer is not None]

    def _find(self, image: Image, kind: str) -> Layer | None:
        return layers.find_owned(self._viewer.layers, image, f"applied {kind}")
