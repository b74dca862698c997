"""Tiles: how a feature map too large for one pass is cut up and put together.

All sizes are in cells. A tile writes its *core* and reads a *halo* around it, which
is context only. Cores either abut (local filters, exact) or share cells, which are
blended with ramps (networks that look at the whole tile).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Tile", "TilePlan", "plan_abutting", "plan_overlapping"]

# They are listed before the first is computed.
_MOST_TILES = 4_000_000


@dataclass(frozen=True)
class Tile:
    """One tile's core.

    Attributes
    ----------
    row, column : int
        First cell of the core.
    height, width : int
        Size of the core in cells; it may reach beyond the grid.
    """

    row: int
    column: int
    height: int
    width: int


@dataclass(frozen=True)
class TilePlan:
    """Tiles that cover a grid of cells.

    Attributes
    ----------
    grid : (int, int)
        Rows and columns of cells.
    tiles : tuple of Tile
        All of one size, in reading order.
    halo : int
        Cells of context that a tile reads on each side and throws away.
    ramp : int
        Cells over which the weight of a core rises from each side, where it shares
        cells with a neighbour; 0 if cores never share any.
    align : int
        Where cores abut, any core that starts and ends on multiples of this gives the
        same vectors; 0 if they do not, and only the tiles of the plan will do.
    """

    grid: tuple[int, int]
    tiles: tuple[Tile, ...]
    halo: int
    ramp: int
    align: int

    @cached_property
    def starts(self) -> tuple[list[int], list[int]]:
        """First rows and first columns of the tiles; each pair of them is a tile."""
        rows = sorted({tile.row for tile in self.tiles})
        columns = sorted({tile.column for tile in self.tiles})
        return rows, columns

    def covering(
        self, first: tuple[int, int], cells: tuple[int, int]
    ) -> tuple[Tile, ...]:
        """Return the tiles that make the vectors of a window of cells.

        One made to measure where cores abut, else those of the plan that reach into the
        window, in their order.
        """
        if self.align:
            row, column = (start // self.align * self.align for start in first)
            height, width = (
                math.ceil((start + count - begin) / self.align) * self.align
                for start, count, begin in zip(first, cells, (row, column), strict=True)
            )
            return (Tile(row, column, height, width),)
        size = self.tiles[0].height, self.tiles[0].width
        # Not by looking at each: a huge plane has many tiles, and many windows.
        rows, columns = (
            every[
                bisect_right(every, start - length) : bisect_left(every, start + count)
            ]
            for every, start, count, length in zip(
                self.starts, first, cells, size, strict=True
            )
        )
        return tuple(Tile(row, column, *size) for row in rows for column in columns)

    def weights(self) -> NDArray[np.float32]:
        """Return the blending weight of each cell of a core.

        Returns (height, width) float32: in (0, 1]; a product of ramps that fall towards
        the borders of the core, so that no tile ends abruptly.
        """
        tile = self.tiles[0]
        rows = _ramp(tile.height, self.ramp)
        columns = _ramp(tile.width, self.ramp)
        return np.outer(rows, columns).astype(np.float32)


def _ramp(length: int, cells: int) -> NDArray[np.float64]:
    distance = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
    return np.minimum(distance / max(cells, 0.5), 1.0)


def _even_starts(cells: int, size: int, overlap: int) -> list[int]:
    """Spread tiles of one size evenly over an axis, overlapping by at least that."""
    if cells <= size:
        return [0]
    count = math.ceil((cells - overlap) / (size - overlap))
    return [round(i * (cells - size) / (count - 1)) for i in range(count)]


def _check_count(counts: list[float]) -> None:
    """Refuse more tiles than anybody would wait for, before they are listed."""
    count = math.prod(max(1.0, one) for one in counts)
    if count > _MOST_TILES:
        msg = (
            f"The image is too large at this upscale ({count:.0f} tiles); choose a "
            "lower upscale, or a part of the image."
        )
        raise InputError(msg)


def plan_overlapping(
    grid: tuple[int, int], *, size: int, overlap: int, ramp: int
) -> TilePlan:
    """Plan square tiles of a fixed size that stay on the grid, evenly spread.

    They share what they cover more than the grid, at least `overlap` cells. Along an
    axis shorter than the tile one tile reaches beyond the grid: the size that a network
    was trained on is kept. Weights rise over `ramp` cells from the border of a tile.
    """
    _check_count([(cells - overlap) / (size - overlap) for cells in grid])
    rows = _even_starts(grid[0], size, overlap)
    columns = _even_starts(grid[1], size, overlap)
    tiles = tuple(Tile(r, c, size, size) for r in rows for c in columns)
    return TilePlan(grid, tiles, halo=0, ramp=ramp, align=0)


def plan_abutting(
    grid: tuple[int, int], *, size: int, halo: int, align: int
) -> TilePlan:
    """Plan tiles whose cores abut and that read a halo; for filters of finite reach.

    Parameters
    ----------
    grid : (int, int)
        Rows and columns of cells.
    size : int
        Largest side of a core in cells, a multiple of `align`.
    halo : int
        Cells of context on each side, a multiple of `align`.
    align : int
        Cells that coarse levels of the filters lump together. Cores start and end
        on its multiples, so that tiling never shifts the coarse levels.

    Returns
    -------
    TilePlan
    """
    height, width = (min(size, math.ceil(cells / align) * align) for cells in grid)
    _check_count([grid[0] / height, grid[1] / width])
    tiles = tuple(
        Tile(row, column, height, width)
        for row in range(0, grid[0], height)
        for column in range(0, grid[1], width)
    )
    return TilePlan(grid, tiles, halo=halo, ramp=0, align=align)
