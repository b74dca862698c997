"""The similarity and mask layers of images: made once, then updated in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt import layers
from napari_dinoprompt.result_arrays import blank_planes, empty_result, fits, put_plane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_dinoprompt.core.live import LiveResult
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.session import ImageState

__all__ = ["ResultLayers"]


class ResultLayers:
    """Shows results in a viewer; layers are known by identity, never by name."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer

    def adopt(self, state: ImageState) -> None:
        """Find result layers that an earlier dock made for an image."""
        if state.similarity is None and state.mask is None:
            state.similarity, state.mask = layers.find_result_layers(
                self._viewer.layers, state.image
            )
            # Whether they are of the prompts as they are now, nobody knows.
            self._empty(state)

    def drop(self, state: ImageState, gone: Layer) -> None:
        """Let go of a layer that the user deleted; the next result makes a new one."""
        if gone is state.similarity:
            state.similarity = None
        elif gone is state.mask:
            state.mask = None

    def show_similarity(self, state: ImageState, result: LiveResult, name: str) -> None:
        """Show the similarity map of a class."""
        layer = self._similarity_layer(state, result)
        put_plane(layer, result.plane, result.similarities.of(name))

    def show_mask(
        self,
        state: ImageState,
        plane: PlaneIndex,
        mask: NDArray[np.uint8],
        colours: Sequence[str],
    ) -> None:
        """Show class numbers in the colours of their classes."""
        layer = self._mask_layer(state)
        layers.colour_classes(layer, colours)
        put_plane(layer, plane, mask)

    def show_instances(
        self, state: ImageState, plane: PlaneIndex, instances: NDArray[np.int32]
    ) -> None:
        """Show object numbers."""
        layer = self._mask_layer(state)
        layers.colour_instances(layer)
        put_plane(layer, plane, instances)

    def keep_only(self, state: ImageState, revision: int) -> None:
        """Empty the planes whose results are of earlier prompts or thresholds."""
        stale = [index for index, held in state.shown.items() if held != revision]
        for index in stale:
            del state.shown[index]
        for layer in (state.similarity, state.mask):
            if layer is not None and stale and fits(layer, state.image):
                blank_planes(layer, stale)

    def reshape(self, state: ImageState) -> None:
        """Start anew where an image now has another shape."""
        if any(
            layer is not None and not fits(layer, state.image)
            for layer in (state.similarity, state.mask)
        ):
            self._empty(state)
            self.follow(state)

    @staticmethod
    def _empty(state: ImageState) -> None:
        if state.similarity is not None:
            state.similarity.data = empty_result(state.image, np.float32)
        if state.mask is not None:
            state.mask.data = empty_result(state.image, _mask_dtype(state.image))
        state.shown.clear()

    def follow(self, state: ImageState) -> None:
        """Put our layers where their image was moved to."""
        ours = [state.similarity, state.mask]
        if state.prompts is not None and layers.is_ours(state.prompts):
            ours.append(state.prompts)
        for layer in ours:
            if layer is not None:
                for name, value in layers.spatial_metadata(state.image).items():
                    setattr(layer, name, value)

    def _similarity_layer(self, state: ImageState, result: LiveResult) -> Image:
        if state.similarity is None:
            state.similarity = layers.make_similarity_layer(
                state.image,
                empty_result(state.image, np.float32),
                result.reference.scoring,
            )
            self._insert(state.similarity, above=state.image)
        return state.similarity

    def _mask_layer(self, state: ImageState) -> Labels:
        if state.mask is None:
            empty = empty_result(state.image, _mask_dtype(state.image))
            state.mask = layers.make_mask_layer(state.image, empty)
            self._insert(state.mask, above=state.similarity or state.image)
        return state.mask

    def _insert(self, layer: Layer, *, above: Layer) -> None:
        """Put a layer above another without taking the user's tool away."""
        stack = self._viewer.layers
        selected = set(stack.selection)
        stack.insert(stack.index(above) + 1, layer)
        stack.selection = selected


def _mask_dtype(image: Image) -> type[np.integer[Any]]:
    """A stack holds class numbers and object numbers in turn."""
    return np.int32 if layers.stack_shape(image) else np.uint8
