"""Similarities that follow the edges of the image.

A cell is as large as a part of an object; its similarity, spread over its pixels,
ends somewhere near the object's rim. The image itself knows where the rim is: within
a small window, similarity is fitted as a linear function of the light, and where the
light has an edge, the similarity gets one.

References
----------
He, Sun, Tang, "Guided image filtering", IEEE TPAMI 35, 2013, equations 5, 6 and 8; on
a coarser grid as in He, Sun, "Fast guided filter", arXiv:1505.00996, 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.tiling.grid import CellGrid


# Variance of the light (in [0, 1]) below which it is taken for noise.
_NOISE = 1e-3
# Blocks in half a window: enough for its statistics where cells are large.
_BLOCKS = 4


@dataclass(frozen=True, eq=False)
class Guide:
    """The light of a plane and its local mean and variance.

    Attributes
    ----------
    light : (H, W) tensor of float32
        In [0, 1].
    coarse : (h, w) tensor of float32
        Light in blocks of `step` pixels.
    mean, variance : (h, w) tensors of float32
        Of the light in the window around each block.
    step : int
        Pixels per block.
    radius : int
        Blocks from the middle of a window to its rim.
    """

    light: torch.Tensor
    coarse: torch.Tensor
    mean: torch.Tensor
    variance: torch.Tensor
    step: int
    radius: int

    @classmethod
    def of(cls, light: torch.Tensor, cell: float, radius: int) -> Guide:
        """Measure the light of a plane.

        light: (H, W) float32, in [0, 1].
        """
        step, blocks = window_blocks(cell, radius)
        coarse = _blocks(light, step)
        mean = _window_mean(coarse, blocks)
        variance = _window_mean(_blocks(light * light, step), blocks) - mean * mean
        return cls(light, coarse, mean, variance.clamp_min_(0), step, blocks)

    def fit(self, cells: torch.Tensor, grid: CellGrid) -> GuidedCells:
        """Fit cell values to the light.

        cells: (K, rows, columns) float32.
        """
        values = look_up(cells, grid, tuple(self.coarse.shape), self.step)
        mean = _window_mean(values, self.radius)
        joint = _window_mean(values * self.coarse, self.radius)
        slope = (joint - self.mean * mean) / (self.variance + _NOISE)
        offset = mean - slope * self.mean
        return GuidedCells(
            self, _window_mean(slope, self.radius), _window_mean(offset, self.radius)
        )


@dataclass(frozen=True, eq=False)
class GuidedCells:
    """Values of cells as a function of the light: ``slope * light + offset``.

    Attributes
    ----------
    guide : Guide
    slope, offset : (K, h, w) tensors of float32
        One each per block of the guide.
    """

    guide: Guide
    slope: torch.Tensor
    offset: torch.Tensor

    def blocks(self, number: int) -> torch.Tensor:
        """Return the values of the blocks.

        Returns (h, w) float32.
        """
        return self.slope[number] * self.guide.coarse + self.offset[number]

    def at(self, pixels: NDArray[np.int64]) -> torch.Tensor:
        """Return the values of some pixels, as `pixels` has them.

        pixels: (N, 2) int64, rows and columns. Returns (K, N) float32.
        """
        places = (pixels + 0.5) / self.guide.step - 0.5
        slope, offset = (bilinear(one, places) for one in (self.slope, self.offset))
        rows, columns = torch.from_numpy(pixels.T).to(slope.device)
        return torch.addcmul(offset, slope, self.guide.light[rows, columns])

    def pixels(self) -> torch.Tensor:
        """Return the values of the pixels.

        Returns (K, H, W) float32.
        """
        slope, offset = self._enlarge(self.slope), self._enlarge(self.offset)
        return torch.addcmul(offset, slope, self.guide.light)

    def _enlarge(self, blocks: torch.Tensor) -> torch.Tensor:
        height, width = self.guide.light.shape
        step = self.guide.step
        if step == 1:
            return blocks
        fine = F.interpolate(
            blocks[None], scale_factor=step, mode="bilinear", align_corners=False
        )
        return fine[0, :, :height, :width]


def window_blocks(cell: float, radius: int) -> tuple[int, int]:
    """Settle the blocks in which a plane is looked at.

    step, blocks: pixels per block, and blocks from the middle of a window to its rim.
    """
    # Where several cells fit in half a window, blocks finer than cells add nothing.
    step = max(1, int(cell) if radius > 1 else int(cell * radius / _BLOCKS))
    return step, max(1, round(cell * radius / step))


def _blocks(light: torch.Tensor, step: int) -> torch.Tensor:
    """Average over blocks; the last ones repeat the edge of the plane."""
    if step == 1:
        return light
    height, width = light.shape
    padded = F.pad(light[None], (0, -width % step, 0, -height % step), "replicate")
    return F.avg_pool2d(padded, step)[0]


def _window_mean(blocks: torch.Tensor, radius: int) -> torch.Tensor:
    """Average over windows, the edge repeated outside; (..., h, w) in and out.

    Sums of shifted views: pooling with stride 1 is many times slower on a CPU.
    """
    side = 2 * radius + 1
    planes = blocks.reshape(-1, 1, *blocks.shape[-2:])
    padded = F.pad(planes, (radius, radius, radius, radius), "replicate")
    for axis in (-1, -2):
        length = padded.shape[axis] - 2 * radius
        total = padded.narrow(axis, 0, length).clone()
        for shift in range(1, side):
            total += padded.narrow(axis, shift, length)
        padded = total
    return (padded / (side * side)).reshape(blocks.shape)


def bilinear(values: torch.Tensor, places: NDArray[np.float64]) -> torch.Tensor:
    """Interpolate between the values of a grid, whose edge is repeated outside.

    values: (K, rows, columns); places: (N, 2) float64, in rows and columns. Returns
    (K, N) float32.
    """
    last = np.asarray(values.shape[1:]) - 1
    position = np.clip(places, 0, last)
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, last)
    share = torch.from_numpy((position - low).astype(np.float32)).to(values.device)
    (top, left), (bottom, right) = (
        torch.from_numpy(one.T).to(values.device) for one in (low, high)
    )
    dy, dx = share.T
    # In half precision, values of networks are widened.
    corners = (
        values[:, row, column].float()
        for row in (top, bottom)
        for column in (left, right)
    )
    upper_left, upper_right, lower_left, lower_right = corners
    above = torch.lerp(upper_left, upper_right, dx)
    below = torch.lerp(lower_left, lower_right, dx)
    return torch.lerp(above, below, dy)


def look_up(
    cells: torch.Tensor, grid: CellGrid, shape: tuple[int, ...], step: int
) -> torch.Tensor:
    """Look up cell values at the centres of blocks of pixels, bilinearly.

    cells: (K, rows, columns) float32. Returns (K, h, w) float32: beyond the outermost
    cell centres the nearest cells count.
    """
    same = grid.cell == step and tuple(cells.shape[1:]) == shape
    if same and not any(grid.origin):
        return cells
    # In the units of grid_sample: -1 and 1 are the outer edges of the grid. Double
    # precision, since the far end of a large plane would drift.
    along = [
        2
        * ((torch.arange(blocks, dtype=torch.float64) + 0.5) * step - start)
        / grid.cell
        / count
        - 1
        for blocks, count, start in zip(
            shape, cells.shape[1:], grid.origin, strict=True
        )
    ]
    y, x = torch.meshgrid(*along, indexing="ij")
    where = torch.stack((x, y), dim=-1).to(cells.device, cells.dtype)
    found = F.grid_sample(
        cells[None], where[None], padding_mode="border", align_corners=False
    )
    return found[0]
