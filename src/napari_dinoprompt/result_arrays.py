"""The arrays behind result layers: one plane, or a stack that fills plane by plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_dinoprompt.layers import plane_shape, stack_shape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Image, Layer
    from numpy.typing import DTypeLike, NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex

__all__ = ["blank_planes", "empty_result", "fits", "put_plane"]


def empty_result(image: Image, dtype: DTypeLike) -> Any:
    """Make an array of zeros for the results of an image.

    Parameters
    ----------
    image : napari.layers.Image
    dtype : dtype

    Returns
    -------
    (H, W) ndarray, or (..., H, W) zarr.Array
        Of a stack only the planes that are written take memory.
    """
    plane, stack = plane_shape(image), stack_shape(image)
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
    return tuple(layer.data.shape) == stack_shape(image) + plane_shape(image)


def put_plane(layer: Layer, index: PlaneIndex, plane: NDArray[Any]) -> None:
    """Show a result plane in its layer.

    Parameters
    ----------
    layer : napari.layers.Image or Labels
        With an array made by `empty_result`.
    index : tuple of int
        Where in the stack; empty for a 2-D image.
    plane : (H, W) ndarray
    """
    if index:
        layer.data[index] = plane
        layer.refresh()
    else:
        layer.data = plane


def blank_planes(layer: Layer, indices: Iterable[PlaneIndex]) -> None:
    """Empty planes of a result layer."""
    for index in indices:
        if index:
            layer.data[index] = 0
        else:
            layer.data = np.zeros_like(layer.data)
    layer.refresh()
