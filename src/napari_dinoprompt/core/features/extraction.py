"""From an image plane to its feature map, batch by batch, and what that will take.

Computing the vectors of tiles: read ahead, in batches, within the memory there is.
While the backbone computes, another thread reads and prepares the next tiles. A batch
that does not fit is halved; a card on which not even one tile fits is left for the CPU.
What a network has computed once is taken from its cache.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import psutil
import torch

from napari_dinoprompt.core.errors import InputError, is_out_of_memory
from napari_dinoprompt.core.images.fingerprint import hash_plane
from napari_dinoprompt.core.images.intensity import IntensityWindow, measure_window
from napari_dinoprompt.core.images.lazy_plane import LazyPlane
from napari_dinoprompt.core.images.plane import (
    as_plane,
    no_data_pixels,
    plane_shape,
    shows_nothing,
)
from napari_dinoprompt.core.progress import Notice, Progress, runs_to_end
from napari_dinoprompt.core.tiling.cache import TileCache, tile_key
from napari_dinoprompt.core.tiling.grid import CellGrid
from napari_dinoprompt.core.tiling.tiles import CropReader, Tile, TileSums

from .feature_map import FeatureMap
from .regions import plan_regions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone


_FLOAT_BYTES = 4
# The map and what scoring keeps beside it: lengths, light, fit, similarities, masks.
_BYTES_PER_PIXEL = 56

# A tile that is computed faster than this is not worth a look on the disk: hashing and
# reading take some milliseconds.
_WORTH_KEEPING_SECONDS = 0.02
# A plane that takes more is done part by part. The same on every machine: what is
# sampled of a large plane must not depend on how much memory is free.
_WHOLE_BYTES = 2_500_000_000
# What is in memory then beside a region: the sample, and the tokens of some tiles.
_PARTS_BYTES = 700_000_000
# What filters and sums hold of a region on the way; measured.
_COPIES_OF_PART = 4
# Two similarities, claims and the cleaned mask at all levels of the pyramid.
_BYTES_ON_DISK = 19


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
        light=guide_image(plane, window).to(vectors.device),
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
        raise InputError(
            f"The features would need about {needed / 1e9:.1f} GB, more than "
            "is free. Choose a lower upscale, a smaller backbone or a part of the "
            "image."
        )


def guide_image(plane: NDArray[np.generic], window: IntensityWindow) -> torch.Tensor:
    """Return how bright each pixel looks; the root, since its noise is even.

    plane: (H, W) or (H, W, 3). Returns (H, W) float32: in [0, 1].
    """
    windowed = window.apply(plane)
    grey = windowed if windowed.ndim == 2 else windowed.mean(axis=2)
    return torch.from_numpy(np.sqrt(grey))


@dataclass(frozen=True, eq=False)
class TileVectors:
    """A tile and its vectors.

    Attributes
    ----------
    tile : Tile
    vectors : (height, width, D) tensor of float32, or float16 for networks
        Of the tile's core, on the device that computed it.
    """

    tile: Tile
    vectors: torch.Tensor


def run_tiles(
    tiles: Sequence[Tile],
    read: Callable[[Tile], NDArray[np.float32]],
    backbone: Backbone,
    cache: TileCache | None,
) -> Generator[Notice | list[TileVectors], None, Backbone]:
    """Compute tiles in their order.

    The one to go on with: on the CPU if the card was too small.
    """
    run = _Run(backbone, read, cache)
    if len(tiles) <= run.batch:
        # Nothing is left to be read ahead.
        if tiles:
            yield from run.compute(run.prepare(tiles))
        return run.backbone
    with ThreadPoolExecutor(1) as reader:
        start, size = 0, run.batch
        ahead = reader.submit(run.prepare, tiles[:size])
        while start < len(tiles):
            group = ahead.result()
            start += size
            size = run.batch
            if start < len(tiles):
                ahead = reader.submit(run.prepare, tiles[start : start + size])
            yield from run.compute(group)
    return run.backbone


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A tile's crop and what is kept of it; one of the two is there."""

    tile: Tile
    key: str
    crop: NDArray[np.float32] | None
    kept: NDArray[np.float16] | None


class _Run:
    """What changes while tiles are computed."""

    def __init__(
        self,
        backbone: Backbone,
        read: Callable[[Tile], NDArray[np.float32]],
        cache: TileCache | None,
    ) -> None:
        self.backbone = backbone
        self.read = read
        self.cache = cache
        self.batch = backbone.batch_size
        self.notices: list[Notice] = []

    def prepare(self, tiles: Sequence[Tile]) -> list[_Prepared]:
        return [self._prepare(tile) for tile in tiles]

    def _prepare(self, tile: Tile) -> _Prepared:
        crop = self.read(tile)
        cache = self.cache
        if cache is None:
            return _Prepared(tile, "", crop, None)
        backbone = self.backbone
        key = tile_key(
            crop, astuple(backbone.info), str(backbone.dtype), backbone.device.type
        )
        kept = cache.get(key)
        return _Prepared(tile, key, crop if kept is None else None, kept)

    def compute(
        self, group: list[_Prepared]
    ) -> Generator[Notice | list[TileVectors], None, None]:
        new = [one.crop for one in group if one.crop is not None]
        began = perf_counter()
        computed = iter(self._compute(new))
        spent = perf_counter() - began
        yield from self.notices
        self.notices.clear()
        found = []
        for one in group:
            if one.kept is not None:
                vectors = torch.from_numpy(one.kept).to(self.backbone.device)
            else:
                vectors = next(computed)
                if self.cache is not None:
                    self.cache.put(one.key, vectors.cpu().numpy())
            found.append(TileVectors(one.tile, vectors))
        if self.cache is not None and self.cache.problem:
            # Once is enough to know of it, and to try.
            yield Notice(self.cache.problem)
            self.cache = None
        if new and spent / len(new) < _WORTH_KEEPING_SECONDS:
            self.cache = None
        yield found

    def _compute(self, crops: list[NDArray[np.float32]]) -> list[torch.Tensor]:
        while True:
            try:
                return [
                    vectors.to(self.backbone.kept_as)
                    for first in range(0, len(crops), self.batch)
                    for vectors in self._pass(crops[first : first + self.batch])
                ]
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or not self._can_retreat:
                    raise
            # Here the error is gone, and with it what its frames still held.
            self._retreat()

    def _pass(self, crops: list[NDArray[np.float32]]) -> torch.Tensor:
        batch = torch.from_numpy(np.stack(crops))
        if self.backbone.device.type == "cuda":
            batch = batch.pin_memory()
        return self.backbone(batch)

    @property
    def _can_retreat(self) -> bool:
        return self.batch > 1 or self.backbone.device.type != "cpu"

    def _retreat(self) -> None:
        """Ask for less memory next time."""
        device = self.backbone.device
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if self.batch > 1:
            self.batch //= 2
            return
        cpu = torch.device("cpu")
        self.backbone = self.backbone.on(cpu)
        self.batch = self.backbone.batch_size
        # Its keys are those of another device.
        self.cache = None
        self.notices.append(
            Notice(
                f"The memory of the device {device} is full, so the rest is computed "
                "on the CPU, which is slower."
            )
        )


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
