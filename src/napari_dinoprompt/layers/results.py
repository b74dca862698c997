"""The layers that show results, and the arrays behind them.

The arrays behind result layers. A 2-D image has one array, a stack one that fills plane
by plane, and a large image levels of a pyramid, of which nothing is ever whole in
memory: napari asks for the part that it draws.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap, ensure_colormap, label_colormap

from napari_dinoprompt.core.images.lazy_plane import LazyArray, full_key, level_shapes
from napari_dinoprompt.core.progress import Progress

from .ownership import APPLIED, OWNER, owned
from .planes import full_shape, plane_shape, spatial_metadata, stack_shape

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from napari.layers import Layer
    from numpy.typing import DTypeLike, NDArray

    from napari_dinoprompt.core.backbones.base import Scoring
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.segmentation.similarities import MapKind


_STRIP = 512
_PLAIN = " (plain)"
# From here on the colours of a map, added to the image's, come out white. Of 112 real
# images those of fluorescence lie below 0.26, all others above 0.44.
_BRIGHT = 0.35
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

    On a bright image it is there, but not shown.

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
        visible=not _is_bright(image),
        colormap="inferno",
        contrast_limits=_CONTRAST[scoring],
        opacity=0.6,
        blending="additive",
        **_over(image, similarity, role),
    )


def make_mask_layer(image: Image, mask: Any, *, role: str = "mask") -> Labels:
    """Make the layer that shows a mask or instances over its image.

    On a bright image it is drawn as contours, which leave the objects to be seen.

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
    bright = _is_bright(image)
    layer = Labels(mask, opacity=1.0 if bright else 0.5, **_over(image, mask, role))
    if bright:
        # Seen on the whole image, and no wider than a small object bears.
        layer.contour = min(3, 1 + max(plane_shape(image)) // 500)
    return layer


def _is_bright(image: Image) -> bool:
    """Tell whether most of an image is bright as it is shown now, in any channel."""
    shown = np.asarray(image.thumbnail)
    drawn = shown[..., 3] > 0
    lit = shown[..., :3].max(axis=-1)[drawn]
    return bool(lit.size) and float(np.median(lit)) > 255 * _BRIGHT


def note_kind(layer: Image, kind: MapKind) -> bool:
    """Say on a map which kind it is; tell whether it was of the other kind before."""
    mark = layer.metadata[OWNER]
    before, mark["map"] = mark.get("map", "fitted"), kind
    layer.name = layer.name.removesuffix(_PLAIN) + (_PLAIN if kind == "plain" else "")
    return bool(before != kind)


def _over(image: Image, data: Any, role: str) -> dict[str, Any]:
    kind = role.removeprefix(APPLIED)
    return {
        "name": f"{image.name} {kind}{' (applied)' if kind != role else ''}",
        "metadata": owned(image, role),
        "multiscale": isinstance(data, list),
        **spatial_metadata(image),
    }


def colour_mask(layer: Labels, colours: Mapping[str, str] | None) -> None:
    """Colour a mask by class; without colours, give each object one of its own.

    Classes are noted in the order of their numbers.

    Parameters
    ----------
    layer : napari.layers.Labels
    colours : mapping of str to str, or None
        By class, in the order of the class numbers.
    """
    layer.metadata[OWNER]["classes"] = None if colours is None else tuple(colours)
    current = layer.colormap
    if colours is None:
        if isinstance(current, DirectLabelColormap):
            layer.colormap = label_colormap(49, seed=0.5)
        return
    wanted: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    wanted.update(enumerate(colours.values(), start=1))
    colormap = DirectLabelColormap(color_dict=wanted)
    if not (
        isinstance(current, DirectLabelColormap) and _same_colours(current, colormap)
    ):
        layer.colormap = colormap


def _same_colours(one: DirectLabelColormap, other: DirectLabelColormap) -> bool:
    mine, theirs = one.color_dict, other.color_dict
    return mine.keys() == theirs.keys() and all(
        np.array_equal(colour, theirs[label]) for label, colour in mine.items()
    )


def score_colours(
    labels: NDArray[np.integer[Any]], scores: NDArray[np.float64]
) -> DirectLabelColormap:
    """Give each object the colour of its score, the higher the brighter."""
    least, most = (scores.min(), scores.max()) if len(scores) else (0.0, 1.0)
    # Not the darkest, which would not be seen.
    height = 0.3 + 0.7 * (scores - least) / max(most - least, 1e-9)
    shown: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    shown.update(
        zip(labels.tolist(), ensure_colormap("inferno").map(height), strict=True)
    )
    return DirectLabelColormap(color_dict=shown)


def empty_result(image: Image, dtype: DTypeLike, *, large: bool = False) -> Any:
    """Make zeros for the results of an image; of a large one, a list of levels.

    Returns
    -------
    (H, W) ndarray, (..., H, W) zarr.Array, or list of (..., h, w) ndarray
        Of a stack only the planes that are written take memory, and of levels nothing.
    """
    plane, stack = plane_shape(image), stack_shape(image)
    if large:
        return [_zeros((*stack, *level), dtype) for level in level_shapes(plane)]
    if not stack:
        return np.zeros(plane, dtype=dtype)
    return zarr.create_array(
        store=zarr.storage.MemoryStore(),
        shape=stack + plane,
        chunks=(1,) * len(stack) + plane,
        dtype=np.dtype(dtype),
        fill_value=0,
        compressors=None,
    )


def fits(layer: Layer, image: Image) -> bool:
    """Tell whether a result layer still has the shape of its image."""
    return tuple(layer.data.shape) == full_shape(image)


def put_plane(layer: Layer, index: PlaneIndex, *levels: Any) -> None:
    """Show a result plane in its layer, which holds what `empty_result` makes.

    Parameters
    ----------
    layer : napari.layers.Image or Labels
    index : tuple of int
        Where in the stack; empty for a 2-D image.
    *levels : (h, w) arrays
        The plane; of a large one all levels, full resolution first.
    """
    if layer.multiscale:
        stack = tuple(layer.data.shape[:-2])
        layer.data = [_in_stack(stack, index, one) for one in levels]
    elif index:
        layer.data[index] = levels[0]
        layer.refresh()
    elif isinstance(layer, Labels):
        # A copy: what the user paints is not to be in what was found.
        layer.data = np.array(levels[0])
    else:
        layer.data = levels[0]


def iter_plane(
    layer: Labels, index: PlaneIndex
) -> Generator[Progress, None, NDArray[np.integer[Any]]]:
    """Read a plane of a large result, strip by strip."""
    full = layer.data[0]
    plane = np.empty(full.shape[-2:], full.dtype)
    for y in range(0, len(plane), _STRIP):
        yield Progress(y, len(plane))
        rows = slice(y, min(y + _STRIP, len(plane)))
        plane[rows] = full[(*index, rows, slice(None))]
    return plane


def blank_planes(layer: Layer, indices: Iterable[PlaneIndex]) -> None:
    """Empty planes of a result layer; of a large image it holds only one."""
    if layer.multiscale:
        layer.data = [_zeros(one.shape, one.dtype) for one in layer.data]
        return
    for index in indices:
        if index:
            layer.data[index] = 0
        else:
            layer.data = np.zeros_like(layer.data)
    layer.refresh()


def _zeros(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    return np.broadcast_to(np.zeros((), dtype), shape)


def _in_stack(stack: tuple[int, ...], index: PlaneIndex, plane: Any) -> LazyArray:
    """Put a plane in its place in a stack that holds zeros otherwise."""
    shape, dtype = (*stack, *plane.shape), np.dtype(plane.dtype)
    return LazyArray(shape, dtype, partial(_read_in_stack, stack, index, plane))


def _read_in_stack(
    stack: tuple[int, ...], index: PlaneIndex, plane: Any, key: tuple[Any, ...]
) -> NDArray[Any]:
    key = full_key(key, len(stack) + 2)
    before, part = key[: len(stack)], key[len(stack) :]
    there = np.zeros(stack, dtype=bool)
    there[index] = True
    places = np.asarray(there[before])
    shape = np.broadcast_to(0, plane.shape)[part].shape
    found = np.zeros(places.shape + shape, dtype=plane.dtype)
    if places.any():
        found[places] = plane[part]
    return found
