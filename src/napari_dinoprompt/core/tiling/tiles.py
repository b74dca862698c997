"""Tiles: planned, their crops read, their vectors put together.

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
import torch

from napari_dinoprompt.core.errors import InputError, is_out_of_memory

from .grid import CellGrid, resample, resampling_taps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.images.intensity import IntensityWindow
    from napari_dinoprompt.core.images.lazy_plane import LazyPlane


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
        raise InputError(
            f"The image is too large at this upscale ({count:.0f} tiles); choose a "
            "lower upscale, or a part of the image."
        )


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


@dataclass(frozen=True, eq=False)
class CropReader:
    """Reads what a backbone sees of a tile.

    Attributes
    ----------
    plane : LazyPlane
    grid : CellGrid
        Of the whole plane.
    halo : int
        Cells of context on each side of a tile.
    window : IntensityWindow
    """

    plane: LazyPlane
    grid: CellGrid
    halo: int
    window: IntensityWindow

    def __call__(self, tile: Tile) -> NDArray[np.float32]:
        """Read the canvas of a tile and its halo.

        Returns (3, h, w) float32: in [0, 1]; grey three times.
        """
        patch, halo = self.grid.patch, self.halo
        starts, sizes = (tile.row, tile.column), (tile.height, tile.width)
        rows, columns = (
            resampling_taps(
                (start - halo) * patch,
                (start + size + halo) * patch,
                length=length,
                upscale=self.grid.upscale,
            )
            for start, size, length in zip(starts, sizes, self.grid.shape, strict=True)
        )
        part = self.window.apply(self.plane.read(rows.span, columns.span))
        canvas = resample(part, rows, columns)
        if canvas.ndim == 2:
            return np.ascontiguousarray(np.broadcast_to(canvas, (3, *canvas.shape)))
        return np.ascontiguousarray(np.moveaxis(canvas, 2, 0))


@dataclass(frozen=True, eq=False)
class TileSums:
    """Vectors of a window of cells, as a weighted mean where tiles overlap.

    Tiles are to be added in the order of the plan: then every window of the same plan
    has the same sums, to the bit.

    Attributes
    ----------
    first : (int, int)
        Row and column of the window's first cell.
    total : (rows, columns, D) tensor
    blend : (height, width, 1) tensor of float32 or None
        Weights of a tile's cells; None if tiles abut.
    weight : (rows, columns, 1) tensor of float32 or None
        Sum of the weights so far.
    kept_as : torch.dtype
        Of the mean.
    """

    first: tuple[int, int]
    total: torch.Tensor
    blend: torch.Tensor | None
    weight: torch.Tensor | None
    kept_as: torch.dtype

    @classmethod
    def over(
        cls,
        plan: TilePlan,
        first: tuple[int, int],
        cells: tuple[int, int],
        dimension: int,
        kept_as: torch.dtype,
        device: torch.device,
    ) -> TileSums:
        """Begin with nothing."""
        try:
            total = torch.zeros((*cells, dimension), device=device)
        except (MemoryError, RuntimeError) as error:
            if device.type == "cpu" or not is_out_of_memory(error):
                raise
            device = torch.device("cpu")
            total = torch.zeros((*cells, dimension))
        if plan.ramp == 0:
            return cls(first, total, None, None, kept_as)
        blend = torch.from_numpy(plan.weights()).to(device)[:, :, None]
        weight = torch.zeros((*cells, 1), device=device)
        return cls(first, total, blend, weight, kept_as)

    def add(self, tile: Tile, vectors: torch.Tensor) -> None:
        """Add a tile, as far as it lies in the window.

        vectors: (height, width, D).
        """
        rows, columns = (
            (max(begin, first), min(begin + length, first + size))
            for begin, length, first, size in (
                (tile.row, tile.height, self.first[0], self.total.shape[0]),
                (tile.column, tile.width, self.first[1], self.total.shape[1]),
            )
        )
        if rows[0] >= rows[1] or columns[0] >= columns[1]:
            return
        there = (
            slice(rows[0] - self.first[0], rows[1] - self.first[0]),
            slice(columns[0] - self.first[1], columns[1] - self.first[1]),
        )
        here = (
            slice(rows[0] - tile.row, rows[1] - tile.row),
            slice(columns[0] - tile.column, columns[1] - tile.column),
        )
        core = vectors[here].to(self.total.device)
        if self.blend is None or self.weight is None:
            self.total[there] = core
            return
        share = self.blend[here]
        self.total[there] += core * share
        self.weight[there] += share

    def mean(self) -> torch.Tensor:
        """Return the vectors.

        Returns (rows, columns, D) of `kept_as`.
        """
        if self.weight is not None:
            self.total.div_(self.weight)
        return self.total.to(self.kept_as)
