"""What is known of the planes of a stack, as long as nothing changes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_dinoprompt import layers

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.stacking.plain_masks import PlainMasks
    from napari_dinoprompt.session import ImageState

__all__ = ["KeptPlanes"]


@dataclass(eq=False)
class KeptPlanes:
    """What is known of the planes of one image under one revision.

    Attributes
    ----------
    state : ImageState
    revision : int
    masks : PlainMasks
        Of planes that are on show, scrolled to or computed here.
    objects : dict of plane index to int
        The planes that are finished, and how many objects they hold.
    names : tuple of str
        The object classes.
    volumes : int
        In so many of the volumes objects go through the planes.
    shown_on : tuple of layers or None
        Where all of this is on show; None while that is being changed here.
    """

    state: ImageState
    revision: int
    masks: PlainMasks
    names: tuple[str, ...]
    objects: dict[PlaneIndex, int] = field(default_factory=dict)
    volumes: int = 0
    shown_on: tuple[Layer | None, Layer | None] | None = None

    @property
    def through(self) -> bool:
        """Whether objects go through all planes."""
        lengths = layers.stack_shape(self.state.image)
        return self.volumes == math.prod(lengths[:-1])

    @property
    def current(self) -> bool:
        """Whether nothing that it depends on has changed."""
        there = (self.state.similarity, self.state.mask)
        return self.revision == self.state.revision and self.shown_on in (None, there)

    @property
    def total(self) -> int:
        """How many planes there are."""
        return math.prod(layers.stack_shape(self.state.image))

    @property
    def complete(self) -> bool:
        """Whether all planes are finished."""
        return len(self.objects) == self.total

    @property
    def summary(self) -> str:
        """How far it is and what was found, in one line; empty before the first."""
        if not self.objects:
            return ""
        count = sum(self.objects.values())
        objects = "1 object" if count == 1 else f"{count} objects"
        if self.through:
            return f"{objects} through {self.total} planes."
        each = "" if count == 0 else ", counted in each plane"
        return f"{len(self.objects)} of {self.total} planes: {objects}{each}."

    def begin_anew(self) -> None:
        """Forget which planes are finished; their plain masks stay known."""
        self.objects.clear()
        self.volumes = 0
        self.state.forget_finished()
