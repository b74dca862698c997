"""Touching objects of a plane that is too large to hold, told apart window by window.

An object is split as soon as a window holds it whole. Only those that no window can
hold are split in pieces, which are joined where their windows overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.splitting import REACH, split_region
from napari_dinoprompt.core.streaming.large_splits import split_large
from napari_dinoprompt.core.streaming.part_table import PartTable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from numpy.typing import NDArray

    from napari_dinoprompt.core.streaming.block_regions import Block, Regions

__all__ = ["SplitSizes", "split_blocks"]


@dataclass(frozen=True)
class SplitSizes:
    """Sizes of blocks and windows, in pixels.

    Attributes
    ----------
    block : int
        Side of the blocks. Objects up to half of it are split together.
    window : int
        An object whose box has up to its square of pixels is split by itself.
    overlap : int
        How far the windows of even larger objects reach beyond their block.
    """

    block: int = 2048
    window: int = 3072
    overlap: int = 256


def split_blocks(
    cleaned: Any,
    instances: Any,
    regions: Regions,
    blocks: list[Block],
    min_size: int,
    sizes: SplitSizes,
) -> Generator[None, None, None]:
    """Split the objects of a clean mask and number the parts.

    cleaned: (H, W) uint8; instances: (H, W) int32, is filled.
    """
    table = PartTable(cleaned.shape[1])
    tall, wide = (regions.boxes[:, 2:] - regions.boxes[:, :2]).astype(np.int64).T
    together = np.maximum(tall, wide) <= sizes.block // 2
    alone = ~together & (tall * wide <= sizes.window**2)
    large = ~(together | alone)
    for chosen in _by_block(regions, np.flatnonzero(together), blocks, sizes):
        if len(chosen):
            _split_whole(cleaned, instances, table, regions, chosen)
        yield
    for one in np.flatnonzero(alone):
        _split_whole(cleaned, instances, table, regions, np.array([one]))
        yield
    if large.any():
        yield from split_large(
            cleaned, instances, table, regions, large, blocks, sizes.overlap
        )
    numbers = table.numbers(max(min_size, 1))
    for block in blocks:
        found = numbers[instances[block.part]]
        instances[block.part] = found
        if min_size > 1:
            part = cleaned[block.part]
            part[found == 0] = 0
            cleaned[block.part] = part
        yield


def _by_block(
    regions: Regions, chosen: NDArray[np.int64], blocks: list[Block], sizes: SplitSizes
) -> Iterator[NDArray[np.int64]]:
    """Yield, block by block, the regions whose boxes begin there."""
    across = 1 + max(block.columns.start for block in blocks) // sizes.block
    y, x = (regions.boxes[chosen, :2] // sizes.block).T
    home = y.astype(np.int64) * across + x
    chosen = chosen[np.argsort(home, kind="stable")]
    ends = np.cumsum(np.bincount(home, minlength=len(blocks)))
    for start, end in zip((0, *ends[:-1]), ends, strict=True):
        yield chosen[start:end]


def _split_whole(
    cleaned: Any,
    instances: Any,
    table: PartTable,
    regions: Regions,
    chosen: NDArray[np.int64],
) -> None:
    """Split some objects in the smallest window that holds them all."""
    from skimage.measure import label

    boxes = regions.boxes[chosen]
    begin = np.maximum(boxes[:, :2].min(axis=0) - REACH, 0)
    end = np.minimum(boxes[:, 2:].max(axis=0) + REACH, cleaned.shape)
    window = np.s_[int(begin[0]) : int(end[0]), int(begin[1]) : int(end[1])]
    values = cleaned[window]
    local = label(values, background=0, connectivity=2)
    y, x = np.divmod(regions.seeds[chosen], cleaned.shape[1])
    kept = np.zeros(int(local.max()) + 1, dtype=bool)
    kept[local[y - begin[0], x - begin[1]]] = True
    wanted = kept[local]
    found = instances[window]
    for key in np.unique(regions.keys[chosen]).tolist():
        region = values == key
        parts = split_region(region, wanted & region)
        before = table.add(key, parts, window, parts.labels)
        held = parts.labels > 0
        found[held] = parts.labels[held] + before
    instances[window] = found
