"""Regions: how a plane is cut up when its similarities are brought to pixels.

A region is computed from its pixels, its cells, and a rim of both. The rim is as wide
as the fit to the light looks, so that regions meet without a seam.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.images.lazy_plane import LEVELS

from .guided_filter import window_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.tiling.grid import CellGrid


# Of a region, in pixels.
_SIDE = 1024
# Of a grid that any tile fits into.
_CELLS = 512


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels.

    Attributes
    ----------
    rows, columns : slice
        With both ends.
    """

    rows: slice
    columns: slice

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle in pixels, y and x."""
        return (
            (self.rows.start + self.rows.stop - 1) / 2,
            (self.columns.start + self.columns.stop - 1) / 2,
        )

    @property
    def part(self) -> tuple[slice, slice]:
        """Where it is in the plane."""
        return self.rows, self.columns

    def within(self, outer: Region) -> tuple[slice, slice]:
        """Return where this region lies in a larger one that holds it."""
        rows, columns = (
            slice(mine.start - its.start, mine.stop - its.start)
            for mine, its in zip(self.part, outer.part, strict=True)
        )
        return rows, columns

    def clipped(self, outer: Region) -> Region:
        """Return what of it lies in another region."""
        return Region(
            *(
                slice(max(mine.start, its.start), min(mine.stop, its.stop))
                for mine, its in zip(self.part, outer.part, strict=True)
            )
        )

    def widened(self, margin: int, shape: tuple[int, int]) -> Region:
        """Return it with some pixels around it, as far as the plane goes."""
        whole = Region(slice(0, shape[0]), slice(0, shape[1]))
        rows, columns = (
            slice(one.start - margin, one.stop + margin) for one in self.part
        )
        return Region(rows, columns).clipped(whole)


@dataclass(frozen=True)
class RegionPlan:
    """Regions that cover a plane.

    Attributes
    ----------
    shape : (int, int)
        Height and width of the plane in pixels.
    side : int
        Of a region in pixels; the last ones are smaller.
    rim : int
        Pixels that are read around a region.
    step : int
        Regions with their rims start on multiples of it.
    """

    shape: tuple[int, int]
    side: int
    rim: int
    step: int

    @classmethod
    def of(cls, grid: CellGrid, guide_radius: int, tile: int) -> RegionPlan:
        """Plan the regions of a plane."""
        step, blocks = window_blocks(grid.cell, guide_radius)
        # Two windows, one after the other, a block to interpolate, and a cell.
        rim = math.ceil(((2 * blocks + 1) * step + grid.cell + 1) / step) * step
        # Whole blocks, and whole pixels at every level of a pyramid.
        unit = math.lcm(step, 2 ** (LEVELS - 1))
        side = min(_SIDE, tile * grid.cell)
        return cls(grid.shape, unit * max(1, round(side / unit)), rim, step)

    @property
    def largest(self) -> tuple[int, int]:
        """Height and width of the largest region with its rim, in pixels."""
        height, width = (min(self.side + 2 * self.rim, n) for n in self.shape)
        return height, width

    @property
    def regions(self) -> tuple[Region, ...]:
        """All regions in reading order."""
        return tuple(cut_regions(self.shape, self.side))

    def outer(self, region: Region) -> Region:
        """Return a region with its rim, as far as the plane goes."""
        return region.widened(self.rim, self.shape)

    def around(self, rows: tuple[int, int], columns: tuple[int, int]) -> Region:
        """Return the smallest region on whole blocks that holds some pixels."""
        found = [
            slice(
                max(0, begin // self.step * self.step),
                min(length, math.ceil(end / self.step) * self.step),
            )
            for (begin, end), length in zip((rows, columns), self.shape, strict=True)
        ]
        return Region(*found)

    def nearest_first(self, points: NDArray[np.float64]) -> tuple[Region, ...]:
        """Order the regions by their distance to the nearest of some points.

        points: (N, 2) float64.
        """
        if len(points) == 0:
            return self.regions
        return tuple(sorted(self.regions, key=lambda region: _distance(region, points)))


def cut_regions(shape: tuple[int, int], side: int) -> Iterator[Region]:
    """Cut a plane into squares, row by row; the last of each are smaller."""
    for y in range(0, shape[0], side):
        for x in range(0, shape[1], side):
            rows = slice(y, min(y + side, shape[0]))
            yield Region(rows, slice(x, min(x + side, shape[1])))


def plan_regions(grid: CellGrid, backbone: Backbone) -> RegionPlan:
    """Plan the regions of a plane for a backbone."""
    tile = backbone.plan((_CELLS, _CELLS)).tiles[0].height
    return RegionPlan.of(grid, backbone.guide_radius(grid.cell), tile)


def _distance(region: Region, points: NDArray[np.float64]) -> float:
    low = np.array([region.rows.start, region.columns.start])
    high = np.array([region.rows.stop, region.columns.stop]) - 1
    apart = np.maximum(np.maximum(low - points, points - high), 0)
    # Of the regions that hold points, those with the points in their middle first.
    off = np.abs(points - np.asarray(region.middle))
    return float((np.hypot(*apart.T) + 1e-3 * np.hypot(*off.T)).min())
