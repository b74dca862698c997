"""What is compared, and whether it lies where the real does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt import layers

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_dinoprompt._qt.window_box import WindowChoice
    from napari_dinoprompt.core.references.library import Entry
    from napari_dinoprompt.core.references.reference import Reference

__all__ = ["CompareRequest", "word_on_places"]


@dataclass(frozen=True, eq=False)
class CompareRequest:
    """What is compared.

    Attributes
    ----------
    choice : Entry or Reference
    real : napari.layers.Image
    fakes : list of napari.layers.Image
        At least one, none of them the real.
    input_image : napari.layers.Image or None
        What the fakes were made from; only shown.
    truth : napari.layers.Labels or None
    window : {"reference", "image", "histogram"}
        Histograms are matched to the real.
    class_name : str or None
        None is the reference's first.
    draws : int
    """

    choice: Entry | Reference
    real: Image
    fakes: list[Image]
    input_image: Image | None
    truth: Labels | None
    window: WindowChoice
    class_name: str | None
    draws: int

    @property
    def layers(self) -> list[Layer]:
        """All layers that the result depends on."""
        truth = [] if self.truth is None else [self.truth]
        return [self.real, *self.fakes, *truth]


def word_on_places(request: CompareRequest) -> str:
    """Say so if fakes lie apart from the real: they are compared edge to edge."""
    apart = [
        fake.name
        for fake in request.fakes
        if layers.pixel_size(fake) and not _same_place(fake, request.real)
    ]
    if not apart:
        return ""
    return (
        f"{', '.join(apart)} lies elsewhere than the real; they were compared edge "
        "to edge."
    )


def _same_place(one: Image, other: Image) -> bool:
    """Tell whether two planes cover the same part of the world, to a pixel."""
    pixel = max(layers.pixel_size(other) or (1.0, 1.0))
    apart = np.abs(_corners(one) - _corners(other))
    return bool((apart <= pixel).all())


def _corners(image: Image) -> NDArray[np.float64]:
    height, width = layers.plane_shape(image)
    rest = (0.0,) * (image.ndim - 2)
    ends = ((-0.5, -0.5), (height - 0.5, width - 0.5))
    return np.array([image.data_to_world((*rest, *end))[-2:] for end in ends])
