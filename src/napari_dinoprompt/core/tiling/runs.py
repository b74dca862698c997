"""Computing the vectors of tiles: read ahead, in batches, within the memory there is.

While the backbone computes, another thread reads and prepares the next tiles. A batch
that does not fit is halved; a card on which not even one tile fits is left for the
CPU. What a network has computed once is taken from its cache.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.errors import is_out_of_memory
from napari_dinoprompt.core.progress import Notice
from napari_dinoprompt.core.tiling.key import tile_key

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.tiling.cache import TileCache
    from napari_dinoprompt.core.tiling.tiles import Tile

__all__ = ["TileVectors", "run_tiles"]

# A tile that is computed faster than this is not worth a look on the disk: hashing and
# reading take some milliseconds.
_WORTH_KEEPING_SECONDS = 0.02


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
