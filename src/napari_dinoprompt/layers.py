"""Between napari's layers and the plain arrays and pixel coordinates of `core`.

Points and images meet in world coordinates, whatever the scale, rotation or shear of
their layers. Results carry the transform of their image. No Qt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Points
from napari.utils.colormaps import DirectLabelColormap, label_colormap

from napari_dinoprompt.core.errors import ReferenceFileError
from napari_dinoprompt.core.lazy_planes import LazyPlane
from napari_dinoprompt.core.prompts import OBJECT, Prompts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari.layers import Layer
    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Scoring
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.reference import Reference

__all__ = [
    "CLASS_COLUMN",
    "can_prompt",
    "can_segment",
    "colour_classes",
    "colour_instances",
    "find_owned",
    "find_prompt_layer",
    "find_result_layers",
    "give_up",
    "is_ours",
    "make_mask_layer",
    "make_prompt_layer",
    "make_similarity_layer",
    "open_plane",
    "own_labels",
    "owned",
    "pixel_points",
    "pixel_size",
    "placed_prompts",
    "plane_in_view",
    "plane_shape",
    "points_from_pixels",
    "prompt_classes",
    "read_plane",
    "recall_reference",
    "recall_thresholds",
    "remember_reference",
    "remember_thresholds",
    "set_prompts",
    "similarity_contrast",
    "spatial_metadata",
    "stack_shape",
]

CLASS_COLUMN = "class"
_OWNER = "napari-dinoprompt"
# Pixels of the image, and of the screen, where the whole of a slide is in view.
_LARGEST_POINT = 30.0
_POINT_ON_SCREEN = (5, 10_000)
# Below 0 nothing resembles the prompts; the same limits for all images, so that maps
# can be compared by eye.
_CONTRAST: Mapping[Scoring, tuple[float, float]] = {
    "plain": (0.0, 1.0),
    "centred": (0.0, 1.0),
    "standardised": (0.0, 1.0),
}


def similarity_contrast(scoring: Scoring) -> tuple[float, float]:
    """Return the contrast limits of similarity maps, the same for all images."""
    return _CONTRAST[scoring]


def can_segment(layer: Layer) -> bool:
    """Tell whether a layer is an image that can be prompted: not one of our own."""
    return (
        isinstance(layer, Image)
        and layer.ndim >= 2
        and layer.metadata.get(_OWNER) is None
    )


def can_prompt(layer: Layer, image: Image) -> bool:
    """Tell whether a Points layer of the user's own can hold an image's prompts."""
    return (
        isinstance(layer, Points)
        and layer.ndim == image.ndim
        and layer.metadata.get(_OWNER) is None
    )


def own_labels(stack: Iterable[Layer]) -> list[Labels]:
    """Return the Labels layers that are the user's own."""
    return [one for one in stack if isinstance(one, Labels) and not is_ours(one)]


def is_ours(layer: Layer) -> bool:
    """Tell whether a layer was made by this plugin."""
    return layer.metadata.get(_OWNER) is not None


def _full_resolution(image: Image) -> Any:
    return image.data[0] if image.multiscale else image.data


def plane_shape(image: Image) -> tuple[int, int]:
    """Return height and width of an image layer in pixels of its full resolution."""
    first = image.ndim - 2
    height, width = _full_resolution(image).shape[first : first + 2]
    return int(height), int(width)


def pixel_size(image: Image) -> tuple[float, float] | None:
    """Return height and width of a pixel in the world; None if nobody has said."""
    height, width = (abs(float(length)) for length in image.scale[-2:])
    return None if height == width == 1 else (height, width)


def stack_shape(image: Image) -> tuple[int, ...]:
    """Return the lengths of the axes before the plane; empty for a 2-D image."""
    return tuple(int(n) for n in _full_resolution(image).shape[: image.ndim - 2])


def plane_in_view(
    image: Image, point: Sequence[float], units: Sequence[Any] | None
) -> PlaneIndex:
    """Return the plane of an image that a viewer shows.

    Parameters
    ----------
    image : napari.layers.Image
    point : sequence of float
        Where the viewer's sliders are, in world coordinates (``viewer.dims.point``).
    units : sequence of pint.Unit or None
        Of these coordinates (``viewer.layers.units``); None if the layers disagree.

    Returns
    -------
    tuple of int
        Empty for a 2-D image; the nearest plane where the sliders lie outside.
    """
    # Layers of fewer dimensions are aligned with the last ones of the world.
    world = np.asarray(point)[-image.ndim :]
    if units is not None:
        world = world * _unit_ratio(units[-image.ndim :], image.units)
    lengths = stack_shape(image)
    # As napari slices: a tilt out of the plane is passed over, halves go to even.
    in_the_stack = np.arange(image.ndim) < len(lengths)
    where = np.asarray(image.world_to_data(np.where(in_the_stack, world, 0.0)))
    nearest = np.rint(where[: len(lengths)])
    return tuple(
        int(np.clip(at, 0, length - 1))
        for at, length in zip(nearest, lengths, strict=True)
    )


