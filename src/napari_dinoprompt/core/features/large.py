"""Features of a plane too large to hold, computed where they are asked for."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.plane import (
    holds_data,
    no_data_pixels,
    shows_nothing,
)
from napari_dinoprompt.core.io.scratch import free_bytes, scratch_folder
from napari_dinoprompt.core.progress import (
    Notice,
    Progress,
    map_steps,
    run_to_end,
    runs_to_end,
)
from napari_dinoprompt.core.tiling.cache import TileCache, default_cache_folder
from napari_dinoprompt.core.tiling.grid import CellGrid
from napari_dinoprompt.core.tiling.tiles import CropReader, Tile, TilePlan, TileSums
from napari_dinoprompt.core.validation import as_points

from .extraction import TileVectors, guide_image, run_tiles
from .feature_map import FeatureMap
from .regions import Region, RegionPlan, plan_regions
from .statistics import SourceMeasures, pool_measures

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import torch
    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone, BackboneInfo, Scoring
    from napari_dinoprompt.core.images.intensity import IntensityWindow
    from napari_dinoprompt.core.images.lazy_plane import LazyPlane


# Tokens of the tiles that were used last; the others are on the disk.
_KEPT_BYTES = 250_000_000


@dataclass(frozen=True, eq=False)
class PlanePart:
    """The features of a part of a plane.

    Attributes
    ----------
    features : FeatureMap
    region : Region
        The part.
    """

    features: FeatureMap
    region: Region

    @property
    def corner(self) -> NDArray[np.int64]:
        """The pixel of the plane in which the part begins."""
        return np.array([self.region.rows.start, self.region.columns.start])


class LazyFeatures:
    """The features of a large plane: any part of them, computed when asked for.

    Statistics come from a fixed sample of the plane, which depends on its shape alone.

    Attributes
    ----------
    plane : LazyPlane
    computed_by : Backbone
    window : IntensityWindow
    grid : CellGrid
        Of the whole plane.
    sample : tuple of Region
        What statistics are taken from; each holds data.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> features = dp.lazy_features(image, backbone)
    >>> features.at([(20, 60), (60, 60)]).shape
    (2, 30)
    """

    def __init__(
        self,
        plane: LazyPlane,
        backbone: Backbone,
        upscale: float,
        window: IntensityWindow,
        sample: Sequence[Region],
    ) -> None:
        self.plane = plane
        self.computed_by = backbone
        self.window = window
        self.grid = CellGrid(plane.shape, backbone.info.patch, upscale)
        self.sample = tuple(sample)
        self._kept: OrderedDict[Tile, torch.Tensor] = OrderedDict()
        # An outdated request may still be at it in another thread.
        self._lock = Lock()
        self._cache = backbone.cache
        # By number of the place: slices have no hash.
        self._sampled: dict[int, PlanePart] = {}
        self._measures: SourceMeasures | None = None

    @property
    def backbone(self) -> BackboneInfo:
        """What computes the vectors."""
        return self.computed_by.info

    @property
    def scoring(self) -> Scoring:
        """The scoring that suits the backbone."""
        return self.computed_by.scoring

    @property
    def content_hash(self) -> str:
        """Empty: nobody reads all pixels only to hash them."""
        return ""

    @cached_property
    def plan(self) -> TilePlan:
        """How the grid is cut into tiles."""
        return self.computed_by.plan(self.grid.cells)

    @cached_property
    def regions(self) -> RegionPlan:
        """How the plane is cut into regions."""
        return plan_regions(self.grid, self.computed_by)

    def iter_part(self, region: Region) -> Generator[Notice, None, FeatureMap]:
        """Compute the features of a part of the plane.

        Parameters
        ----------
        region : Region
            On whole blocks, as those of `regions` with their rims.

        Yields
        ------
        Notice
            If the device was too small.

        Returns
        -------
        FeatureMap
            As if the part were a plane of its own that shares the cells of the whole;
            its vectors are the same as those of the whole: of networks to the bit, of
            filters but for rounding.
        """
        first, grid = self.grid.part(*region.part)
        pixels = self.plane.read(*region.part)
        vectors = yield from self._iter_vectors(first, grid.cells)
        return FeatureMap(
            vectors=vectors,
            grid=grid,
            backbone=self.backbone,
            scoring=self.scoring,
            window=self.window,
            light=guide_image(pixels, self.window).to(vectors.device),
            guide_radius=self.computed_by.guide_radius(grid.cell),
            no_data=no_data_pixels(pixels),
            featureless=not holds_data(pixels) or shows_nothing(pixels),
        )

    part = runs_to_end("part", iter_part)

    def _iter_vectors(
        self, first: tuple[int, int], cells: tuple[int, int]
    ) -> Generator[Notice, None, torch.Tensor]:
        backbone = self.computed_by
        tiles = self.plan.covering(first, cells)
        with self._lock:
            found = {tile: self._kept[tile] for tile in tiles if tile in self._kept}
        missing = [tile for tile in tiles if tile not in found]
        read = CropReader(self.plane, self.grid, self.plan.halo, self.window)

        def take(said: Notice | list[TileVectors]) -> tuple[Notice, ...]:
            if isinstance(said, Notice):
                return (said,)
            found.update({one.tile: one.vectors for one in said})
            return ()

        running = run_tiles(missing, read, backbone, self._tile_cache())
        self.computed_by = yield from map_steps(running, take)
        sums = TileSums.over(
            self.plan,
            first,
            cells,
            backbone.info.dimension,
            backbone.kept_as,
            backbone.device,
        )
        for tile in tiles:
            sums.add(tile, found[tile])
        if not self.plan.align:
            self._keep(found)
        return sums.mean()

    def _keep(self, found: dict[Tile, torch.Tensor]) -> None:
        with self._lock:
            for tile, vectors in found.items():
                self._kept[tile] = vectors
                self._kept.move_to_end(tile)
            size = sum(one.numel() * one.element_size() for one in self._kept.values())
            while size > _KEPT_BYTES and len(self._kept) > len(found):
                _, dropped = self._kept.popitem(last=False)
                size -= dropped.numel() * dropped.element_size()

    def _tile_cache(self) -> TileCache | None:
        """Return where tokens wait between clicks: without a cache, for this plane."""
        if self._cache is None and not self.plan.align:
            # The temporary folder of some systems is in memory.
            folder = scratch_folder(self, default_cache_folder())
            self._cache = TileCache(folder, limit=free_bytes(folder) // 2)
        return self._cache

    def iter_at(
        self, points: ArrayLike
    ) -> Generator[Notice | Progress, None, NDArray[np.float32]]:
        """Look up vectors at points, one after the other, as `FeatureMap.at`.

        Parameters
        ----------
        points : (N, 2) array_like
            y and x in pixels.

        Yields
        ------
        Progress
            After each point.
        Notice
            If the device was too small.

        Returns
        -------
        (N, D) ndarray of float32

        Raises
        ------
        InputError
            If a point lies outside the plane, or on a pixel without data.
        """
        where = as_points(points, lone=True).reshape(-1, 2)
        self.grid.check(where)
        vectors = np.empty((len(where), self.backbone.dimension), dtype=np.float32)
        reach = math.ceil(self.grid.cell) + 1
        for number, (y, x) in enumerate(where):
            region = self.regions.around(
                (math.floor(y) - reach, math.ceil(y) + reach + 1),
                (math.floor(x) - reach, math.ceil(x) + reach + 1),
            )
            features = yield from self.iter_part(region)
            yield Progress(number + 1, 0)
            place = where[[number]] - PlanePart(features, region).corner
            if not features.holds_data(place).all():
                msg = f"The image holds no data at the point (y={y:g}, x={x:g})."
                raise InputError(msg)
            (vectors[number],) = features.interpolate(place)
        return vectors

    at = runs_to_end("at", iter_at)

    def holds_data(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which points lie on the plane and on a pixel that holds data.

        Parameters
        ----------
        points : (N, 2) ndarray of float64
            y and x in pixels.

        Returns
        -------
        (N,) ndarray of bool
        """
        inside = self.grid.contains(points)
        if self.plane.dtype.kind != "f":
            return inside
        held = [
            holds_data(self.plane.read(slice(y, y + 1), slice(x, x + 1)))
            for y, x in self.grid.nearest_pixels(points)
        ]
        return np.asarray(inside & np.array(held, dtype=np.bool_))

    def iter_sample(self) -> Generator[Notice | Progress, None, list[PlanePart]]:
        """Compute the parts that stand for the plane.

        Yields
        ------
        Progress
            After each part.
        Notice
            If the device was too small.

        Returns
        -------
        list of PlanePart
        """
        yield from self.iter_measures()
        return self._sampled_parts()

    def _sampled_parts(self) -> list[PlanePart]:
        return [self._sampled[number] for number in range(len(self.sample))]

    @property
    def measures(self) -> SourceMeasures:
        """Mean and scale of the features of the sample."""
        return run_to_end(self.iter_measures())

    def iter_measures(self) -> Generator[Notice | Progress, None, SourceMeasures]:
        """Measure the sample, part by part; once.

        Yields
        ------
        Progress
            After each part.
        Notice
            If the device was too small.

        Returns
        -------
        SourceMeasures
        """
        for number, region in enumerate(self.sample):
            if number in self._sampled:
                continue
            features = yield from self.iter_part(region)
            self._sampled[number] = PlanePart(features, region)
            yield Progress(number + 1, len(self.sample))
        if self._measures is None:
            self._measures = pool_measures(
                [one.features.measures for one in self._sampled_parts()]
            )
        return self._measures
