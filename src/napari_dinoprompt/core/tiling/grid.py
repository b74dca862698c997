"""Where cells lie on a plane, and reading any part of it enlarged.

Pixel centres are at integers and a plane covers [-0.5, H - 0.5]. Cell (i, j) covers
cell-size x cell-size pixels from the top left edge, so its centre is at
``(i + 0.5) * cell - 0.5``.

Reading any part of an enlarged or reduced plane, mirrored beyond its edges.

The *canvas* is the picture that a backbone sees: canvas pixel n lies at
``(n + 0.5) / upscale - 0.5`` in image pixels. The factor is never rounded into a
whole number of pixels, so that any real upscale is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


_ROUNDING = 1e-12
# In cells: what is left of a plane is the difference of large numbers.
_SLIVER = 1e-9
# In pixels; a cell may be larger where the plane is not much smaller.
_LARGEST_CELL = 1024

# Catmull-Rom: interpolates and reproduces quadratics (Keys, IEEE TASSP 29, 1981).
_CUBIC_A = -0.5


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
            raise InputError(
                f"At an upscale of {self.upscale:g} one cell dwarfs the image; "
                "choose a larger one."
            )

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

    def part(self, rows: slice, columns: slice) -> tuple[tuple[int, int], CellGrid]:
        """Return the first cell and the grid over a part of the plane.

        Cells stay where they are, so the first may begin before the part.
        """
        cell, (top, left) = self.cell, self.origin
        first = (
            math.floor((rows.start - top) / cell),
            math.floor((columns.start - left) / cell),
        )
        origin = (
            top + first[0] * cell - rows.start,
            left + first[1] * cell - columns.start,
        )
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        return first, replace(self, shape=shape, origin=origin)

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
            raise InputError(
                f"The point (y={y:g}, x={x:g}) lies outside the image of "
                f"{height} x {width} pixels."
            )


def lies_on_plane(
    points: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Tell which points lie on a plane, its edges included.

    points: (N, 2), y and x in pixels. Returns (N,) bool.
    """
    upper = np.asarray(shape) - 0.5
    return np.asarray(((points >= -0.5) & (points <= upper)).all(axis=1))


@dataclass(frozen=True)
class Taps:
    """Which source pixels make each canvas pixel along one axis.

    Attributes
    ----------
    indices : (n, k) ndarray of int64
        Source pixels, inside the plane.
    weights : (n, k) ndarray of float32
        Rows sum to 1.
    """

    indices: NDArray[np.int64]
    weights: NDArray[np.float32]

    @property
    def span(self) -> slice:
        """The smallest contiguous run of source pixels that holds all indices."""
        return slice(int(self.indices.min()), int(self.indices.max()) + 1)


def mirror(indices: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Fold indices into [0, length) as if the plane were mirrored at its edges.

    The edge pixel is repeated (… 1 0 | 0 1 …), which is defined for every length
    down to 1.
    """
    folded = np.mod(indices, 2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(distance)
    near = (_CUBIC_A + 2) * x**3 - (_CUBIC_A + 3) * x**2 + 1
    far = _CUBIC_A * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def resampling_taps(start: int, stop: int, *, length: int, upscale: float) -> Taps:
    """Compute the taps of canvas pixels ``start`` to ``stop`` along one axis.

    Cubic convolution; when reducing, the kernel is widened by 1 / upscale against
    aliasing.
    """
    canvas = np.arange(start, stop)
    if upscale == 1:
        return Taps(
            mirror(canvas, length)[:, None], np.ones((len(canvas), 1), dtype=np.float32)
        )
    stretch = max(1.0, 1.0 / upscale)
    centres = (canvas + 0.5) / upscale - 0.5
    first = np.floor(centres - 2 * stretch).astype(np.int64) + 1
    count = int(np.ceil(4 * stretch))
    indices = first[:, None] + np.arange(count)
    weights = _cubic((indices - centres[:, None]) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    indices = mirror(indices, length)
    if count > length:
        indices, weights = _once_each(indices, weights, length)
    return Taps(indices, weights.astype(np.float32))


def _once_each(
    indices: NDArray[np.int64], weights: NDArray[np.float64], length: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Add up the weights of each source pixel: thousands of taps may mean a few."""
    rows = np.arange(len(indices))[:, None]
    summed = np.bincount(
        (rows * length + indices).ravel(),
        weights=weights.ravel(),
        minlength=len(indices) * length,
    ).reshape(-1, length)
    pixels = np.broadcast_to(np.arange(length), summed.shape)
    return pixels, summed.astype(np.float64)


def _along_first_axis(
    values: NDArray[np.float32], taps: Taps, offset: int
) -> NDArray[np.float32]:
    indices = taps.indices - offset
    if indices.shape[1] == 1:
        return values[indices[:, 0]]
    shape = (-1,) + (1,) * (values.ndim - 1)
    out = taps.weights[:, 0].reshape(shape) * values[indices[:, 0]]
    for tap in range(1, indices.shape[1]):
        out += taps.weights[:, tap].reshape(shape) * values[indices[:, tap]]
    return out


def resample(
    values: NDArray[np.float32], rows: Taps, columns: Taps
) -> NDArray[np.float32]:
    """Apply taps along both axes of the part of a plane that they span.

    values: (h, w) or (h, w, C) float32. Returns (n_rows, n_columns[, C]) float32:
    clipped to [0, 1]: cubic kernels overshoot at edges.
    """
    tall = _along_first_axis(values, rows, rows.span.start)
    wide = _along_first_axis(np.swapaxes(tall, 0, 1), columns, columns.span.start)
    return np.clip(np.swapaxes(wide, 0, 1), 0.0, 1.0)
