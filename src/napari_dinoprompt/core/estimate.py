"""How large the features of an image will be and how long they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from napari_dinoprompt.core.geometry import CellGrid

if TYPE_CHECKING:
    import torch

    from napari_dinoprompt.core.backbones.base import Backbone

__all__ = ["Estimate", "available_memory", "estimate"]

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
    """

    cells: tuple[int, int]
    cell: float
    bytes: int


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
    info = backbone.info
    grid = CellGrid(shape, info.patch, upscale)
    rows, columns = grid.cells
    # Blended tiles are summed up with a weight beside the vectors, then divided. A
    # plan of one cell tells; that of a huge grid would itself take long.
    copies = 2 if backbone.plan((1, 1)).overlap else 1
    size = rows * columns * info.dimension * _FLOAT_BYTES * copies
    size += shape[0] * shape[1] * _BYTES_PER_PIXEL
    return Estimate(grid.cells, grid.cell, size)


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