def _unit_ratio(given: Sequence[Any], wanted: Sequence[Any]) -> NDArray[np.float64]:
    """Return what to multiply coordinates with, per axis, to change their units.

    Units that cannot be changed into each other, such as pixels and micrometres, are
    taken for the same, as napari does when it draws.
    """
    return np.array(
        [
            (1 * one).to(other).magnitude if one.is_compatible_with(other) else 1.0
            for one, other in zip(given, wanted, strict=True)
        ]
    )


def open_plane(image: Image, index: PlaneIndex = ()) -> LazyPlane:
    """Return one plane of an image layer, unread.

    Parameters
    ----------
    image : napari.layers.Image
    index : tuple of int
        Along the axes before the plane.

    Returns
    -------
    LazyPlane
        Slow to read where the data are lazy, so read it in a worker.
    """
    return LazyPlane(_full_resolution(image), index)


def read_plane(image: Image, index: PlaneIndex = ()) -> NDArray[np.generic]:
    """Read one plane of an image layer; slow for lazy data, so call it in a worker.

    Parameters
    ----------
    image : napari.layers.Image
    index : tuple of int
        Along the axes before the plane.

    Returns
    -------
    (H, W) or (H, W, 3 or 4) ndarray
    """
    return open_plane(image, index).whole()


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


def placed_prompts(points: Points, image: Image) -> Prompts:
    """Express the points of a layer in the pixels of an image, through the world.

    Parameters
    ----------
    points : napari.layers.Points
        With as many dimensions as the image.
    image : napari.layers.Image

    Returns
    -------
    Prompts
        Their planes are the nearest, those that napari shows, and may lie outside
        the stack.
    """
    pixels = pixel_points(points, image)
    planes = np.rint(pixels[:, :-2]).astype(np.int64)
    return Prompts(
        points=pixels[:, -2:],
        classes=prompt_classes(points),
        planes=tuple(tuple(int(i) for i in plane) for plane in planes),
    )


def pixel_points(points: Points, image: Image) -> NDArray[np.float64]:
    """Express the points of a layer in the data coordinates of an image.

    Parameters
    ----------
    points : napari.layers.Points
        With as many dimensions as the image.
    image : napari.layers.Image

    Returns
    -------
    (N, ndim) ndarray of float64
        The last two are y and x in pixels of the full resolution.
    """
    # napari's own conversions take one point at a time, so the affine is read off.
    matrix, shift = _to_world(points)
    image_matrix, image_shift = _to_world(image)
    world = np.asarray(points.data, dtype=np.float64) @ matrix.T + shift
    world = world * _unit_ratio(points.units, image.units)
    pixels = np.linalg.solve(image_matrix, (world - image_shift).T).T
    return np.asarray(pixels).reshape(-1, image.ndim)


def points_from_pixels(
    pixels: NDArray[np.float64], points: Points, image: Image
) -> NDArray[np.float64]:
    """Express data coordinates of an image in those of a Points layer.

    The inverse of `pixel_points`.

    Parameters
    ----------
    pixels : (N, ndim) ndarray of float64
        The last two are y and x.
    points : napari.layers.Points
    image : napari.layers.Image

    Returns
    -------
    (N, ndim) ndarray of float64
    """
    image_matrix, image_shift = _to_world(image)
    matrix, shift = _to_world(points)
    world = pixels @ image_matrix.T + image_shift
    world = world * _unit_ratio(image.units, points.units)
    where = np.linalg.solve(matrix, (world - shift).T).T
    return np.asarray(where).reshape(-1, image.ndim)


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
        ndim=image.ndim,
        name=f"{image.name} prompts",
        features={CLASS_COLUMN: np.empty(0, dtype=object)},
        feature_defaults={CLASS_COLUMN: current},
        face_color=CLASS_COLUMN,
        face_color_cycle=dict(colours),
        border_color="white",
        border_width=0.15,
        # Of a slide of thousands of pixels a sixtieth would cover what it marks.
        size=float(np.clip(min(plane_shape(image)) / 60, 2, _LARGEST_POINT)),
        canvas_size_limits=_POINT_ON_SCREEN,
        metadata=owned(image, "prompts"),
        **spatial_metadata(image),
    )


def remember_thresholds(
    points: Points | None, backbone: str, thresholds: Mapping[str, float]
) -> None:
    """Keep the thresholds that the user set with our prompt layer, for a later dock."""
    if points is not None and is_ours(points):
        points.metadata[_OWNER]["thresholds"] = (backbone, dict(thresholds))


def recall_thresholds(points: Points | None, backbone: str) -> dict[str, float]:
    """Return the thresholds that were kept with a prompt layer for this backbone."""
    if points is None or not is_ours(points):
        return {}
    kept_for, kept = points.metadata[_OWNER].get("thresholds", ("", {}))
    return dict(kept) if kept_for == backbone else {}


def give_up(layer: Layer) -> None:
    """Leave a layer of ours to the user, with all that is on it."""
    layer.metadata.pop(_OWNER, None)


