"""Regions: how a plane is cut up when its similarities are brought to pixels.

A region is computed from its pixels, its cells, and a rim of both. The rim is as wide
as the fit to the light looks, so that regions meet without a seam.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.guidance import window_blocks
from napari_dinoprompt.core.lazy_planes import LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.geometry import CellGrid

__all__ = ["Region", "RegionPlan", "crowd", "plan_regions"]

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

    def within(self, outer: Region) -> tuple[slice, slice]:
        """Return where this region lies in a larger one that holds it."""
        rows, columns = (
            slice(mine.start - its.start, mine.stop - its.start)
            for mine, its in (
                (self.rows, outer.rows),
                (self.columns, outer.columns),
            )
        )
        return rows, columns


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
        """Plan the regions of a plane.

        Parameters
        ----------
        grid : CellGrid
            Of the plane.
        guide_radius : int
            As `Backbone.guide_radius` tells it, in cells.
        tile : int
            Side of the backbone's tiles in cells: smaller regions would cost more,
            and of larger ones the first would come later.

        Returns
        -------
        RegionPlan
        """
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
        height, width = self.shape
        return tuple(
            Region(
                slice(y, min(y + self.side, height)),
                slice(x, min(x + self.side, width)),
            )
            for y in range(0, height, self.side)
            for x in range(0, width, self.side)
        )

    def outer(self, region: Region) -> Region:
        """Return a region with its rim, as far as the plane goes."""
        rows, columns = (
            slice(max(0, part.start - self.rim), min(length, part.stop + self.rim))
            for part, length in zip(
                (region.rows, region.columns), self.shape, strict=True
            )
        )
        return Region(rows, columns)

    def around(self, rows: tuple[int, int], columns: tuple[int, int]) -> Region:
        """Return the smallest region on whole blocks that holds some pixels.

        Parameters
        ----------
        rows, columns : (int, int)
            First pixel, and the one after the last; they may lie outside the plane.

        Returns
        -------
        Region
        """
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

        Parameters
        ----------
        points : (N, 2) ndarray of float64
            y and x in pixels: what the user looks at, and prompts. With none, the
            regions stay in reading order.

        Returns
        -------
        tuple of Region
        """
        if len(points) == 0:
            return self.regions
        return tuple(sorted(self.regions, key=lambda region: _distance(region, points)))


def plan_regions(grid: CellGrid, backbone: Backbone) -> RegionPlan:
    """Plan the regions of a plane for a backbone.

    Parameters
    ----------
    grid : CellGrid
        Of the plane.
    backbone : Backbone

    Returns
    -------
    RegionPlan
    """
    tile = backbone.plan((_CELLS, _CELLS)).tiles[0].height
    return RegionPlan.of(grid, backbone.guide_radius(grid.cell), tile)


def _distance(region: Region, points: NDArray[np.float64]) -> float:
    low = np.array([region.rows.start, region.columns.start])
    high = np.array([region.rows.stop, region.columns.stop]) - 1
    apart = np.maximum(np.maximum(low - points, points - high), 0)
    # Of the regions that hold points, those with the points in their middle first.
    off = np.abs(points - np.asarray(region.middle))
    return float((np.hypot(*apart.T) + 1e-3 * np.hypot(*off.T)).min())


def crowd(points: NDArray[np.float64], side: float) -> Sequence[NDArray[np.int64]]:
    """Gather points that fit together into squares.

    Parameters
    ----------
    points : (N, 2) ndarray of float64
    side : float
        Of the squares, in pixels.

    Returns
    -------
    sequence of ndarray of int64
        Indices of the points of each square; each point is in one.
    """
    left = np.arange(len(points))
    groups = []
    while len(left):
        near = np.abs(points[left] - points[left[0]]).max(axis=1) <= side / 2
        groups.append(left[near])
        left = left[~near]
    return groups
