"""The layers that show results; they carry the transform of their image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap, label_colormap

from napari_dinoprompt.layers.ownership import owned
from napari_dinoprompt.layers.planes import spatial_metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

SIMILARITY_CONTRAST = (0.0, 1.0)
"""Of similarity maps: below 0 nothing resembles the prompts. The same for all images,
so that maps can be compared by eye."""


def make_similarity_layer(
    image: Image, similarity: Any, *, multiscale: bool = False
) -> Image:
    """Make the layer that shows a similarity map over its image.

    (..., H, W) float32, or if `multiscale` a sequence of levels, full resolution first.
    """
    return Image(
        similarity,
        name=f"{image.name} similarity",
        colormap="inferno",
        contrast_limits=SIMILARITY_CONTRAST,
        opacity=0.6,
        blending="additive",
        metadata=owned(image, "similarity"),
        multiscale=multiscale,
        **spatial_metadata(image),
    )


def make_mask_layer(image: Image, mask: Any, *, multiscale: bool = False) -> Labels:
    """Make the layer that shows a mask or instances over its image.

    (..., H, W) integers, or if `multiscale` a sequence of levels, full resolution
    first.
    """
    return Labels(
        mask,
        name=f"{image.name} mask",
        opacity=0.5,
        metadata=owned(image, "mask"),
        multiscale=multiscale,
        **spatial_metadata(image),
    )


def colour_classes(layer: Labels, colours: Sequence[str]) -> None:
    """Colour a mask by class; the colours are those of classes 1 to K."""
    wanted: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    wanted.update(enumerate(colours, start=1))
    colormap = DirectLabelColormap(color_dict=wanted)
    current = layer.colormap
    if not (
        isinstance(current, DirectLabelColormap) and _same_colours(current, colormap)
    ):
        layer.colormap = colormap


def _same_colours(one: DirectLabelColormap, other: DirectLabelColormap) -> bool:
    mine, theirs = one.color_dict, other.color_dict
    return mine.keys() == theirs.keys() and all(
        np.array_equal(colour, theirs[label]) for label, colour in mine.items()
    )


def colour_instances(layer: Labels) -> None:
    """Give each object of a layer a colour of its own."""
    if isinstance(layer.colormap, DirectLabelColormap):
        layer.colormap = label_colormap(49, seed=0.5)
