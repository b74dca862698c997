"""Which layers are ours, and to which image they belong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer, Points

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OWNER = "napari-dinoprompt"


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
