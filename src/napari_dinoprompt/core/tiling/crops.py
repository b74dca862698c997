"""Tiles' crops of the canvas, read from the plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.resampling import resample, resampling_taps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.geometry import CellGrid
    from napari_dinoprompt.core.intensity import IntensityWindow
    from napari_dinoprompt.core.lazy_planes import LazyPlane
    from napari_dinoprompt.core.tiling.tiles import Tile

__all__ = ["CropReader"]


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
