"""The similarity and mask layers of images: made once, then updated in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt import layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Labels, Layer
    from numpy.typing import NDArray

    from napari_dinoprompt.core.live import LiveResult
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

    def drop(self, state: ImageState, gone: Layer) -> None:
        """Let go of a layer that the user deleted; the next result makes a new one."""
        if gone is state.similarity:
            state.similarity = None
        elif gone is state.mask:
            state.mask = None

    def show_similarity(self, state: ImageState, result: LiveResult, name: str) -> None:
        """Show the similarity map of a class."""
        similarity = result.similarities.of(name)
        if state.similarity is None:
            state.similarity = layers.make_similarity_layer(
                state.image, similarity, result.reference.scoring
            )
            self._insert(state.similarity, above=state.image)
        else:
            state.similarity.data = similarity

    def show_mask(
        self, state: ImageState, mask: NDArray[np.uint8], colours: Sequence[str]
    ) -> None:
        """Show class numbers in the colours of their classes."""
        layers.show_mask(self._mask_layer(state), mask, colours)

    def show_instances(self, state: ImageState, instances: NDArray[np.int32]) -> None:
        """Show object numbers."""
        layers.show_instances(self._mask_layer(state), instances)

    def blank(self, state: ImageState) -> None:
        """Empty the result layers while there is no prompt on an object."""
        shape = layers.plane_shape(state.image)
        if state.similarity is not None:
            state.similarity.data = np.zeros(shape, dtype=np.float32)
        if state.mask is not None:
            state.mask.data = np.zeros(shape, dtype=np.uint8)

    def _mask_layer(self, state: ImageState) -> Labels:
        if state.mask is None:
            empty = np.zeros(layers.plane_shape(state.image), dtype=np.uint8)
            state.mask = layers.make_mask_layer(state.image, empty)
            self._insert(state.mask, above=state.similarity or state.image)
        return state.mask

    def _insert(self, layer: Layer, *, above: Layer) -> None:
        """Put a layer above another without taking the user's tool away."""
        stack = self._viewer.layers
        selected = set(stack.selection)
        stack.insert(stack.index(above) + 1, layer)
        stack.selection = selected
