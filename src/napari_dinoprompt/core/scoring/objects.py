"""The objects that prompts stand for, each found around its prompt alone.

A click means the object under it. What is found around one prompt does not depend on
the others, so that it comes and goes with its prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.features.feature_map import CellLengths
from napari_dinoprompt.core.scoring.outlines import find_outline, window_reach
from napari_dinoprompt.core.scoring.similarity import ScoredPlane, cosines

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.features.large import LazyFeatures
    from napari_dinoprompt.core.progress import Notice
    from napari_dinoprompt.core.scoring.class_vectors import ClassVectors
    from napari_dinoprompt.core.scoring.outlines import Outline


# Scales of the windows that are looked at: all of a row, then the next row if the
# object was sharpest at the last, largest scale.
_SCALES = ((1, 2, 4), (8,), (16,), (32,))
# Of an object and of its surroundings.
_MOST_PIXELS = 256
# In samples and pixels: how far the surroundings reach, at least.
_LEAST_WIDTH = 2.0


@dataclass(frozen=True, eq=False)
class FoundObject:
    """An object and its surroundings, by pixels spread over them.

    Attributes
    ----------
    inside, around : (n, 2) and (m, 2) ndarrays of int64
        Rows and columns.
    core : (c, 2) ndarray of int64
        Those inside that lie half a cell or more from the rim; all if none does.
    area : float
        In pixels.
    ratio : float
        Pixels around for each inside.
    """

    inside: NDArray[np.int64]
    around: NDArray[np.int64]
    core: NDArray[np.int64]
    area: float
    ratio: float

    @classmethod
    def at_point(cls, pixel: NDArray[np.int64]) -> FoundObject:
        """Return the pixel of a prompt where no object is found; (1, 2)."""
        return cls(pixel, np.zeros((0, 2), np.int64), pixel, 0.0, 0.0)

    @property
    def radius(self) -> float:
        """Of a disc as large, in pixels."""
        return float(np.sqrt(self.area / np.pi))

    def moved(self, by: NDArray[np.int64]) -> FoundObject:
        """Return it with other coordinates."""
        return FoundObject(
            self.inside + by, self.around + by, self.core + by, self.area, self.ratio
        )


def iter_object(
    features: FeatureMap | LazyFeatures,
    reference: ClassVectors,
    query: NDArray[np.float32],
    point: NDArray[np.float64],
) -> Generator[Notice, None, FoundObject | None]:
    """Find the object at a point in the similarity with one vector.

    query: (D,) float32, of length 1; point: (2,) float64. None if nothing there has
    an outline.
    """
    pixel = features.grid.nearest_pixels(point[None])[0]
    best: Outline | None = None
    for scales in _SCALES:
        reach = window_reach(scales[-1])
        rows, columns = ((int(at) - reach, int(at) + reach + 1) for at in pixel)
        region = features.regions.around(rows, columns)
        part = yield from features.iter_part(features.regions.outer(region))
        corner = np.array([one.start for one in features.regions.outer(region).part])
        with torch.inference_mode():
            lengths = CellLengths.of(part, reference.statistics, reference.scoring)
            scored = ScoredPlane(part, cosines(part, reference, query[None], lengths))
            similarity = scored.object_pixels()[0].cpu().numpy()
        if part.no_data is not None:
            similarity = np.where(part.no_data, np.float32(-1), similarity)
        row, column = (pixel - corner).tolist()
        light = part.light.cpu().numpy()
        found = [find_outline(similarity, light, (row, column), one) for one in scales]
        sharper = max(
            (one for one in found if one is not None),
            key=lambda one: one.sharpness,
            default=None,
        )
        if sharper is None or (best and best.sharpness >= sharper.sharpness):
            break
        best = sharper
        place = corner
        if sharper.scale < scales[-1] or part.grid.shape == features.grid.shape:
            break
    if best is None:
        return None
    found_object = _trace(best, features.grid.cell).moved(place)
    return found_object if len(found_object.around) else None


def _trace(outline: Outline, cell: float) -> FoundObject:
    """Spread pixels over a region and over what surrounds it by its radius."""
    from scipy import ndimage as ndi

    inside, scale = outline.inside, outline.scale
    area = int(np.count_nonzero(inside)) * scale**2
    radius = np.sqrt(area / np.pi)
    depth = ndi.distance_transform_edt(inside) * scale
    distance = ndi.distance_transform_edt(~inside) * scale
    around = (distance > 0) & (distance <= max(_LEAST_WIDTH * scale, radius))
    core = inside & (depth - scale / 2 > cell / 2)
    if not core.any():
        core = inside
    return FoundObject(
        inside=_pixels(inside, outline),
        around=_pixels(around, outline),
        core=_pixels(core, outline),
        area=float(area),
        ratio=float(np.count_nonzero(around) / np.count_nonzero(inside)),
    )


def _pixels(samples: NDArray[np.bool_], outline: Outline) -> NDArray[np.int64]:
    """Spread at most `_MOST_PIXELS` pixels evenly over samples."""
    scale = outline.scale
    whole = np.repeat(np.repeat(samples, scale, axis=0), scale, axis=1)
    found = np.argwhere(whole)
    step = max(1, -(-len(found) // _MOST_PIXELS))
    return np.asarray(found[step // 2 :: step] + np.array(outline.corner), np.int64)
