"""The similarity and mask layers of images: made once, then updated in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt import layers
from napari_dinoprompt._qt.large_layers import (
    blank_large,
    show_large_mask,
    show_large_similarity,
)
from napari_dinoprompt.result_arrays import blank_planes, empty_result, fits, put_plane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_dinoprompt.core.live import LiveResult
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.streaming.live import LargeResult
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
        if gone is state.similarity or gone is state.mask:
            state.forget_finished()
        if gone is state.similarity:
            state.similarity = None
        elif gone is state.mask:
            state.mask = None

    def show_similarity(self, state: ImageState, result: LiveResult, name: str) -> None:
        """Show the similarity map of a class."""
        layer = self._similarity_layer(state, result)
        put_plane(layer, result.plane, result.similarities.of(name))

    def looked_at(self, image: Image) -> NDArray[np.float64]:
        """Return the middle of what the viewer shows, y and x in pixels of an image."""
        dims = self._viewer.dims
        world = np.array(dims.point)
        shown = list(dims.displayed)
        world[shown] = self._viewer.scene.camera.center[-len(shown) :]
        pixels = np.asarray(image.world_to_data(world[-image.ndim :]))
        return pixels[-2:].reshape(1, 2)

    def show_large(self, state: ImageState, result: LargeResult, name: str) -> None:
        """Show the map of a class of a large image, as far as it is known."""
        self._make_room(state, large=True)
        show_large_similarity(state, result, name, self._put_above)

    def show_large_mask(
        self,
        state: ImageState,
        result: LargeResult,
        masks: Sequence[Any],
        colours: Sequence[str] | None,
    ) -> None:
        """Show levels of class numbers in the colours of their classes, or of objects.

        Parameters
        ----------
        state : ImageState
        result : LargeResult
        masks : sequence of (h, w) arrays
            Full resolution first.
        colours : sequence of str or None
            None for object numbers.
        """
        self._make_room(state, large=True)
        layer = show_large_mask(state, result, masks, self._put_above)
        if colours is None:
            layers.colour_instances(layer)
        else:
            layers.colour_classes(layer, colours)

    def _make_room(self, state: ImageState, *, large: bool) -> None:
        """Take away layers that cannot show what is to be shown."""
        for layer in (state.similarity, state.mask):
            if layer is not None and layer.multiscale != large:
                self.drop(state, layer)
                self._viewer.layers.remove(layer)

    def show_mask(
        self,
        state: ImageState,
        plane: PlaneIndex,
        mask: NDArray[np.uint8],
        colours: Sequence[str],
    ) -> None:
        """Show class numbers in the colours of their classes."""
        if state.is_finished(plane):
            return
        layer = self._mask_layer(state)
        layers.colour_classes(layer, colours)
        put_plane(layer, plane, mask)

    def show_instances(
        self, state: ImageState, plane: PlaneIndex, instances: NDArray[np.int32]
    ) -> None:
        """Show object numbers."""
        if state.is_finished(plane):
            return
        layer = self._mask_layer(state)
        layers.colour_instances(layer)
        put_plane(layer, plane, instances)

    def show_finished(
        self,
        state: ImageState,
        plane: PlaneIndex,
        numbers: NDArray[np.integer[Any]],
        colours: Sequence[str] | None,
    ) -> None:
        """Show a plane that was cleaned with all planes of its stack.

        Parameters
        ----------
        state : ImageState
        plane : plane index
        numbers : (H, W) ndarray of integers
            Of classes, or of objects.
        colours : sequence of str or None
            Of the classes; None for objects.
        """
        layer = self._mask_layer(state)
        if colours is None:
            layers.colour_instances(layer)
        else:
            layers.colour_classes(layer, colours)
        put_plane(layer, plane, numbers)
        state.note_finished(plane)

    def drop_stale(self, state: ImageState) -> None:
        """Empty the planes whose results are of earlier prompts or thresholds."""
        stale = state.take_stale()
        for layer in (state.similarity, state.mask):
            if layer is None or not stale or not fits(layer, state.image):
                continue
            if layer.multiscale:
                blank_large(state.image, layer)
            else:
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
        for layer, dtype in (
            (state.similarity, np.float32),
            (state.mask, _mask_dtype(state.image)),
        ):
            if layer is None:
                continue
            if layer.multiscale:
                blank_large(state.image, layer)
            else:
                layer.data = empty_result(state.image, dtype)
        state.forget_shown()

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
        self._make_room(state, large=False)
        if state.similarity is None:
            state.similarity = layers.make_similarity_layer(
                state.image,
                empty_result(state.image, np.float32),
                result.reference.scoring,
            )
            self._put_above(state.similarity, state.image)
        return state.similarity

    def _mask_layer(self, state: ImageState) -> Labels:
        self._make_room(state, large=False)
        if state.mask is None:
            empty = empty_result(state.image, _mask_dtype(state.image))
            state.mask = layers.make_mask_layer(state.image, empty)
            self._put_above(state.mask, state.similarity or state.image)
        return state.mask

    def _put_above(self, layer: Layer, above: Layer) -> None:
        """Put a layer above another without taking the user's tool away."""
        stack = self._viewer.layers
        selected = set(stack.selection)
        stack.insert(stack.index(above) + 1, layer)
        stack.selection = selected


def _mask_dtype(image: Image) -> type[np.integer[Any]]:
    """A stack holds class numbers and object numbers in turn."""
    return np.int32 if layers.stack_shape(image) else np.uint8
