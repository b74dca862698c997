"""What is on show when the user turns from one image to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image

from napari_dinoprompt.layers.ownership import noted_in

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

_ASIDE = "set aside"
# Others, such as additive, are for images that are looked at together.
_COVERING = ("opaque", "translucent", "translucent_no_depth")


def turn_to(viewer: ViewerModel, image: Image, before: Image | None) -> None:
    """Show an image with our layers of it, and hide what covers it.

    Hidden are images above it that cannot be seen through, and our layers of other
    images, which come back with theirs. The order of layers and all else of the user's
    own stay. The view stays as well if the image before lies at the same place.

    Parameters
    ----------
    viewer : ViewerModel
    image : napari.layers.Image
    before : napari.layers.Image or None
        The image that was looked at before.
    """
    # Not if it is: napari would read it anew, and give the layer an earlier tool back.
    if not image.visible:
        try:
            image.visible = True
        except Exception:  # noqa: BLE001 - of any reader; features fail too, and say so
            image.visible = False
    apart = viewer.canvas.grid.enabled
    stack = list(viewer.layers)
    images = {str(one.unique_id): one for one in stack}
    for layer in stack:
        mark = noted_in(layer.metadata)
        whose = images.get(str(mark.get("image")), layer)
        if mark and whose is image:
            if mark.pop(_ASIDE, False):
                layer.visible = True
        elif apart or not layer.visible or not _overlap(whose, image):
            continue
        elif mark:
            mark[_ASIDE], layer.visible = True, False
        elif stack.index(layer) > stack.index(image) and _covers(layer):
            layer.visible = False
    if before is not None and not np.allclose(_extent(before), _extent(image)):
        _fit(viewer, _extent(image))


def _fit(viewer: ViewerModel, extent: np.ndarray) -> None:
    """Do as napari, which in a world of more axes fits no image of two."""
    camera, lengths = viewer.scene.camera, np.ptp(extent, axis=0)
    camera.center = tuple(extent.mean(axis=0))
    camera.zoom = 0.95 * float(np.min(viewer.canvas.size / np.maximum(lengths, 1e-9)))


def _covers(layer: Layer) -> bool:
    dense = layer.opacity == 1 and str(layer.blending) in _COVERING
    return dense and isinstance(layer, Image)


def _extent(layer: Layer) -> np.ndarray:
    """Return the (2, 2) least and largest y and x in the world."""
    return np.asarray(layer.extent.world)[:, -2:]


def _overlap(layer: Layer, image: Layer) -> bool:
    one, other = _extent(layer), _extent(image)
    return bool((np.maximum(one[0], other[0]) <= np.minimum(one[1], other[1])).all())
