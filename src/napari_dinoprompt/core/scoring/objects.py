"""The object that a prompt stands for: a click means the object under it.

It is found in the similarity with one vector, of the prompt or of its class.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from napari_dinoprompt.core.features.feature_map import CellLengths, FeatureMap
from napari_dinoprompt.core.features.guided_filter import look_up
from napari_dinoprompt.core.features.regions import Region

from .outlines import Outline, Window, find_outline
from .similarity import ScoredPlane, cosines

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.large import LazyFeatures
    from napari_dinoprompt.core.progress import Notice

    from .class_vectors import ClassVectors


# Pixels per sample of the windows that are looked at.
SCALES = (1, 2, 4, 8, 16)

# Samples of so many cells a side need no fit to the light.
_PLAIN_CELLS = 4
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
    scale : int
        Pixels per sample at which it is sharpest; 0 of a point.
    """

    inside: NDArray[np.int64]
    around: NDArray[np.int64]
    core: NDArray[np.int64]
    area: float
    ratio: float
    scale: int = 0

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
        return replace(
            self, inside=self.inside + by, around=self.around + by, core=self.core + by
        )


def iter_object(
    features: FeatureMap | LazyFeatures,
    reference: ClassVectors,
    query: NDArray[np.float32],
    point: NDArray[np.float64],
    scales: Sequence[int] = SCALES,
) -> Generator[Notice, None, FoundObject | None]:
    """Find the object at a point in the similarity with one vector.

    query: (D,) float32, of length 1; point: (2,) float64; scales: pixels per sample of
    the windows that are looked at. None if nothing there has an outline.
    """
    row, column = features.grid.nearest_pixels(point[None])[0].tolist()
    plan = features.regions
    best: Outline | None = None
    for scale in scales:
        window = Window.around(features.grid.shape, (row, column), scale, plan.step)
        if window is None:
            break
        region = Region(window.rows, window.columns)
        plain = _is_plain(scale, features.grid.cell)
        outer = region if plain else plan.outer(region)
        part = yield from features.iter_part(outer)
        with torch.inference_mode():
            values, grey = _sample(part, reference, query, region.within(outer), scale)
        found = find_outline(values, grey, window)
        if found is not None and (best is None or found.sharpness > best.sharpness):
            best, no_data = found, part.no_data
            if no_data is not None:
                no_data = no_data[region.within(outer)]
        elif best is not None and not isinstance(features, FeatureMap):
            # More of a large plane would have to be computed first.
            break
    if best is None:
        return None
    return _trace(best, features.grid.cell, no_data)


def region_object(
    pixels: NDArray[np.int64], cell: float, shape: tuple[int, int]
) -> FoundObject:
    """Take a region that was drawn, (n, 2) pixels of a plane, for the object."""
    margin = int(np.ceil(max(_LEAST_WIDTH, np.sqrt(len(pixels) / np.pi)))) + 1
    start = np.maximum(pixels.min(axis=0) - margin, 0)
    stop = np.minimum(pixels.max(axis=0) + margin + 1, shape)
    rows, columns = (slice(*one) for one in zip(start, stop, strict=True))
    window = Window(rows, columns, 1, (0, 0), ())
    inside = np.zeros(tuple(stop - start), dtype=np.bool_)
    inside[tuple((pixels - start).T)] = True
    found = _trace(Outline(inside, window, 0.0), cell, None)
    # Without surroundings, as of a region that fills the plane, it tells no threshold.
    return found or FoundObject.at_point(pixels[:1])


def _is_plain(scale: int, cell: float) -> bool:
    """Tell whether samples hold several cells; of cells within a pixel, pixels."""
    return scale >= _PLAIN_CELLS * max(cell, 1.0)


def _sample(
    part: FeatureMap,
    reference: ClassVectors,
    query: NDArray[np.float32],
    here: tuple[slice, slice],
    scale: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return similarity and light, each averaged over samples of a part.

    Samples of several cells take the similarity of the cells, smaller ones as it is
    fitted to the light. Without data it is -1.
    """
    lengths = CellLengths.of(part, reference.statistics, reference.scoring)
    cells = cosines(part, reference, query[None], lengths)
    height, width = (one.stop - one.start for one in here)
    if _is_plain(scale, part.grid.cell):
        thin = scale // _PLAIN_CELLS
        fine = look_up(cells, part.grid, (height // thin, width // thin), thin)
        values = F.avg_pool2d(fine, _PLAIN_CELLS)[0]
    else:
        plane = ScoredPlane(part, cells, cells)
        step = part.regions.step
        if plane.fitted is not None and scale % step == 0:
            rows, columns = (slice(one.start // step, one.stop // step) for one in here)
            shown = plane.fitted.blocks(0).clamp(-1, 1)[None, rows, columns]
            values = F.avg_pool2d(shown, scale // step)[0]
        else:
            values = F.avg_pool2d(plane.object_pixels()[:, *here], scale)[0]
    grey = F.avg_pool2d(part.light[None, *here], scale)[0]
    found = values.cpu().numpy()
    if part.no_data is not None:
        missing = torch.from_numpy(part.no_data[here]).float()
        empty = F.max_pool2d(missing[None], scale)[0].numpy() > 0
        found = np.where(empty, np.float32(-1), found)
    return np.ascontiguousarray(found), np.ascontiguousarray(grey.cpu().numpy())


def _trace(
    outline: Outline, cell: float, no_data: NDArray[np.bool_] | None
) -> FoundObject | None:
    """Spread pixels over a region and over what surrounds it by its radius.

    None if nothing inside or around holds data.
    """
    from scipy import ndimage as ndi

    region, scale = outline.inside, outline.window.scale
    radius = scale * np.sqrt(np.count_nonzero(region) / np.pi)
    depth = ndi.distance_transform_edt(region) * scale
    distance = ndi.distance_transform_edt(~region) * scale
    ring = (distance > 0) & (distance <= max(_LEAST_WIDTH * scale, radius))
    inside, around, core = (
        _pixels(samples, outline.window, no_data)
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
        scale=scale,
    )


def _pixels(
    samples: NDArray[np.bool_], window: Window, no_data: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    """List the pixels of samples that hold data: (n, 2)."""
    from scipy import ndimage as ndi

    # Windows may be large, and objects are small in them.
    (box,) = ndi.find_objects(samples.astype(np.uint8)) or [None]
    if box is None:
        return np.zeros((0, 2), np.int64)
    scale = window.scale
    whole = np.repeat(np.repeat(samples[box], scale, axis=0), scale, axis=1)
    start = np.array([one.start * scale for one in box])
    if no_data is not None:
        there = tuple(slice(one.start * scale, one.stop * scale) for one in box)
        whole &= ~no_data[there]
    return np.asarray(np.argwhere(whole) + start + np.array(window.corner), np.int64)


def _thinned(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep at most `_MOST_PIXELS`, evenly spread."""
    step = max(1, -(-len(pixels) // _MOST_PIXELS))
    return pixels[step // 2 :: step]
