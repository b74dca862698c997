"""Touching objects of a large plane told apart, window by window.

An object is split as soon as a window holds it whole. Only those that no window can
hold are split in pieces, which are joined where their windows overlap.

Objects larger than any window, split in pieces that are joined again. Windows overlap,
so that each edge between two blocks is seen in both of theirs. Parts that overlap each
other more than any other part are the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.features.regions import Region

from .blocks import Block, Regions, join_numbers
from .splitting import REACH, Parts, split_region

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from numpy.typing import NDArray

    from .cleaning import Cleaning


# In the array of instances: belongs to an object that is yet to be split.
_PENDING = -1


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
    cleaning: Cleaning,
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
    numbers = table.numbers(cleaning)
    for block in blocks:
        found = numbers[instances[block.part]]
        instances[block.part] = found
        if cleaning.min_size > 1 or cleaning.max_size is not None:
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


def split_large(
    cleaned: Any,
    instances: Any,
    table: PartTable,
    regions: Regions,
    large: NDArray[np.bool_],
    blocks: list[Block],
    overlap: int,
) -> Generator[None, None, None]:
    """Split objects that no window holds: each block with its surroundings.

    cleaned: (H, W) uint8, class numbers; instances: (H, W) int32; large: (R,) bool,
    which of them are to be split.
    """
    base = table.count
    marks = np.append(large, False)
    for block in blocks:
        marked = regions.paint(block, cleaned[block.part], marks)
        if marked.any():
            found = instances[block.part]
            found[marked] = _PENDING
            instances[block.part] = found
        yield
    beside: _Strip | None = None
    above: dict[int, _Strip] = {}
    for block in blocks:
        window = block.widened(overlap, cleaned.shape)
        found = instances[window.part]
        wanted = (found == _PENDING) | (found > base)
        numbers = _split_window(cleaned, table, block, window, wanted, overlap)
        core = block.within(window)
        instances[block.part] = np.where(wanted, numbers, found)[core]
        if beside is not None and block.columns.start:
            table.join(_matches(beside, numbers, window))
        edge = Region(block.rows, _around(block.columns, overlap))
        beside = _strip(numbers, window, edge)
        if block.columns.start in above:
            table.join(_matches(above[block.columns.start], numbers, window))
        edge = Region(_around(block.rows, overlap), block.columns)
        above[block.columns.start] = _strip(numbers, window, edge)
        yield


def _split_window(
    cleaned: Any,
    table: PartTable,
    block: Block,
    window: Region,
    wanted: NDArray[np.bool_],
    overlap: int,
) -> NDArray[np.int32]:
    """Split objects that the window may cut; return the numbers of their parts."""
    numbers = np.zeros(wanted.shape, dtype=np.int32)
    core = block.within(window)
    if not wanted[core].any():
        return numbers
    values = cleaned[window.part]
    for key in np.unique(values[wanted]).tolist():
        region = values == key
        parts = split_region(region, wanted & region, furthest=overlap)
        before = table.add(key, parts, window.part, parts.labels[core])
        held = parts.labels > 0
        numbers[held] = parts.labels[held] + before
    return numbers


@dataclass(frozen=True, eq=False)
class _Strip:
    """Numbers on both sides of an edge between two blocks."""

    numbers: NDArray[np.int32]
    region: Region


def _strip(numbers: NDArray[np.int32], window: Region, edge: Region) -> _Strip:
    region = edge.clipped(window)
    # A copy, or the whole window would stay.
    return _Strip(numbers[region.within(window)].copy(), region)


def _matches(
    strip: _Strip, numbers: NDArray[np.int32], window: Region
) -> NDArray[np.int64]:
    """Find the parts of two windows that overlap each other more than any other."""
    one, other = strip.numbers, numbers[strip.region.within(window)]
    both = (one > 0) & (other > 0)
    pairs, counts = np.unique(
        np.stack((one[both], other[both]), axis=1), axis=0, return_counts=True
    )
    order = np.argsort(counts, kind="stable")
    mutual = np.ones(len(pairs), dtype=bool)
    for column in pairs.T:
        _, line = np.unique(column, return_inverse=True)
        best = np.zeros(len(pairs), dtype=np.int64)
        # Of several values for one place numpy keeps the last.
        best[line[order]] = order
        mutual &= best[line] == np.arange(len(pairs))
    return pairs[mutual].astype(np.int64)


def _around(edges: slice, overlap: int) -> slice:
    return slice(edges.stop - overlap, edges.stop + overlap)


class PartTable:
    """What is known of each part: one line per part, several for one in pieces.

    Parameters
    ----------
    width : int
        Of the plane, in pixels.

    Attributes
    ----------
    count : int
        How many lines there are.
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self._width = width
        self._found: list[tuple[NDArray[Any], ...]] = []
        self._pairs: list[NDArray[np.int64]] = []

    def add(
        self,
        key: int,
        parts: Parts,
        window: tuple[slice, slice],
        counted: NDArray[np.int32],
    ) -> int:
        """Add the parts of a window.

        counted: (h, w) int32, their labels, where their pixels count. Their numbers are
        their labels, plus this.
        """
        before, count = self.count, len(parts.seeds)
        y, x = np.divmod(parts.seeds, parts.labels.shape[1])
        seeds = (y + window[0].start) * self._width + x + window[1].start
        sizes = np.bincount(counted.ravel(), minlength=count + 1)[1:]
        thin = np.arange(count) >= parts.grown
        keys = np.full(count, key, dtype=np.uint8)
        self._found.append((keys, thin, seeds, sizes))
        self.count += count
        return before

    def join(self, pairs: NDArray[np.int64]) -> None:
        """Note which numbers are the same part.

        pairs: (N, 2) int64.
        """
        self._pairs.append(pairs - 1)

    def numbers(self, cleaning: Cleaning) -> NDArray[np.int32]:
        """Number the parts for good, as in the whole plane.

        Returns (1 + count,) int32: by the numbers from before; that of 0 is 0.
        """
        if self.count == 0:
            return np.zeros(1, dtype=np.int32)
        keys, thin, seeds, sizes = (
            np.concatenate(column) for column in zip(*self._found, strict=True)
        )
        pairs = np.concatenate([np.zeros((0, 2), np.int64), *self._pairs])
        part, count = join_numbers(pairs, self.count)
        # The first line of a part speaks for it: of those with a marker, if any has.
        order = np.lexsort((seeds, thin, keys))
        _, first = np.unique(part[order], return_index=True)
        size = np.bincount(part, weights=sizes, minlength=count)
        leaders = np.sort(first)
        size_of = size[part[order[leaders]]]
        leaders = leaders[(size_of > 0) & cleaning.keeps(size_of)]
        numbers = np.zeros(count, dtype=np.int32)
        numbers[part[order[leaders]]] = np.arange(1, len(leaders) + 1)
        return np.concatenate((np.zeros(1, np.int32), numbers[part]))
