"""How large the features of an image will be and how long they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_dinoprompt.core.features.extraction import whole_bytes
from napari_dinoprompt.core.features.regions import plan_regions
from napari_dinoprompt.core.tiling.grid import CellGrid

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones.base import Backbone


# A plane that takes more is done part by part. The same on every machine: what is
# sampled of a large plane must not depend on how much memory is free.
_WHOLE_BYTES = 2_500_000_000
# What is in memory then beside a region: the sample, and the tokens of some tiles.
_PARTS_BYTES = 700_000_000
# What filters and sums hold of a region on the way; measured.
_COPIES_OF_PART = 4
# Two similarities, claims and the cleaned mask at all levels of the pyramid.
_BYTES_ON_DISK = 19


@dataclass(frozen=True)
class Estimate:
    """What an extraction will need.

    Attributes
    ----------
    cells : (int, int)
        Rows and columns of the feature map.
    cell : float
        Side of a cell in image pixels.
    bytes : int
        Memory for the features and for scoring them.
    disk : int
        Bytes on the disk for the results of one class; 0 if they are in memory.
    """

    cells: tuple[int, int]
    cell: float
    bytes: int
    disk: int

    @property
    def whole(self) -> bool:
        """Whether the features are held as a whole; if not, it goes part by part."""
        return self.disk == 0


def estimate(shape: tuple[int, int], backbone: Backbone, upscale: float) -> Estimate:
    """Estimate the feature map of a plane."""
    grid = CellGrid(shape, backbone.info.patch, upscale)
    size = whole_bytes(grid, backbone)
    if size <= _WHOLE_BYTES:
        return Estimate(grid.cells, grid.cell, size, disk=0)
    disk = shape[0] * shape[1] * _BYTES_ON_DISK
    return Estimate(grid.cells, grid.cell, _part_bytes(grid, backbone), disk)


def _part_bytes(grid: CellGrid, backbone: Backbone) -> int:
    """Estimate the memory that it takes to go through a plane region by region."""
    regions = plan_regions(grid, backbone)
    height, width = regions.largest
    part = CellGrid((height, width), grid.patch, grid.upscale)
    return _PARTS_BYTES + _COPIES_OF_PART * whole_bytes(part, backbone)


def fits_whole(shape: tuple[int, int], backbone: Backbone, upscale: float) -> bool:
    """Tell whether the features of a plane are held as a whole.

    If not, the plane is done part by part.
    """
    return estimate(shape, backbone, upscale).whole
