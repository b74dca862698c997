"""Regions in Labels and Shapes layers, as prompts on a plane of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Shapes
from scipy import ndimage as ndi

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.prompts import PlaneIndex, Prompts

from .ownership import is_ours
from .planes import plane_shape, read_plane, unit_ratio
from .prompts import CLASS_COLUMN, to_world

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Image, Layer
    from numpy.typing import NDArray


_MOST = 2_000


def drawn_layers(stack: Iterable[Layer], image: Image) -> list[Layer]:
    """Return the user's Labels and Shapes layers that can hold regions of an image."""
    return [
        layer
        for layer in stack
        if isinstance(layer, Labels | Shapes)
        and layer.ndim in (2, image.ndim)
        and not is_ours(layer)
    ]


def drawn_prompts(
    layer: Labels | Shapes, image: Image, plane: PlaneIndex, on: PlaneIndex, name: str
) -> Prompts:
    """Make a prompt of each label or shape on a plane; slow, so call it in a worker.

    Parameters
    ----------
    layer : napari.layers.Labels or Shapes
        Placed anyhow in the plane.
    image : napari.layers.Image
    plane : tuple of int
        Of the image.
    on : tuple of int
        The same plane in the Labels layer.
    name : str
        Class of what has none in a column ``class`` of the layer's features.

    Returns
    -------
    Prompts

    Raises
    ------
    InputError
        If nothing is drawn on this plane, too much, or the layer is tilted against it.
    """
    found = (
        _of_labels(layer, image, plane, on, name)
        if isinstance(layer, Labels)
        else _of_shapes(layer, image, plane, name)
    )
    if not found:
        msg = f"Nothing in {layer.name} lies on the plane in view of {image.name}."
        raise InputError(msg)
    return Prompts(
        np.concatenate([one.points for one in found]),
        tuple(name for one in found for name in one.classes),
        tuple(index for one in found for index in one.planes),
        tuple(region for one in found for region in one.regions),
    )


def _of_labels(
    layer: Labels, image: Image, plane: PlaneIndex, on: PlaneIndex, name: str
) -> list[Prompts]:
    labels: NDArray[Any] = read_plane(layer, on)
    shape = plane_shape(image)
    matrix, shift = _between(image, layer)
    if labels.shape != shape or not np.allclose(np.c_[matrix, shift], np.eye(2, 3)):
        labels = ndi.affine_transform(labels, matrix, shift, shape, order=0)
    given = np.unique(labels)
    given = given[given > 0]
    _check_count(layer, len(given))
    if not len(given):
        return []
    # By rank: of a label of a million nobody wants a million boxes.
    ranks = np.searchsorted(given, labels) + 1
    ranks[labels <= 0] = 0
    features, names = layer.features, {}
    if {CLASS_COLUMN, "index"} <= set(features):
        names = dict(zip(features["index"], features[CLASS_COLUMN], strict=True))
    classes = {
        rank: _name(names.get(label), name) for rank, label in enumerate(given, 1)
    }
    return [Prompts.of_regions(ranks, classes, plane)]


def _of_shapes(
    layer: Shapes, image: Image, plane: PlaneIndex, name: str
) -> list[Prompts]:
    matrix, shift = _between(layer, image)
    classes = layer.features.get(CLASS_COLUMN, [None] * layer.nshapes)
    height_width = np.array(plane_shape(image))
    _check_count(layer, layer.nshapes)
    found = []
    for corners, kind, width, own in zip(
        layer.data, layer.shape_type, layer.edge_width, classes, strict=True
    ):
        if layer.ndim > 2 and _plane_of(layer, image, corners[0]) != plane:
            continue
        corners = corners[:, -2:] @ matrix.T + shift
        stroke = width * np.sqrt(abs(np.linalg.det(matrix))) / 2
        open_line = kind in ("line", "path")
        margin = int(np.ceil(stroke)) + 1 if open_line else 1
        first = np.floor(corners.min(axis=0)).astype(int) - margin
        first = np.maximum(first, 0)
        last = np.ceil(corners.max(axis=0)).astype(int) + margin + 1
        size = np.minimum(last, height_width) - first
        if (size <= 0).any():
            continue
        alone = Shapes([corners - first], shape_type=kind, edge_width=1)
        mask = alone.to_labels(tuple(size.tolist())) > 0
        if open_line:
            mask = mask.any() and ndi.distance_transform_edt(~mask) <= stroke
        if not np.any(mask):
            continue
        drawn = Prompts.of_regions(
            np.asarray(mask, np.uint8), {1: _name(own, name)}, plane
        )
        (region,) = drawn.regions
        assert region is not None
        found.append(
            Prompts(drawn.points + first, drawn.classes, (plane,), (region + first,))
        )
    return found


def _name(given: object, otherwise: str) -> str:
    """Take the class of a region, if it has one."""
    text = " ".join(given.split()) if isinstance(given, str) else ""
    return text or otherwise


def _check_count(layer: Layer, count: int) -> None:
    if count > _MOST:
        raise InputError(
            f"{layer.name} holds {count} regions, and at most {_MOST} become prompts: "
            "keep some that show what is meant."
        )


def _plane_of(layer: Layer, image: Image, corner: NDArray[np.float64]) -> PlaneIndex:
    """Return the plane of an image, of as many axes, on which a shape lies."""
    world = np.asarray(layer.data_to_world(tuple(corner)))
    place = image.world_to_data(world * unit_ratio(layer.units, image.units))
    return tuple(int(at) for at in np.rint(place[:-2]))


def _between(
    one: Layer, other: Layer
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what takes y and x of one layer to those of another: matrix and shift."""
    (first, start), (second, end) = to_world(one), to_world(other)
    for layer, matrix in ((one, first), (other, second)):
        if np.any(matrix[:-2, -2:]) or np.any(matrix[-2:, :-2]):
            msg = f"{layer.name} is tilted out of its planes; draw on one that is not."
            raise InputError(msg)
    ratio = unit_ratio(one.units[-2:], other.units[-2:])
    back = np.linalg.inv(second[-2:, -2:])
    matrix = back @ (ratio[:, None] * first[-2:, -2:])
    return matrix, back @ (ratio * start[-2:] - end[-2:])
