"""Prompts in a Points layer: as pixels of an image, and what the layer remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Points

from napari_dinoprompt.core.errors import ReferenceFileError
from napari_dinoprompt.core.prompts import OBJECT, Prompts

from .ownership import OWNER, is_ours, noted_in, owned
from .planes import plane_shape, spatial_metadata, unit_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Image, Layer
    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.references.reference import Reference


CLASS_COLUMN = "class"
# Pixels of the image, and of the screen, where the whole of a slide is in view.
_LARGEST_POINT = 30.0
_POINT_ON_SCREEN = (5, 10_000)


def describe_own_points(points: Points, image: Image) -> str:
    """Say so if points from a file may lie elsewhere than on the image they are of."""
    pairs = zip(to_world(points), to_world(image), strict=True)
    if not points.source.path or all(np.allclose(*pair) for pair in pairs):
        return ""
    return (
        f"{points.name} and {image.name} differ in scale or place, and napari saves "
        "points without theirs. If they do not lie where they should, copy the "
        "image's to them (right-click on the layer, Copy scale and transforms)."
    )


def placed_prompts(points: Points, image: Image) -> Prompts:
    """Express the points of a layer in the pixels of an image, through the world.

    Both have as many dimensions. The planes are the nearest, those that napari shows,
    and may lie outside the stack.
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

    (N, ndim); the last two are y and x in pixels of the full resolution.
    """
    # napari's own conversions take one point at a time, so the affine is read off.
    matrix, shift = to_world(points)
    image_matrix, image_shift = to_world(image)
    world = np.asarray(points.data, dtype=np.float64) @ matrix.T + shift
    world = world * unit_ratio(points.units, image.units)
    pixels = np.linalg.solve(image_matrix, (world - image_shift).T).T
    return np.asarray(pixels).reshape(-1, image.ndim)


def points_from_pixels(
    pixels: NDArray[np.float64], points: Points, image: Image
) -> NDArray[np.float64]:
    """Express (N, ndim) data coordinates of an image in those of a Points layer.

    The inverse of `pixel_points`.
    """
    image_matrix, image_shift = to_world(image)
    matrix, shift = to_world(points)
    world = pixels @ image_matrix.T + image_shift
    world = world * unit_ratio(image.units, points.units)
    where = np.linalg.solve(matrix, (world - shift).T).T
    return np.asarray(where).reshape(-1, image.ndim)


def to_world(layer: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what takes the data of a layer to the world: a matrix and a shift."""
    origin = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    columns = [
        np.asarray(layer.data_to_world(unit)) - origin for unit in np.eye(layer.ndim)
    ]
    return np.stack(columns, axis=1), origin


def prompt_classes(points: Points) -> tuple[str, ...]:
    """Return the class of each point; points without a class are objects."""
    if CLASS_COLUMN not in points.features:
        return (OBJECT,) * len(points.data)
    column = points.features[CLASS_COLUMN]
    return tuple(
        OBJECT if missing else " ".join(str(name).split()) or OBJECT
        for name, missing in zip(column, column.isna(), strict=True)
    )


def make_prompt_layer(image: Image, colours: Mapping[str, str], current: str) -> Points:
    """Make the empty Points layer for an image's prompts, coloured by class.

    Its feature column ``class`` lets napari save it as a prompt file; `current` is the
    class of the next click.
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


def set_prompts(points: Points, where: ArrayLike, classes: Sequence[str]) -> None:
    """Replace all points of a prompt layer by (N, ndim) ones in its own coordinates."""
    # napari takes the class of the next click from the last of these, or from none.
    following = points.feature_defaults.copy()
    points.selected_data = set()
    points.data = np.asarray(where, dtype=np.float64).reshape(-1, points.ndim)
    points.features = {CLASS_COLUMN: np.array(classes, dtype=object)}
    points.feature_defaults = following


def remember_thresholds(
    points: Points | None, backbone: str, thresholds: Mapping[str, float]
) -> None:
    """Keep the thresholds that the user set with our prompt layer, for a later dock."""
    if points is not None and is_ours(points):
        points.metadata[OWNER]["thresholds"] = (backbone, dict(thresholds))


def recall_thresholds(points: Points | None, backbone: str) -> dict[str, float]:
    """Return the thresholds that were kept with a prompt layer for this backbone."""
    if points is None or not is_ours(points):
        return {}
    kept_for, kept = points.metadata[OWNER].get("thresholds", ("", {}))
    return dict(kept) if kept_for == backbone else {}


def remember_reference(
    points: Points | None,
    where: NDArray[np.float64],
    classes: Sequence[str],
    reference: Reference,
) -> None:
    """Keep the reference of the prompts with our layer, for the writer.

    `where` is the data of the layer that the reference was made of, (N, ndim). A layer
    of the user's own is left as it is.
    """
    if points is not None and is_ours(points):
        points.metadata[OWNER]["reference"] = (where, tuple(classes), reference)


def recall_reference(
    metadata: Mapping[str, Any], data: ArrayLike, classes: Sequence[str]
) -> Reference | None:
    """Return the reference that was kept with the prompt layer of these metadata.

    None if the (N, ndim) points and their classes have changed since, or nothing was
    found with them yet. Raises `ReferenceFileError` if it is no prompt layer of ours
    (no ValueError: napari takes those of writers for its own).
    """
    mark = noted_in(metadata)
    if mark.get("role") != "prompts":
        raise ReferenceFileError(
            "Only the prompts layer of the dock Prompt segmentation can be saved as a "
            "reference. Save other points as .csv."
        )
    kept = mark.get("reference")
    if not isinstance(kept, tuple) or len(kept) != 3:
        return None
    where, names, reference = kept
    same = np.array_equal(where, np.asarray(data)) and tuple(classes) == names
    return reference if same else None
