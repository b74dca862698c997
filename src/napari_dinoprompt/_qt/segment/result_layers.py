"""The layers that show results: made once, then updated in place.

Those of the image's own prompts are here, and what they share with those of an applied
reference. Whole planes, stacks and large planes differ in the arrays behind them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt import layers
from napari_dinoprompt.layers.results import blank_planes, empty_result, fits, put_plane

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari.components import LayerList, ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Scoring
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.segmentation.interactive import LiveResult
    from napari_dinoprompt.core.segmentation.similarities import MapKind
    from napari_dinoprompt.session.image_state import ImageState


def layer_for(
    stack: LayerList,
    held: Layer | None,
    image: Image,
    role: str,
    levels: Sequence[Any],
    scoring: Scoring | None,
    below: Iterable[Layer],
) -> Any:
    """Return the layer that is held if it can show a result, or another in its place.

    Parameters
    ----------
    stack : LayerList
    held : napari.layers.Layer or None
        It is removed if it cannot show these levels, or has not the image's shape.
    image : napari.layers.Image
    role : str
        What it is marked with.
    levels : sequence of (h, w) arrays
        Of a plane: one, or several if it is large.
    scoring : {"plain", "centred", "standardised"} or None
        Of a similarity map; None for class or object numbers.
    below : iterable of layers
        It is put above these, without taking the user's tool away.

    Returns
    -------
    napari.layers.Image or Labels
    """
    large = len(levels) > 1
    if held is not None:
        if held.multiscale == large and fits(held, image):
            return held
        stack.remove(held)
    if scoring is None:
        empty = empty_result(image, np.int32, large=large)
        made = layers.make_mask_layer(image, empty, role=role)
    else:
        empty = empty_result(image, np.float32, large=large)
        made = layers.make_similarity_layer(image, empty, scoring, role=role)
    selected = set(stack.selection)
    stack.insert(max(stack.index(one) for one in below) + 1, made)
    stack.selection = selected
    return made


def objects_layer(
    stack: LayerList, state: ImageState, role: str, levels: Sequence[Any]
) -> Any:
    """Return the layer for objects of an image, above its map and mask."""
    image = state.image
    ours = [one for one in (state.similarity, state.mask) if one is not None]
    held = layers.find_owned(stack, image, role)
    return layer_for(stack, held, image, role, levels, None, [image, *ours])


def empty_layer(layer: Layer, image: Image) -> None:
    """Take all results away from a layer, in the shape that its image has now."""
    dtype = np.float32 if layer.dtype.kind == "f" else np.int32
    layer.data = empty_result(image, dtype, large=layer.multiscale)


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
            state.corrected = layers.corrected_layer(self._viewer.layers, state.image)
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
        elif gone is state.corrected:
            state.corrected = layers.corrected_layer(self._viewer.layers, state.image)

    def looked_at(self, image: Image) -> NDArray[np.float64]:
        """Return the middle of what the viewer shows, y and x in pixels of an image."""
        dims = self._viewer.dims
        world = np.array(dims.point)
        shown = list(dims.displayed)
        world[shown] = self._viewer.scene.camera.center[-len(shown) :]
        pixels = np.asarray(image.world_to_data(world[-image.ndim :]))
        return pixels[-2:].reshape(1, 2)

    def show_similarity(
        self, state: ImageState, result: LiveResult, name: str, kind: MapKind
    ) -> None:
        """Show the similarity map of a class, as far as it is known."""
        held, image, stack = state.similarity, state.image, self._viewer.layers
        levels, scoring = result.scores.levels(name, kind), result.reference.scoring
        layer = layer_for(stack, held, image, "similarity", levels, scoring, [image])
        state.similarity = layer
        if layers.note_kind(layer, kind):
            # The other planes of a stack come as they are looked at.
            empty_layer(layer, image)
        put_plane(layer, result.plane, *levels)

    def show_mask(
        self,
        state: ImageState,
        plane: PlaneIndex,
        levels: Sequence[Any],
        colours: Mapping[str, str] | None,
    ) -> None:
        """Show class numbers in the colours of their classes, or (None) objects.

        Levels are those of the plane. One that was finished with its stack stays.
        """
        if not state.is_finished(plane):
            self._put_mask(state, plane, levels, colours)

    def show_finished(
        self,
        state: ImageState,
        plane: PlaneIndex,
        numbers: NDArray[np.integer[Any]],
        colours: Mapping[str, str] | None,
    ) -> None:
        """Show a plane that was cleaned with all of its stack, as `show_mask`."""
        self._put_mask(state, plane, [numbers], colours)
        state.note_finished(plane)

    def _put_mask(
        self,
        state: ImageState,
        plane: PlaneIndex,
        levels: Sequence[Any],
        colours: Mapping[str, str] | None,
    ) -> None:
        held, image, stack = state.mask, state.image, self._viewer.layers
        below = [state.similarity or image]
        layer = layer_for(stack, held, image, "mask", levels, None, below)
        state.mask = layer
        layers.colour_mask(layer, colours)
        put_plane(layer, plane, *levels)

    def drop_stale(self, state: ImageState) -> None:
        """Empty the planes whose results are of earlier prompts or thresholds."""
        stale = state.take_stale()
        # The one plane that layers of a large image hold.
        held = state.result is not None and state.result.plane in state.shown
        for layer in (state.similarity, state.mask):
            if layer is None or not stale or (layer.multiscale and held):
                continue
            if fits(layer, state.image):
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
        for layer in (state.similarity, state.mask):
            if layer is not None:
                empty_layer(layer, state.image)
        state.forget_shown()

    def follow(self, state: ImageState) -> None:
        """Put our layers where their image was moved to."""
        all_of_it = (state.similarity, state.mask, state.prompts)
        ours = [one for one in all_of_it if one is not None and layers.is_ours(one)]
        corrected = [] if state.corrected is None else [state.corrected]
        layers.lay_over(state.image, [*ours, *corrected])
