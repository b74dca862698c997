"""Prompts: points with a class, on the planes of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BACKGROUND", "OBJECT", "PlaneIndex", "Prompts"]

PlaneIndex = tuple[int, ...]
"""Which plane of a stack: indices along the axes before the last two."""
OBJECT = "object"
BACKGROUND = "background"


@dataclass(frozen=True, eq=False)
class Prompts:
    """Points with their classes, on the planes of one image.

    Attributes
    ----------
    points : (N, 2) ndarray of float64
        y and x in pixels.
    classes : tuple of N str
        ``"object"``, ``"background"`` or names.
    planes : tuple of N tuples of int
        Plane of each point; by default those of a 2-D image, which are empty.

    Raises
    ------
    InputError
        If the points have another shape, or the numbers differ.
    """

    points: NDArray[np.float64]
    classes: tuple[str, ...]
    planes: tuple[PlaneIndex, ...] = ()

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 2:
            msg = (
                "Prompts must be (N, 2) points (y, x), not of shape "
                f"{self.points.shape}."
            )
            raise InputError(msg)
        count = len(self.points)
        if len(self.classes) != count:
            msg = f"There are {count} prompts but {len(self.classes)} classes."
            raise InputError(msg)
        if not self.planes:
            object.__setattr__(self, "planes", ((),) * count)
        if len(self.planes) != count:
            msg = f"There are {count} prompts but {len(self.planes)} planes."
            raise InputError(msg)

    def keep(self, chosen: NDArray[np.bool_]) -> Prompts:
        """Return some of the prompts.

        Parameters
        ----------
        chosen : (N,) ndarray of bool

        Returns
        -------
        Prompts
        """
        kept = np.flatnonzero(chosen)
        return Prompts(
            points=self.points[kept],
            classes=tuple(self.classes[i] for i in kept),
            planes=tuple(self.planes[i] for i in kept),
        )
