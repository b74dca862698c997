"""How large the features of an image will be and how long they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.geometry import CellGrid

if TYPE_CHECKING:
    import torch

    from napari_dinoprompt.core.backbones.base import Backbone

__all__ = [
    "Estimate",
    "available_memory",
    "check_memory",
    "estimate",
    "fits_whole",
    "whole_bytes",
]

# A plane that takes more is done part by part. The same on every machine: what is
# sampled of a large plane must not depend on how much memory is free.
_WHOLE_BYTES = 2_500_000_000
# What is in memory then beside a region: the sample, and the tokens of some tiles.
_PARTS_BYTES = 700_000_000
# What filters and sums hold of a region on the way; measured.
_COPIES_OF_PART = 4
# Similarity, claims and the cleaned mask at all levels of the pyramid.
_BYTES_ON_DISK = 14

_FLOAT_BYTES = 4
# The map and what scoring keeps beside it: lengths, light, fit, similarities, masks.
_BYTES_PER_PIXEL = 56


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
    """Estimate the feature map of a plane.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the plane in pixels.
    backbone : Backbone
    upscale : float

    Returns
    -------
    Estimate

    Raises
    ------
    InputError
        If the upscale cannot be used.
    """
    grid = CellGrid(shape, backbone.info.patch, upscale)
    size = whole_bytes(grid, backbone)
    if size <= _WHOLE_BYTES:
        return Estimate(grid.cells, grid.cell, size, disk=0)
    disk = shape[0] * shape[1] * _BYTES_ON_DISK
    return Estimate(grid.cells, grid.cell, _part_bytes(grid, backbone), disk)


def _part_bytes(grid: CellGrid, backbone: Backbone) -> int:
    """Estimate the memory that it takes to go through a plane region by region."""
    from napari_dinoprompt.core.streaming.regions import plan_regions

    regions = plan_regions(grid, backbone)
    height, width = regions.largest
    part = CellGrid((height, width), grid.patch, grid.upscale)
    return _PARTS_BYTES + _COPIES_OF_PART * whole_bytes(part, backbone)


def whole_bytes(grid: CellGrid, backbone: Backbone) -> int:
    """Estimate the memory for a feature map that is held as a whole, and its scoring.

    Parameters
    ----------
    grid : CellGrid
        Of the plane.
    backbone : Backbone

    Returns
    -------
    int
        Bytes.
    """
    rows, columns = grid.cells
    # Blended tiles are summed up with a weight beside the vectors, then divided. A
    # plan of one cell tells; that of a huge grid would itself take long.
    copies = 2 if backbone.plan((1, 1)).ramp else 1
    size = rows * columns * backbone.info.dimension * _FLOAT_BYTES * copies
    return size + grid.shape[0] * grid.shape[1] * _BYTES_PER_PIXEL


def fits_whole(shape: tuple[int, int], backbone: Backbone, upscale: float) -> bool:
    """Tell whether the features of a plane are held as a whole.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the plane in pixels.
    backbone : Backbone
    upscale : float

    Returns
    -------
    bool
        If not, the plane is done part by part.

    Raises
    ------
    InputError
        If the upscale cannot be used.
    """
    return estimate(shape, backbone, upscale).whole


def check_memory(needed: int, device: torch.device) -> None:
    """Refuse what would not fit into memory.

    Parameters
    ----------
    needed : int
        Bytes.
    device : torch.device
        Where the features go.

    Raises
    ------
    InputError
        If less is free than they need.
    """
    if needed > available_memory(device):
        msg = (
            f"The features would need about {needed / 1e9:.1f} GB, more than "
            "is free. Choose a lower upscale, a smaller backbone or a part of the "
            "image."
        )
        raise InputError(msg)


def available_memory(device: torch.device) -> int:
    """Return the bytes of memory that programs can still take where features go.

    Parameters
    ----------
    device : torch.device
        Of a CUDA card its own memory counts, else the main memory.

    Returns
    -------
    int
    """
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
