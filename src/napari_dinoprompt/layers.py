"""Between napari's layers and the plain arrays and pixel coordinates of `core`.

Points and images meet in world coordinates, whatever the scale, rotation or shear of
their layers. Results carry the transform of their image. No Qt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Points
from napari.utils.colormaps import DirectLabelColormap, label_colormap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari.layers import Layer
    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Scoring

__all__ = [
    "CLASS_COLUMN",
    "can_segment",
    "find_prompt_layer",
    "find_result_layers",
    "make_mask_layer",
    "make_prompt_layer",
    "make_similarity_layer",
    "pixel_points",
    "plane_shape",
    "points_from_pixels",
    "prompt_classes",
    "read_plane",
    "set_prompts",
    "show_instances",
    "show_mask",
    "spatial_metadata",
]

CLASS_COLUMN = "class"
_OWNER = "napari-dinoprompt"
# Below 0 nothing resembles the prompts; the same limits for all images, so that maps
# can be compared by eye.
_CONTRAST: Mapping[Scoring, tuple[float, float]] = {
    "plain": (0.0, 1.0),
    "centred": (0.0, 1.0),
    "standardised": (0.0, 1.0),
}


def can_segment(layer: Layer) -> bool:
    """Tell whether a layer is an image that can be prompted: 2-D and not our own."""
    return (
        isinstance(layer, Image)
        and layer.ndim == 2
        and layer.metadata.get(_OWNER) is None
    )


def _full_resolution(image: Image) -> Any:
    return image.data[0] if image.multiscale else image.data


def plane_shape(image: Image) -> tuple[int, int]:
    """Return height and width of an image layer in pixels of its full resolution."""
    height, width = _full_resolution(image).shape[:2]
    return int(height), int(width)


def read_plane(image: Image) -> NDArray[np.generic]:
    """Read the pixels of an image layer; slow for lazy data, so call it in a worker.

    Parameters
    ----------
    image : napari.layers.Image

    Returns
    -------
    (H, W) or (H, W, 3 or 4) ndarray
    """
    return np.asarray(_full_resolution(image))


def spatial_metadata(layer: Layer) -> dict[str, Any]:
    """Return what places a new layer exactly over the pixels of another."""
    return {
        "scale": layer.scale,
        "translate": layer.translate,
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine,
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }


def pixel_points(points: Points, image: Image) -> NDArray[np.float64]:
    """Express the points of a layer in the pixels of an image, through the world.

    Parameters
    ----------
    points : napari.layers.Points
        With as many dimensions as the image.
    image : napari.layers.Image

    Returns
    -------
    (N, 2) ndarray of float64
        y and x.
    """
    # napari's own conversions take one point at a time, so the affine is read off.
    matrix, shift = _to_world(points)
    image_matrix, image_shift = _to_world(image)
    world = np.asarray(points.data, dtype=np.float64) @ matrix.T + shift
    pixels = np.linalg.solve(image_matrix, (world - image_shift).T).T
    return np.asarray(pixels).reshape(-1, 2)


def points_from_pixels(
    pixels: NDArray[np.float64], points: Points, image: Image
) -> NDArray[np.float64]:
    """Express pixels of an image in the coordinates of a Points layer.

    The inverse of `pixel_points`.

    Parameters
    ----------
    pixels : (N, 2) ndarray of float64
        y and x.
    points : napari.layers.Points
    image : napari.layers.Image

    Returns
    -------
    (N, 2) ndarray of float64
    """
    image_matrix, image_shift = _to_world(image)
    matrix, shift = _to_world(points)
    world = pixels @ image_matrix.T + image_shift
    return np.asarray(np.linalg.solve(matrix, (world - shift).T).T).reshape(-1, 2)


def _to_world(layer: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    origin = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    columns = [
        np.asarray(layer.data_to_world(unit)) - origin for unit in np.eye(layer.ndim)
    ]
    return np.stack(columns, axis=1), origin


def make_prompt_layer(image: Image, colours: Mapping[str, str], current: str) -> Points:
    """Make the empty Points layer for an image's prompts.

    Parameters
    ----------
    image : napari.layers.Image
    colours : mapping of str to str
        Colour of each class.
    current : str
        Class of the next click.

    Returns
    -------
    napari.layers.Points
        With a feature column ``class``, so that napari saves it as a prompt file.
    """
    return Points(
        ndim=2,
        name=f"{image.name} prompts",
        features={CLASS_COLUMN: np.empty(0, dtype=object)},
        feature_defaults={CLASS_COLUMN: current},
        face_color=CLASS_COLUMN,
        face_color_cycle=dict(colours),
        border_color="white",
        border_width=0.15,
        size=max(2.0, min(plane_shape(image)) / 60),
        metadata=_owned(image, "prompts"),
        **spatial_metadata(image),
    )


def _owned(image: Image, role: str) -> dict[str, Any]:
    """Mark a layer as ours: what it is, and whose."""
    return {_OWNER: {"role": role, "image": str(image.unique_id)}}


def _find(stack: Iterable[Layer], image: Image, role: str) -> Layer | None:
    mark = _owned(image, role)[_OWNER]
    found = (layer for layer in stack if layer.metadata.get(_OWNER) == mark)
    return next(found, None)


def find_prompt_layer(stack: Iterable[Layer], image: Image) -> Points | None:
    """Find the prompt layer that was made for an image, as by an earlier dock."""
    found = _find(stack, image, "prompts")
    return found if isinstance(found, Points) else None


def find_result_layers(
    stack: Iterable[Layer], image: Image
) -> tuple[Image | None, Labels | None]:
    """Find the similarity and mask layers that were made for an image."""
    similarity = _find(stack, image, "similarity")
    mask = _find(stack, image, "mask")
    return (
        similarity if isinstance(similarity, Image) else None,
        mask if isinstance(mask, Labels) else None,
    )


def prompt_classes(points: Points) -> tuple[str, ...]:
    """Return the class of each point."""
    return tuple(str(name) for name in points.features[CLASS_COLUMN])


def set_prompts(points: Points, where: ArrayLike, classes: Sequence[str]) -> None:
    """Replace all points of a prompt layer.

    Parameters
    ----------
    points : napari.layers.Points
    where : (N, 2) array_like
        In the layer's own coordinates.
    classes : sequence of N str
    """
    points.selected_data = set()
    points.data = np.asarray(where, dtype=np.float64).reshape(-1, 2)
    points.features = {CLASS_COLUMN: np.array(classes, dtype=object)}


def make_similarity_layer(
    image: Image, similarity: NDArray[np.float32], scoring: Scoring
) -> Image:
    """Make the layer that shows a similarity map over its image.

    Parameters
    ----------
    image : napari.layers.Image
    similarity : (H, W) ndarray of float32
    scoring : {"plain", "centred", "standardised"}

    Returns
    -------
    napari.layers.Image
    """
    return Image(
        similarity,
        name=f"{image.name} similarity",
        colormap="inferno",
        contrast_limits=_CONTRAST[scoring],
        opacity=0.6,
        blending="additive",
        metadata=_owned(image, "similarity"),
        **spatial_metadata(image),
    )


def make_mask_layer(image: Image, mask: NDArray[np.integer]) -> Labels:
    """Make the layer that shows a mask or instances over its image.

    Parameters
    ----------
    image : napari.layers.Image
    mask : (H, W) ndarray of integers

    Returns
    -------
    napari.layers.Labels
    """
    return Labels(
        mask,
        name=f"{image.name} mask",
        opacity=0.5,
        metadata=_owned(image, "mask"),
        **spatial_metadata(image),
    )


def show_mask(layer: Labels, mask: NDArray[np.uint8], colours: Sequence[str]) -> None:
    """Show class numbers in the colours of their classes.

    Parameters
    ----------
    layer : napari.layers.Labels
    mask : (H, W) ndarray of uint8
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
    layer.data = mask


def _same_colours(one: DirectLabelColormap, other: DirectLabelColormap) -> bool:
    mine, theirs = one.color_dict, other.color_dict
    return mine.keys() == theirs.keys() and all(
        np.array_equal(colour, theirs[label]) for label, colour in mine.items()
    )


def show_instances(layer: Labels, instances: NDArray[np.int32]) -> None:
    """Show object numbers, each in a colour of its own.

    Parameters
    ----------
    layer : napari.layers.Labels
    instances : (H, W) ndarray of int32
    """
    if isinstance(layer.colormap, DirectLabelColormap):
        layer.colormap = label_colormap(49, seed=0.5)
    layer.data = instances
