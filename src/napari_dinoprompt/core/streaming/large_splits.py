"""Objects larger than any window, split in pieces that are joined again.

Windows overlap, so that each edge between two blocks is seen in both of theirs. Parts
that overlap each other more than any other part are the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.splitting import split_region
from napari_dinoprompt.core.streaming.regions import Region

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_dinoprompt.core.streaming.block_regions import Block, Regions
    from napari_dinoprompt.core.streaming.part_table import PartTable

__all__ = ["split_large"]

# In the array of instances: belongs to an object that is yet to be split.
_PENDING = -1


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
