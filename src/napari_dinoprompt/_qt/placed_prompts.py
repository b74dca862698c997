"""Which prompts count: those that lie on a plane of their image, and on data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt import layers
from napari_dinoprompt.core.geometry import lies_on_plane
from napari_dinoprompt.core.prompts import Prompts

if TYPE_CHECKING:
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.session import ImageState

__all__ = ["owns_prompts", "placed_prompts", "usable_prompts"]


def owns_prompts(state: ImageState) -> bool:
    """Tell whether the prompts of an image are in a layer made here."""
    return state.prompts is not None and layers.is_ours(state.prompts)


def placed_prompts(state: ImageState) -> Prompts:
    """Return the prompts that lie on a plane of the image, in pixels."""
    if state.prompts is None or state.snapshot is None:
        return Prompts(np.empty((0, 2)), ())
    prompts = layers.placed_prompts(state.prompts, state.image)
    inside = lies_on_plane(prompts.points, layers.plane_shape(state.image))
    stack = layers.stack_shape(state.image)
    on_stack = [
        all(0 <= at < length for at, length in zip(plane, stack, strict=True))
        for plane in prompts.planes
    ]
    return prompts.keep(inside & np.array(on_stack, dtype=bool))


def usable_prompts(state: ImageState) -> tuple[Prompts, int]:
    """Return the prompts that lie on data, and how many do not."""
    prompts = placed_prompts(state)
    rows: dict[PlaneIndex, list[int]] = {}
    for row, plane in enumerate(prompts.planes):
        rows.setdefault(plane, []).append(row)
    held = np.zeros(len(prompts.planes), dtype=bool)
    # Plane by plane: there may be thousands of prompts.
    for plane, here in rows.items():
        if plane in state.planes:
            features = state.planes[plane].features
            held[here] = features.holds_data(prompts.points[here])
    usable = prompts.keep(held)
    count = 0 if state.snapshot is None else len(state.snapshot.points)
    return usable, count - len(usable.points)
