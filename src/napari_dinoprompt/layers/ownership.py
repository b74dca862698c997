"""Which layers are ours, to which image they belong, and which are on show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari.components import ViewerModel
    from napari.layers import Layer


OWNER = "napari-dinoprompt"
_CORRECTED = f"{OWNER} corrected"
APPLIED = "applied "
_ASIDE = "set aside"
# Others, such as additive, are for images that are looked at together.
_COVERING = ("opaque", "translucent", "translucent_no_depth")


def can_segment(layer: Layer) -> bool:
    """Tell whether a layer is an image that can be prompted: not one of our own."""
    return (
        isinstance(layer, Image)
        and layer.ndim >= 2
        and layer.metadata.get(OWNER) is None
    )


def can_prompt(layer: Layer, image: Image) -> bool:
    """Tell whether a Points layer of the user's own can hold an image's prompts."""
    return (
        isinstance(layer, Points)
        and layer.ndim == image.ndim
        and layer.metadata.get(OWNER) is None
    )


def truth_layers(stack: Iterable[Layer]) -> list[Layer]:
    """Return the user's layers that can hold labels, Labels first.

    napari opens a file of labels as an image; what is none is refused when it is read.
    """
    own = [one for one in stack if not is_ours(one)]
    return [one for kind in (Labels, Image) for one in own if isinstance(one, kind)]


def is_ours(layer: Layer) -> bool:
    """Tell whether a layer was made by this plugin."""
    return layer.metadata.get(OWNER) is not None


def give_up(layer: Layer) -> None:
    """Leave a layer of ours to the user, with all that is on it."""
    layer.metadata.pop(OWNER, None)


def can_correct(layer: Layer) -> bool:
    """Tell whether a layer is a result of ours that becomes the user's if painted."""
    role = str(noted_in(layer.metadata).get("role", "")).removeprefix(APPLIED)
    return isinstance(layer, Labels) and role in ("mask", "instances", "chosen objects")


def hand_over(layer: Labels) -> None:
    """Leave a result of ours that is corrected to the user, marked as such."""
    mark = noted_in(layer.metadata)
    names = mark.get("classes")
    layer.metadata[_CORRECTED] = {"image": mark["image"], "classes": names, "edits": 0}
    give_up(layer)
    layer.name = f"{layer.name} corrected"


def correction_of(layer: Layer) -> dict[str, Any]:
    """Return what is noted of a corrected layer; empty if it is none.

    ``classes`` are the names of its numbers, or None if these are objects' own;
    ``edits`` counts changes.
    """
    noted = layer.metadata.get(_CORRECTED)
    return noted if isinstance(noted, dict) and isinstance(layer, Labels) else {}


def corrected_layer(stack: Iterable[Layer], image: Image) -> Labels | None:
    """Find the result for an image that the user has corrected, the uppermost."""
    mine = str(image.unique_id)
    found = [one for one in stack if correction_of(one).get("image") == mine]
    return found[-1] if found else None


def noted_in(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what we noted in a layer's metadata, which others may write as well."""
    noted = metadata.get(OWNER)
    return noted if isinstance(noted, dict) else {}


def owned(image: Image, role: str) -> dict[str, Any]:
    """Mark a layer as ours: what it is, and whose."""
    return {OWNER: {"role": role, "image": str(image.unique_id)}}


def find_owned(stack: Iterable[Layer], image: Image, role: str) -> Layer | None:
    """Find the layer that was made for an image and marked with a role."""
    wanted = owned(image, role)[OWNER]
    for layer in stack:
        mark = noted_in(layer.metadata)
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
        mark = noted_in(layer.metadata) or correction_of(layer)
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
