"""Points of a layer as pixels of an image, and back, by way of the world.

Points and images meet in world coordinates, whatever the scale, rotation or shear of
their layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.prompts import OBJECT, Prompts
from napari_dinoprompt.layers.planes import unit_ratio

if TYPE_CHECKING:
    from napari.layers import Image, Layer, Points
    from numpy.typing import NDArray

CLASS_COLUMN = "class"


def describe_own_points(points: Points, image: Image) -> str:
    """Say so if points from a file may lie elsewhere than on the image they are of."""
    pairs = zip(_to_world(points), _to_world(image), strict=True)
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
    matrix, shift = _to_world(points)
    image_matrix, image_shift = _to_world(image)
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
    image_matrix, image_shift = _to_world(image)
    matrix, shift = _to_world(points)
    world = pixels @ image_matrix.T + image_shift
    world = world * unit_ratio(image.units, points.units)
    where = np.linalg.solve(matrix, (world - shift).T).T
    return np.asarray(where).reshape(-1, image.ndim)


def _to_world(layer: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
