"""The planes of an image layer: their size, which is in view, their pixels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.images.lazy_plane import LazyPlane, level_shapes

from .ownership import can_segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex


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


def pixel_lengths(image: Image, axes: int = 2) -> tuple[float, ...] | None:
    """Return the lengths of a pixel along the last axes, in micrometres, if known."""
    lengths = []
    for step, unit in zip(image.scale[-axes:], image.units[-axes:], strict=True):
        if not unit.is_compatible_with("micrometer"):
            return None
        lengths.append(abs(float((step * unit).to("micrometer").magnitude)))
    return tuple(lengths)


def stack_shape(image: Image) -> tuple[int, ...]:
    """Return the lengths of the axes before the plane; empty for a 2-D image."""
    return tuple(int(n) for n in _full_resolution(image).shape[: image.ndim - 2])


def full_shape(layer: Layer) -> tuple[int, ...]:
    """Return the lengths of the axes before the plane, and of the plane."""
    return stack_shape(layer) + plane_shape(layer)


def plane_levels(layer: Layer, index: PlaneIndex, *, pyramid: bool) -> list[Any]:
    """Return a plane of labels, unread; as levels of a pyramid if it is large."""
    from dask.array import from_zarr
    from zarr import Array

    levels = list(layer.data) if layer.multiscale else [layer.data]
    # zarr reads at once what is sliced.
    levels = [
        from_zarr(one) if isinstance(one, Array) else one  # type: ignore[no-untyped-call]
        for one in levels
    ]
    if pyramid and len(levels) == 1:
        steps = [2**k for k in range(len(level_shapes(plane_shape(layer))))]
        levels = [levels[0][..., ::step, ::step] for step in steps]
    return [one[index] if index else one for one in levels[: None if pyramid else 1]]


def plane_in_view(viewer: ViewerModel, layer: Layer) -> PlaneIndex:
    """Return the plane of an image or of labels that a viewer shows.

    Empty for a 2-D layer; the nearest plane where the sliders lie outside.
    """
    lengths = stack_shape(layer)
    return tuple(
        int(np.clip(at, 0, length - 1))
        for at, length in zip(
            _planes_at(viewer, layer, viewer.dims.point), lengths, strict=True
        )
    )


def _planes_at(
    viewer: ViewerModel, layer: Layer, point: Sequence[float]
) -> NDArray[np.float64]:
    """Return the plane that napari shows at a point, which may lie outside."""
    # Layers of fewer dimensions are aligned with the last ones of the world.
    world = np.asarray(point)[-layer.ndim :]
    units = viewer.layers.units
    if units is not None:
        world = world * unit_ratio(units[-layer.ndim :], layer.units)
    # As napari slices: a tilt out of the plane is passed over, halves go to even.
    in_the_stack = np.arange(layer.ndim) < layer.ndim - 2
    where = np.asarray(layer.world_to_data(np.where(in_the_stack, world, 0.0)))
    return np.asarray(np.rint(where[: layer.ndim - 2]))


def describe_view(viewer: ViewerModel, image: Image) -> str:
    """Say what a viewer shows of an image if that is not the plane to be computed."""
    dims, lengths = viewer.dims, stack_shape(image)
    plane = plane_in_view(viewer, image)
    at = f"plane {plane[0] if len(plane) == 1 else plane} of {image.name}"
    if dims.ndisplay == 3:
        computed = f" Computed is {at}." if plane else ""
        return f"In 3-D a click has no depth: turn to 2-D to place prompts.{computed}"
    if set(dims.displayed) != {dims.ndim - 2, dims.ndim - 1}:
        computed = f" Now it is {at}." if plane else ""
        return (
            "The view shows other axes than the last two, along which planes are "
            f"computed: roll them back to see the mask.{computed}"
        )
    first = _planes_at(viewer, image, np.subtract(dims.point, dims.margin_left))
    last = _planes_at(viewer, image, np.add(dims.point, dims.margin_right))
    if image.projection_mode != "none" and (first != last).any():
        return f"The view joins several planes. Computed is {at} alone."
    here = _planes_at(viewer, image, dims.point)
    if ((here < 0) | (here >= lengths)).any():
        return f"The sliders lie outside this image. Computed is the nearest, {at}."
    images = [one for one in viewer.layers if can_segment(one) and one.visible]
    if viewer.canvas.grid.enabled and len(images) > 1:
        return f"A click in any cell of the grid is a prompt of {image.name}."
    return ""


def look_at(viewer: ViewerModel, layer: Layer, place: Sequence[float]) -> None:
    """Centre the camera on a pixel of a layer, and turn the sliders to its plane.

    `place` has one number for each axis of the layer.
    """
    world = np.asarray(layer.data_to_world(tuple(place)))
    dims = viewer.dims
    where = np.array(dims.point, dtype=float)
    where[-len(world) :] = world
    for axis in dims.not_displayed:
        dims.set_point(axis, where[axis])
    viewer.scene.camera.center = tuple(where[list(dims.displayed)])


def unit_ratio(given: Sequence[Any], wanted: Sequence[Any]) -> NDArray[np.float64]:
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

    Slow to read where the data are lazy, so read it in a worker.
    """
    return LazyPlane(_full_resolution(image), index)


def read_plane(image: Image, index: PlaneIndex = ()) -> NDArray[np.generic]:
    """Read one plane of an image layer, (H, W) or (H, W, C).

    Slow for lazy data, so call it in a worker.
    """
    return open_plane(image, index).whole()


def reader_of(viewer: ViewerModel, layer: Layer) -> partial[NDArray[np.generic]]:
    """Return what reads the plane of a layer that a viewer shows now."""
    return partial(read_plane, layer, plane_in_view(viewer, layer))


def lay_over(image: Image, ours: Iterable[Layer]) -> None:
    """Put layers where their image was moved to."""
    for layer in ours:
        for name, value in spatial_metadata(image).items():
            setattr(layer, name, value)


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
