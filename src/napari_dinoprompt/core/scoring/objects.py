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
        place, no_data = corner, part.no_data
        if sharper.scale < scales[-1] or part.grid.shape == features.grid.shape:
            break
    if best is None:
        return None
    found_object = _trace(best, features.grid.cell, no_data)
    return None if found_object is None else found_object.moved(place)


def _trace(
    outline: Outline, cell: float, no_data: NDArray[np.bool_] | None
) -> FoundObject | None:
    """Spread pixels over a region and over what surrounds it by its radius.

    None if nothing inside or around holds data.
    """
    from scipy import ndimage as ndi

    region, scale = outline.inside, outline.scale
    radius = scale * np.sqrt(np.count_nonzero(region) / np.pi)
    depth = ndi.distance_transform_edt(region) * scale
    distance = ndi.distance_transform_edt(~region) * scale
    ring = (distance > 0) & (distance <= max(_LEAST_WIDTH * scale, radius))
    inside, around, core = (
        _pixels(samples, outline, no_data)
        for samples in (region, ring, region & (depth - scale / 2 > cell / 2))
    )
    if len(inside) == 0 or len(around) == 0:
        return None
    return FoundObject(
        inside=_thinned(inside),
        around=_thinned(around),
        core=_thinned(core if len(core) else inside),
        area=float(len(inside)),
        ratio=len(around) / len(inside),
    )


def _pixels(
    samples: NDArray[np.bool_], outline: Outline, no_data: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    """List the pixels of samples that hold data: (n, 2)."""
    scale = outline.scale
    pixels = np.argwhere(np.repeat(np.repeat(samples, scale, axis=0), scale, axis=1))
    pixels += np.array(outline.corner)
    if no_data is not None:
        pixels = pixels[~no_data[pixels[:, 0], pixels[:, 1]]]
    return np.asarray(pixels, np.int64)


def _thinned(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep at most `_MOST_PIXELS`, evenly spread."""
    step = max(1, -(-len(pixels) // _MOST_PIXELS))
    return pixels[step // 2 :: step]
