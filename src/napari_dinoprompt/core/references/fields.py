"""What a reference consists of, without what it can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_dinoprompt.core.class_vectors import ClassVectors

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from napari_dinoprompt.core.intensity import IntensityWindow
    from napari_dinoprompt.core.prompts import PlaneIndex

__all__ = ["ReferenceFields", "Source"]


@dataclass(frozen=True)
class Source:
    """An image that prompts were placed on.

    Attributes
    ----------
    name : str
        For people; never used as a path.
    shape : (int, int)
        Height and width in pixels.
    pixel_size : (float, float) or None
        Height and width of a pixel, in the units of the image; None if not known.
    content_hash : str
        Of the planes that hold prompts, as `hash_planes` has it; empty if not known.
    """

    name: str
    shape: tuple[int, int]
    pixel_size: tuple[float, float] | None = None
    content_hash: str = ""


@dataclass(frozen=True, eq=False)
class ReferenceFields(ClassVectors):
    """The fields of a `Reference`, where they are told; made, joined, read, written."""

    points: NDArray[np.float64]
    planes: tuple[PlaneIndex, ...]
    sources: tuple[Source, ...]
    source_of: NDArray[np.int64]
    upscale: float
    window: IntensityWindow
    auto_thresholds: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
