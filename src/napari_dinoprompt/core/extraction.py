"""From an image plane to its feature map, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.content_hash import hash_plane
from napari_dinoprompt.core.features import FeatureMap
from napari_dinoprompt.core.geometry import CellGrid
from napari_dinoprompt.core.intensity import IntensityWindow, measure_window
from napari_dinoprompt.core.planes import (
    as_plane,
    no_data_pixels,
    plane_shape,
    shows_nothing,
)
from napari_dinoprompt.core.progress import Progress, run_through
from napari_dinoprompt.core.resampling import resample, resampling_taps

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.tiles import Tile, TilePlan

__all__ = ["extract_features", "iter_features"]


def extract_features(
    image: ArrayLike,
    backbone: Backbone,
    *,
    upscale: float = 1.0,
    window: IntensityWindow | tuple[float, float] | None = None,
) -> FeatureMap:
    """Compute the feature map of an image plane.

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

    Returns
    -------
    FeatureMap

    Raises
    ------
    InputError
        If the image, the upscale or the window cannot be used.
    """
    return run_through(iter_features(image, backbone, upscale=upscale, window=window))


def iter_features(
    image: ArrayLike,
    backbone: Backbone,
    *,
    upscale: float = 1.0,
    window: IntensityWindow | tuple[float, float] | None = None,
) -> Generator[Progress, None, FeatureMap]:
    """Compute a feature map as a generator, so that the work can be stopped.

    Parameters
    ----------
    image, backbone, upscale, window
        As `extract_features`.

    Yields
    ------
    Progress
        After each batch of tiles.

    Returns
    -------
    FeatureMap

    Raises
    ------
    InputError
        As `extract_features`.
    """
    plane = as_plane(image)
    if window is None:
        window = measure_window(plane)
    elif not isinstance(window, IntensityWindow):
        window = IntensityWindow(*window)
    info = backbone.info
    grid = CellGrid(plane_shape(plane), info.patch, upscale)
    plan = backbone.plan(grid.cells)
    vectors = _Accumulator.over(plan, info.dimension, backbone.device)
    done = 0
    for start in range(0, len(plan.tiles), backbone.batch_size):
        tiles = plan.tiles[start : start + backbone.batch_size]
        crops = np.stack([_crop(plane, tile, plan, grid, window) for tile in tiles])
        for tile, core in zip(tiles, backbone(torch.from_numpy(crops)), strict=True):
            vectors.add(tile, core)
        done += len(tiles)
        yield Progress(done, len(plan.tiles))
    return FeatureMap(
        vectors=vectors.mean(),
        grid=grid,
        backbone=info,
        scoring=backbone.scoring,
        window=window,
        light=_light(plane, window).to(backbone.device),
        guide_radius=backbone.guide_radius(grid.cell),
        no_data=no_data_pixels(plane),
        featureless=shows_nothing(plane),
        content_hash=hash_plane(plane),
    )


def _light(plane: NDArray[np.generic], window: IntensityWindow) -> torch.Tensor:
    """Return how bright each pixel looks; the root, since its noise is even."""
    windowed = window.apply(plane)
    grey = windowed if windowed.ndim == 2 else windowed.mean(axis=2)
    return torch.from_numpy(np.sqrt(grey))


def _crop(
    plane: NDArray[np.generic],
    tile: Tile,
    plan: TilePlan,
    grid: CellGrid,
    window: IntensityWindow,
) -> NDArray[np.float32]:
    """Read the canvas of a tile and its halo as (3, h, w) in [0, 1]."""
    patch, halo = grid.patch, plan.halo
    rows = resampling_taps(
        (tile.row - halo) * patch,
        (tile.row + tile.height + halo) * patch,
        length=grid.shape[0],
        upscale=grid.upscale,
    )
    columns = resampling_taps(
        (tile.column - halo) * patch,
        (tile.column + tile.width + halo) * patch,
        length=grid.shape[1],
        upscale=grid.upscale,
    )
    part = window.apply(plane[rows.span, columns.span])
    canvas = resample(part, rows, columns)
    if canvas.ndim == 2:
        return np.ascontiguousarray(np.broadcast_to(canvas, (3, *canvas.shape)))
    return np.ascontiguousarray(np.moveaxis(canvas, 2, 0))


@dataclass(frozen=True, eq=False)
class _Accumulator:
    """Puts cores together: side by side, or as a weighted mean where they overlap."""

    total: torch.Tensor
    blend: torch.Tensor | None
    weight: torch.Tensor | None

    @classmethod
    def over(cls, plan: TilePlan, dimension: int, device: torch.device) -> _Accumulator:
        total = torch.zeros((*plan.grid, dimension), device=device)
        if plan.overlap == 0:
            return cls(total, None, None)
        blend = torch.from_numpy(plan.weights()).to(device)[:, :, None]
        return cls(total, blend, torch.zeros((*plan.grid, 1), device=device))

    def add(self, tile: Tile, core: torch.Tensor) -> None:
        height = min(tile.height, self.total.shape[0] - tile.row)
        width = min(tile.width, self.total.shape[1] - tile.column)
        there = (
            slice(tile.row, tile.row + height),
            slice(tile.column, tile.column + width),
        )
        core = core[:height, :width]
        if self.blend is None or self.weight is None:
            self.total[there] = core
            return
        share = self.blend[:height, :width]
        self.total[there] += core * share
        self.weight[there] += share

    def mean(self) -> torch.Tensor:
        return self.total if self.weight is None else self.total / self.weight
