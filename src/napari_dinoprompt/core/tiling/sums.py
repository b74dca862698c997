"""Putting the vectors of tiles together: side by side, or blended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_dinoprompt.core.errors import is_out_of_memory

if TYPE_CHECKING:
    from napari_dinoprompt.core.tiling.tiles import Tile, TilePlan

__all__ = ["TileSums"]


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
