"""The layers that show what an applied reference finds: one set for each image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from napari.layers import Image, Labels

from napari_dinoprompt import layers
from napari_dinoprompt.result_arrays import empty_result, fits, put_plane
from napari_dinoprompt.stacked_levels import blank_levels, levels_in_stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import DTypeLike

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
        """Show one plane.

        Parameters
        ----------
        image : napari.layers.Image
        applied : Applied
        colours : sequence of str
            Of the object classes, in their order.
        split : bool
            Show instances rather than the mask.
        """
        for kind in _KINDS:
            layer = self._layer(image, kind, applied, split)
            if kind == "mask":
                layers.colour_classes(cast("Labels", layer), colours)
            if applied.levels is None:
                put_plane(layer, applied.plane, getattr(applied.segmentation, kind))
            else:
                levels = applied.levels[kind]
                layer.data = levels_in_stack(image, applied.plane, levels)

    def begin(self, image: Image) -> None:
        """Take away what an earlier reference found on an image."""
        for layer in self._all_of(image):
            if layer.multiscale:
                layer.data = blank_levels(image, layer.dtype)
            else:
                layer.data = empty_result(image, layer.data.dtype)

    def forget(self, image: Image) -> None:
        """Remove the layers of an image whose pixels are other ones now."""
        for layer in self._all_of(image):
            self._viewer.layers.remove(layer)

    def follow(self, image: Image) -> None:
        """Put the layers where their image was moved to."""
        for layer in self._all_of(image):
            for name, value in layers.spatial_metadata(image).items():
                setattr(layer, name, value)

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

    def _layer(self, image: Image, kind: str, applied: Applied, split: bool) -> Layer:
        found = self._find(image, kind)
        large = applied.levels is not None
        if found is not None and fits(found, image) and found.multiscale == large:
            return found
        if found is not None:
            self._viewer.layers.remove(found)
        options: dict[str, Any] = {
            "name": f"{image.name} {kind} (applied)",
            "metadata": layers.owned(image, f"applied {kind}"),
            "multiscale": large,
            **layers.spatial_metadata(image),
        }
        if kind == "similarity":
            layer: Layer = Image(
                _empty(image, np.float32, large=large),
                colormap="inferno",
                contrast_limits=layers.similarity_contrast(applied.reference.scoring),
                opacity=0.6,
                blending="additive",
                **options,
            )
        else:
            layer = Labels(
                _empty(image, np.int32, large=large),
                opacity=0.5,
                visible=(kind == "instances") == split,
                **options,
            )
        self._insert(layer, image)
        return layer

    def _insert(self, layer: Layer, image: Image) -> None:
        """Put a layer over its image and our earlier ones, and keep the selection."""
        stack = self._viewer.layers
        selected = set(stack.selection)
        above = max(stack.index(one) for one in (image, *self._all_of(image)))
        stack.insert(above + 1, layer)
        stack.selection = selected


def _empty(image: Image, dtype: DTypeLike, *, large: bool) -> Any:
    return blank_levels(image, dtype) if large else empty_result(image, dtype)
