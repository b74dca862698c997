"""Result layers of images too large to hold: they read what is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_dinoprompt import layers
from napari_dinoprompt.stacked_levels import blank_levels, levels_in_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Image, Labels, Layer

    from napari_dinoprompt.core.streaming.live import LargeResult
    from napari_dinoprompt.session import ImageState

__all__ = ["blank_large", "show_large_mask", "show_large_similarity"]


def show_large_similarity(
    state: ImageState,
    result: LargeResult,
    name: str,
    insert: Callable[[Layer, Layer], None],
) -> None:
    """Show the similarity map of a class.

    Parameters
    ----------
    state : ImageState
    result : LargeResult
    name : str
        Of an object class; of background the first one's is shown.
    insert : callable
        Puts a new layer above another.
    """
    from napari_dinoprompt.core.streaming.result_store import Page

    number = result.names.index(name) if name in result.names else 0
    pages = [Page(maps, number) for maps in result.store.similarity]
    levels = levels_in_stack(state.image, result.plane, pages)
    if state.similarity is None:
        state.similarity = layers.make_similarity_layer(
            state.image, levels, result.reference.scoring, multiscale=True
        )
        insert(state.similarity, state.image)
    else:
        state.similarity.data = levels


def show_large_mask(
    state: ImageState,
    result: LargeResult,
    masks: Sequence[Any],
    insert: Callable[[Layer, Layer], None],
) -> Labels:
    """Show a mask, or instances.

    Parameters
    ----------
    state : ImageState
    result : LargeResult
    masks : sequence of (h, w) arrays of integers
        Full resolution first.
    insert : callable
        Puts a new layer above another.

    Returns
    -------
    napari.layers.Labels
    """
    levels = levels_in_stack(state.image, result.plane, masks)
    if state.mask is None:
        state.mask = layers.make_mask_layer(state.image, levels, multiscale=True)
        insert(state.mask, state.similarity or state.image)
    else:
        state.mask.data = levels
    return state.mask


def blank_large(image: Image, layer: Image | Labels) -> None:
    """Empty a layer that shows results of a large image."""
    layer.data = blank_levels(image, layer.dtype)
