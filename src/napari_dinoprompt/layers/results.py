"""The layers that show results; they carry the transform of their image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap, label_colormap

from napari_dinoprompt.layers.ownership import owned
from napari_dinoprompt.layers.planes import spatial_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_dinoprompt.core.backbones.base import Scoring

__all__ = [
    "colour_classes",
    "colour_instances",
    "colour_numbers",
    "make_mask_layer",
    "make_similarity_layer",
]

_APPLIED = "applied "
# Below 0 nothing resembles the prompts; the same limits for all images, so that maps
# can be compared by eye.
_CONTRAST: Mapping[Scoring, tuple[float, float]] = {
    "plain": (0.0, 1.0),
    "centred": (0.0, 1.0),
    "standardised": (0.0, 1.0),
}


def make_similarity_layer(
    image: Image, similarity: Any, scoring: Scoring, *, role: str = "similarity"
) -> Image:
    """Make the layer that shows a similarity map over its image.

    Parameters
    ----------
    image : napari.layers.Image
    similarity : (..., H, W) array_like of float32, or a list of levels
        Of levels, full resolution first.
    scoring : {"plain", "centred", "standardised"}
    role : str
        What it is marked with.

    Returns
    -------
    napari.layers.Image
    """
    return Image(
        similarity,
        colormap="inferno",
        contrast_limits=_CONTRAST[scoring],
        opacity=0.6,
        blending="additive",
        **_over(image, similarity, role),
    )


def make_mask_layer(image: Image, mask: Any, *, role: str = "mask") -> Labels:
    """Make the layer that shows a mask or instances over its image.

    Parameters
    ----------
    image : napari.layers.Image
    mask : (..., H, W) array_like of integers, or a list of levels
        Of levels, full resolution first.
    role : str
        What it is marked with.

    Returns
    -------
    napari.layers.Labels
    """
    return Labels(mask, opacity=0.5, **_over(image, mask, role))


def _over(image: Image, data: Any, role: str) -> dict[str, Any]:
    kind = role.removeprefix(_APPLIED)
    return {
        "name": f"{image.name} {kind}{' (applied)' if kind != role else ''}",
        "metadata": owned(image, role),
        "multiscale": isinstance(data, list),
        **spatial_metadata(image),
    }


def colour_numbers(layer: Labels, colours: Sequence[str] | None) -> None:
    """Colour a mask by class; without colours, give each object one of its own."""
    if colours is None:
        colour_instances(layer)
    else:
        colour_classes(layer, colours)


def colour_classes(layer: Labels, colours: Sequence[str]) -> None:
    """Colour a mask by class.

    Parameters
    ----------
    layer : napari.layers.Labels
    colours : sequence of K str
        Of classes 1 to K.
    """
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
