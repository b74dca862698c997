"""The arrays behind result layers.

A 2-D image has one array, a stack one that fills plane by plane, and a large image
levels of a pyramid, of which nothing is ever whole in memory: napari asks for the part
that it draws.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_dinoprompt.core.lazy_planes import LazyArray, level_shapes
from napari_dinoprompt.layers import plane_shape, stack_shape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Image, Layer
    from numpy.typing import DTypeLike, NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex

__all__ = ["blank_planes", "empty_result", "fits", "put_plane"]


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
    return tuple(layer.data.shape) == stack_shape(image) + plane_shape(image)


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
    else:
        layer.data = levels[0]


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
    if Ellipsis in key:
        gap = key.index(Ellipsis)
        missing = len(stack) + 3 - len(key)
        key = (*key[:gap], *(slice(None),) * missing, *key[gap + 1 :])
    key = (*key, *(slice(None),) * (len(stack) + 2 - len(key)))
    before, part = key[: len(stack)], key[len(stack) :]
    there = np.zeros(stack, dtype=bool)
    there[index] = True
    places = np.asarray(there[before])
    shape = np.broadcast_to(0, plane.shape)[part].shape
    found = np.zeros(places.shape + shape, dtype=plane.dtype)
    if places.any():
        found[places] = plane[part]
    return found