def remember_reference(
    points: Points | None,
    where: NDArray[np.float64],
    classes: Sequence[str],
    reference: Reference,
) -> None:
    """Keep the reference of the prompts with our layer, for the writer.

    Parameters
    ----------
    points : napari.layers.Points or None
        A layer of the user's own is left as it is.
    where : (N, ndim) ndarray of float64
        The data of the layer that the reference was made of.
    classes : sequence of N str
    reference : Reference
    """
    if points is not None and is_ours(points):
        points.metadata[_OWNER]["reference"] = (where, tuple(classes), reference)


def recall_reference(
    metadata: Mapping[str, Any], data: ArrayLike, classes: Sequence[str]
) -> Reference | None:
    """Return the reference that was kept with a prompt layer.

    Parameters
    ----------
    metadata : mapping
        Of the layer.
    data : (N, ndim) array_like
    classes : sequence of N str
        Of the points as they are now.

    Returns
    -------
    Reference or None
        None if the points have changed since, or nothing was found with them yet.

    Raises
    ------
    ReferenceFileError
        If it is no prompt layer of ours. (No ValueError: napari takes those of writers
        for its own.)
    """
    mark = _mark(metadata)
    if mark.get("role") != "prompts":
        msg = (
            "Only the prompts layer of the dock Prompt segmentation can be saved as a "
            "reference. Save other points as .csv."
        )
        raise ReferenceFileError(msg)
    kept = mark.get("reference")
    if not isinstance(kept, tuple) or len(kept) != 3:
        return None
    where, names, reference = kept
    same = np.array_equal(where, np.asarray(data)) and tuple(classes) == names
    return reference if same else None


def _mark(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what we noted in a layer's metadata, which others may write as well."""
    mark = metadata.get(_OWNER)
    return mark if isinstance(mark, dict) else {}


def owned(image: Image, role: str) -> dict[str, Any]:
    """Mark a layer as ours: what it is, and whose."""
    return {_OWNER: {"role": role, "image": str(image.unique_id)}}


def find_owned(stack: Iterable[Layer], image: Image, role: str) -> Layer | None:
    """Find the layer that was made for an image and marked with a role."""
    wanted = owned(image, role)[_OWNER]
    for layer in stack:
        mark = _mark(layer.metadata)
        if all(mark.get(key) == value for key, value in wanted.items()):
            return layer
    return None


def find_prompt_layer(stack: Iterable[Layer], image: Image) -> Points | None:
    """Find the prompt layer that was made for an image, as by an earlier dock."""
    found = find_owned(stack, image, "prompts")
    return found if isinstance(found, Points) else None


def find_result_layers(
    stack: Iterable[Layer], image: Image
) -> tuple[Image | None, Labels | None]:
    """Find the similarity and mask layers that were made for an image."""
    similarity = find_owned(stack, image, "similarity")
    mask = find_owned(stack, image, "mask")
    return (
        similarity if isinstance(similarity, Image) else None,
        mask if isinstance(mask, Labels) else None,
    )


def prompt_classes(points: Points) -> tuple[str, ...]:
    """Return the class of each point; points without a class are objects."""
    if CLASS_COLUMN not in points.features:
        return (OBJECT,) * len(points.data)
    column = points.features[CLASS_COLUMN]
    return tuple(
        OBJECT if missing else " ".join(str(name).split()) or OBJECT
        for name, missing in zip(column, column.isna(), strict=True)
    )


def set_prompts(points: Points, where: ArrayLike, classes: Sequence[str]) -> None:
    """Replace all points of a prompt layer.

    Parameters
    ----------
    points : napari.layers.Points
    where : (N, ndim) array_like
        In the layer's own coordinates.
    classes : sequence of N str
    """
    # napari takes the class of the next click from the last of these, or from none.
    following = points.feature_defaults.copy()
    points.selected_data = set()
    points.data = np.asarray(where, dtype=np.float64).reshape(-1, points.ndim)
    points.features = {CLASS_COLUMN: np.array(classes, dtype=object)}
    points.feature_defaults = following


def make_similarity_layer(
    image: Image, similarity: Any, scoring: Scoring, *, multiscale: bool = False
) -> Image:
    """Make the layer that shows a similarity map over its image.

    Parameters
    ----------
    image : napari.layers.Image
    similarity : (..., H, W) array_like of float32, or a sequence of levels
    scoring : {"plain", "centred", "standardised"}
    multiscale : bool
        Whether it is levels, full resolution first.

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
        metadata=owned(image, "similarity"),
        multiscale=multiscale,
        **spatial_metadata(image),
    )


def make_mask_layer(image: Image, mask: Any, *, multiscale: bool = False) -> Labels:
    """Make the layer that shows a mask or instances over its image.

    Parameters
    ----------
    image : napari.layers.Image
    mask : (..., H, W) array_like of integers, or a sequence of levels
    multiscale : bool
        Whether it is levels, full resolution first.

    Returns
    -------
    napari.layers.Labels
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
