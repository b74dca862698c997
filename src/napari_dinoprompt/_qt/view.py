"""What a viewer shows of a layer, and turning its camera to a place."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt import layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

__all__ = ["look_at", "plane_of", "reader_of"]


def plane_of(viewer: ViewerModel, layer: Layer) -> tuple[int, ...]:
    """Return the plane of an image or of labels that a viewer shows."""
    return layers.plane_in_view(layer, viewer.dims.point, viewer.layers.units)


def reader_of(viewer: ViewerModel, layer: Layer) -> partial[NDArray[np.generic]]:
    """Return what reads the plane that a viewer shows now."""
    return partial(layers.read_plane, layer, plane_of(viewer, layer))


def look_at(viewer: ViewerModel, layer: Layer, place: Sequence[float]) -> None:
    """Centre the camera on a pixel of a layer, and turn the sliders to its plane.

    Parameters
    ----------
    viewer : ViewerModel
    layer : Layer
    place : sequence of float
        In pixels, one number for each axis of the layer.
    """
    world = np.asarray(layer.data_to_world(tuple(place)))
    dims = viewer.dims
    where = np.array(dims.point, dtype=float)
    where[-len(world) :] = world
    for axis in dims.not_displayed:
        dims.set_point(axis, where[axis])
    viewer.scene.camera.center = tuple(where[list(dims.displayed)])
