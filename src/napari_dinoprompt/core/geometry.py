"""Where cells lie on a plane.

Pixel centres are at integers and a plane covers [-0.5, H - 0.5]. Cell (i, j) covers
cell-size x cell-size pixels from the top left edge, so its centre is at
``(i + 0.5) * cell - 0.5``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["CellGrid", "lies_on_plane"]

_ROUNDING = 1e-12
# In cells: what is left of a plane is the difference of large numbers.
_SLIVER = 1e-9
# In pixels; a cell may be larger where the plane is not much smaller.
_LARGEST_CELL = 1024


@dataclass(frozen=True)
class CellGrid:
    """The grid of cells over one plane.

    Attributes
    ----------
    shape : (int, int)
        Height and width of the plane in pixels.
    patch : int
        Canvas pixels per cell.
    upscale : float
        Canvas pixels per image pixel.
    origin : (float, float)
        How far the edge of the first cell lies beyond that of the plane, in pixels:
        0, or negative where the plane is a part of a larger one, whose cells it shares.
    """

    shape: tuple[int, int]
    patch: int
    upscale: float
    origin: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.upscale) and self.upscale > 0):
            msg = f"The upscale must be a number above 0, not {self.upscale}."
            raise InputError(msg)
        if self.cell > max(8 * max(self.shape), _LARGEST_CELL):
            msg = (
                f"At an upscale of {self.upscale:g} one cell dwarfs the image; "
                "choose a larger one."
            )
            raise InputError(msg)

    @property
    def cell(self) -> float:
        """Side of a cell in image pixels."""
        return self.patch / self.upscale

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells; the last ones may reach beyond the plane."""
        exact = (
            # 115 * 2.2 is 253 and a rounding error, which must not cost a cell.
            (pixels - start) * self.upscale / self.patch * (1 - _ROUNDING) - _SLIVER
            for pixels, start in zip(self.shape, self.origin, strict=True)
        )
        rows, columns = (max(1, math.ceil(count)) for count in exact)
        return rows, columns

    def cell_centres(self, indices: ArrayLike) -> NDArray[np.float64]:
        """Return the pixel coordinates of cell centres.

        indices: (..., 2) array_like, row and column of cells. Returns (..., 2) float64.
        """
        cells = np.asarray(indices, dtype=np.float64) + 0.5
        return cells * self.cell + (np.asarray(self.origin) - 0.5)

    def to_cells(self, points: ArrayLike) -> NDArray[np.float64]:
        """Express pixel coordinates in cells; cell centres are at integers.

        points: (..., 2) array_like, y and x in pixels. Returns (..., 2) float64.
        """
        pixels = np.asarray(points, dtype=np.float64) + (0.5 - np.asarray(self.origin))
        return pixels / self.cell - 0.5

    def nearest_pixels(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the pixels that points lie on; (N, 2) in and out."""
        last = np.asarray(self.shape) - 1
        return np.clip(np.floor(points + 0.5), 0, last).astype(np.int64)

    def contains(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which points lie on the plane.

        points: (N, 2), y and x in pixels. Returns (N,) bool.
        """
        return lies_on_plane(points, self.shape)

    def check(self, points: NDArray[np.float64]) -> None:
        """Refuse points that do not lie on the plane.

        points: (N, 2), y and x in pixels.
        """
        outside = ~self.contains(points)
        if outside.any():
            y, x = points[outside][0]
            height, width = self.shape
            msg = (
                f"The point (y={y:g}, x={x:g}) lies outside the image of "
                f"{height} x {width} pixels."
            )
            raise InputError(msg)


def lies_on_plane(
    points: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Tell which points lie on a plane, its edges included.

    points: (N, 2), y and x in pixels. Returns (N,) bool.
    """
    upper = np.asarray(shape) - 0.5
    return np.asarray(((points >= -0.5) & (points <= upper)).all(axis=1))
