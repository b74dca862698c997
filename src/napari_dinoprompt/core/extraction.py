"""From an image plane to its feature map, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import psutil
import torch

from napari_dinoprompt.core.content_hash import hash_plane
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features import FeatureMap
from napari_dinoprompt.core.geometry import CellGrid
from napari_dinoprompt.core.intensity import IntensityWindow, measure_window
from napari_dinoprompt.core.lazy_planes import LazyPlane
from napari_dinoprompt.core.planes import (
    as_plane,
    no_data_pixels,
    plane_shape,
    shows_nothing,
)
from napari_dinoprompt.core.progress import Notice, Progress, runs_to_end
from napari_dinoprompt.core.tiling.crops import CropReader
from napari_dinoprompt.core.tiling.runs import run_tiles
from napari_dinoprompt.core.tiling.sums import TileSums

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone

__all__ = [
    "check_memory",
    "extract_features",
    "iter_features",
    "light_of",
    "whole_bytes",
]

_FLOAT_BYTES = 4
# The map and what scoring keeps beside it: lengths, light, fit, similarities, masks.
_BYTES_PER_PIXEL = 56


def iter_features(
    image: ArrayLike,
    backbone: Backbone,
    *,
    upscale: float = 1.0,
    window: IntensityWindow | tuple[float, float] | None = None,
) -> Generator[Progress | Notice, None, FeatureMap]:
    """Compute the feature map of an image plane.

    `extract_features` does it at once, `iter_features` step by step.

    Parameters
    ----------
    image : (H, W) or (H, W, 3 or 4) array_like
        Grey or RGB(A).
    backbone : Backbone
        From `load_backbone`.
    upscale : float
        How much the image is enlarged before the backbone; any number above 0.
    window : IntensityWindow, (low, high) or None
        Grey values that map to 0 and 1; None takes them from the image itself.

    Yields
    ------
    Progress
        After each batch of tiles; the work can be stopped there.
    Notice
        If the device was too small.

    Returns
    -------
    FeatureMap

    Raises
    ------
    InputError
        If the image, the upscale or the window cannot be used, or the features would
        not fit into memory; `lazy_features` has those of a plane of any size.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> dp.extract_features(image, backbone).vectors.shape
    torch.Size([80, 80, 30])
    >>> work = dp.iter_features(image, backbone)
    >>> progress = next(work)  # one batch of tiles is done; a loop may stop here
    >>> progress.done <= progress.total
    True
    """
    plane = as_plane(image)
    if window is None:
        window = measure_window(plane)
    elif not isinstance(window, IntensityWindow):
        window = IntensityWindow(*window)
    info = backbone.info
    grid = CellGrid(plane_shape(plane), info.patch, upscale)
    check_memory(whole_bytes(grid, backbone), backbone.device)
    plan = backbone.plan(grid.cells)
    sums = TileSums.over(
        plan, (0, 0), grid.cells, info.dimension, backbone.kept_as, backbone.device
    )
    read = CropReader(LazyPlane(plane), grid, plan.halo, window)
    done = 0
    for found in run_tiles(plan.tiles, read, backbone, backbone.cache):
        if isinstance(found, Notice):
            yield found
            continue
        for one in found:
            sums.add(one.tile, one.vectors)
        done += len(found)
        yield Progress(done, len(plan.tiles))
    vectors = sums.mean()
    return FeatureMap(
        vectors=vectors,
        grid=grid,
        backbone=info,
        scoring=backbone.scoring,
        window=window,
        light=light_of(plane, window).to(vectors.device),
        guide_radius=backbone.guide_radius(grid.cell),
        no_data=no_data_pixels(plane),
        featureless=shows_nothing(plane),
        content_hash=hash_plane(plane),
    )


extract_features = runs_to_end("extract_features", iter_features)


def whole_bytes(grid: CellGrid, backbone: Backbone) -> int:
    """Estimate the memory for a whole feature map and its scoring."""
    rows, columns = grid.cells
    # Blended tiles are summed up with a weight beside the vectors, then divided. A
    # plan of one cell tells; that of a huge grid would itself take long.
    copies = 2 if backbone.plan((1, 1)).ramp else 1
    size = rows * columns * backbone.info.dimension * _FLOAT_BYTES * copies
    return size + grid.shape[0] * grid.shape[1] * _BYTES_PER_PIXEL


def check_memory(needed: int, device: torch.device) -> None:
    """Refuse what needs more bytes than are free where features go."""
    if device.type == "cuda":
        free = int(torch.cuda.mem_get_info(device)[0])
    else:
        free = int(psutil.virtual_memory().available)
    if needed > free:
        msg = (
            f"The features would need about {needed / 1e9:.1f} GB, more than "
            "is free. Choose a lower upscale, a smaller backbone or a part of the "
            "image."
        )
        raise InputError(msg)


def light_of(plane: NDArray[np.generic], window: IntensityWindow) -> torch.Tensor:
    """Return how bright each pixel looks; the root, since its noise is even.

    plane: (H, W) or (H, W, 3). Returns (H, W) float32: in [0, 1].
    """
    windowed = window.apply(plane)
    grey = windowed if windowed.ndim == 2 else windowed.mean(axis=2)
    return torch.from_numpy(np.sqrt(grey))
