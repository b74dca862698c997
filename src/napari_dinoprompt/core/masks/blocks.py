"""Connected regions of a plane that is too large to hold, block by block.

Each block is labelled for itself. Pieces that meet across the edges of blocks are one
region: only their numbers, and one row of the plane, are kept for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.features.regions import Region, cut_regions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    Keys = Callable[[slice, slice], NDArray[np.uint8] | NDArray[np.bool_]]
    # Keys, sizes, seeds and boxes of the regions of one block, as `Regions` has them.
    _Pieces = tuple[
        NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]
    ]


@dataclass(frozen=True)
class Block(Region):
    """A rectangle of a plane; they are numbered row by row, from 0."""

    number: int


@dataclass(frozen=True, eq=False)
class Regions:
    """Connected regions of equal keys, counted from 0.

    Attributes
    ----------
    connectivity : int
        1: neighbours share an edge; 2: or a corner.
    starts : (B,) ndarray of int64
        How many pieces lie in the blocks before each one.
    of_piece : (P,) ndarray of int32
        The region that a piece belongs to.
    keys : (R,) ndarray of uint8
    sizes : (R,) ndarray of int64
        In pixels.
    seeds : (R,) ndarray of int64
        The first pixel, row by row: ``y * W + x``.
    boxes : (R, 4) ndarray of int32
        First row, first column, and one beyond the last of each.
    """

    connectivity: int
    starts: NDArray[np.int64]
    of_piece: NDArray[np.int32]
    keys: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    seeds: NDArray[np.int64]
    boxes: NDArray[np.int32]

    def paint(
        self,
        block: Block,
        keys: NDArray[np.uint8] | NDArray[np.bool_],
        values: NDArray[np.generic],
    ) -> NDArray[np.generic]:
        """Give each pixel of a block a value of its region.

        keys: (h, w), those that the regions were numbered by; values: (R + 1,), the
        last for pixels of no region. Returns (h, w).
        """
        local, count = _label(keys, self.connectivity)
        start = self.starts[block.number]
        table = np.concatenate((values[-1:], values[self.of_piece[start:][:count]]))
        return np.asarray(table[local])


def cut_blocks(shape: tuple[int, int], side: int) -> list[Block]:
    """Cut a plane into blocks, row by row."""
    regions = cut_regions(shape, side)
    return [Block(*one.part, number) for number, one in enumerate(regions)]


def number_regions(
    keys: Keys, shape: tuple[int, int], blocks: list[Block], connectivity: int
) -> Generator[None, None, Regions]:
    """Find the connected regions of equal keys, 0 left out; yields after each block."""
    width = shape[1]
    pieces: list[_Pieces] = []
    starts = np.zeros(len(blocks) + 1, dtype=np.int64)
    edges = _Edges(width, connectivity)
    for block in blocks:
        values = keys(*block.part)
        local, count = _label(values, connectivity)
        start = int(starts[block.number])
        starts[block.number + 1] = start + count
        pieces.append(_measure(block, values, local, count, width))
        numbers = np.where(local > 0, local + start, 0)
        edges.add(block, numbers, values)
        yield
    of_piece, count = join_numbers(edges.pairs(), int(starts[-1]))
    return _gather(pieces, of_piece, count, connectivity, starts[:-1])


def join_numbers(pairs: NDArray[np.int64], count: int) -> tuple[NDArray[np.int32], int]:
    """Find which numbers belong together.

    pairs: (N, 2) int64, numbers that are the same thing. Returns (count,) int32, the
    thing that each number stands for, counted from 0, and how many things there are.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if count == 0:
        return np.zeros(0, dtype=np.int32), 0
    there = np.ones(len(pairs), dtype=np.uint8)
    graph = coo_array((there, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    things, of_number = connected_components(graph, directed=False)
    return of_number.astype(np.int32, copy=False), int(things)


class _Edges:
    """What meets across the edges of blocks, which come row by row.

    Parameters
    ----------
    width : int
        Of the plane, in pixels.
    connectivity : int
        1: neighbours share an edge; 2: or a corner.
    """

    def __init__(self, width: int, connectivity: int) -> None:
        self._width = width
        self._shifts = (0,) if connectivity == 1 else (-1, 0, 1)
        # The last row of the blocks above, and what has come of this row of blocks.
        self._above = self._blank()
        self._first, self._last = self._blank(), self._blank()
        self._left = self._blank()
        self._found: list[NDArray[np.int64]] = []

    def _blank(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        return np.zeros(self._width, np.int64), np.zeros(self._width, np.uint8)

    def add(
        self,
        block: Block,
        numbers: NDArray[np.int64],
        keys: NDArray[np.uint8] | NDArray[np.bool_],
    ) -> None:
        """Take a block; numbers are counted from 1, 0 is nothing."""
        if block.columns.start:
            self._meet(self._left, (numbers[:, 0], keys[:, 0].astype(np.uint8)))
        # Copies, or the whole block would stay.
        self._left = numbers[:, -1].copy(), keys[:, -1].astype(np.uint8)
        for row, (kept, kept_keys) in ((0, self._first), (-1, self._last)):
            kept[block.columns] = numbers[row]
            kept_keys[block.columns] = keys[row]
        if block.columns.stop == self._width:
            if block.rows.start:
                self._meet(self._above, self._first)
            self._above = self._last
            self._last = self._blank()

    def _meet(
        self,
        one: tuple[NDArray[np.int64], NDArray[np.uint8]],
        other: tuple[NDArray[np.int64], NDArray[np.uint8]],
    ) -> None:
        length = len(one[0])
        for shift in self._shifts:
            here = slice(max(0, -shift), length - max(0, shift))
            there = slice(max(0, shift), length - max(0, -shift))
            a, b = one[0][here], other[0][there]
            same = (a > 0) & (one[1][here] == other[1][there])
            if same.any():
                pairs = np.stack((a[same], b[same]), axis=1)
                self._found.append(np.unique(pairs, axis=0))

    def pairs(self) -> NDArray[np.int64]:
        """Return all numbers that meet, counted from 0."""
        nothing = np.zeros((0, 2), dtype=np.int64)
        return np.concatenate([nothing, *self._found]) - 1


def _label(
    keys: NDArray[np.uint8] | NDArray[np.bool_], connectivity: int
) -> tuple[NDArray[np.integer], int]:
    from skimage.measure import label

    local, count = label(keys, background=0, return_num=True, connectivity=connectivity)
    return local, int(count)


def _measure(
    block: Block,
    values: NDArray[np.uint8] | NDArray[np.bool_],
    local: NDArray[np.integer],
    count: int,
    width: int,
) -> _Pieces:
    breadth = local.shape[1]
    # Runs of one label along the rows: far fewer than pixels, and they say it all.
    begins = np.ones(local.shape, dtype=bool)
    begins[:, 1:] = local[:, 1:] != local[:, :-1]
    places = np.flatnonzero(begins)
    lengths = np.diff(places, append=local.size)
    labels = local.ravel()[places] - 1
    held = labels >= 0
    places, lengths, labels = places[held], lengths[held], labels[held]
    y, x = np.divmod(places, breadth)
    first = np.zeros(count, dtype=np.int64)
    # Of several values for one place numpy keeps the last.
    first[labels[::-1]] = places[::-1]
    bottom = np.zeros(count, dtype=np.int64)
    bottom[labels] = y + 1
    left, right = np.full(count, breadth), np.zeros(count, dtype=np.int64)
    np.minimum.at(left, labels, x)
    np.maximum.at(right, labels, x + lengths)
    y, x = np.divmod(first, breadth)
    top, leftmost = block.rows.start, block.columns.start
    boxes = np.stack((top + y, leftmost + left, top + bottom, leftmost + right), axis=1)
    sizes = np.bincount(labels, weights=lengths, minlength=count).astype(np.int64)
    seeds = (top + y) * width + leftmost + x
    return values[y, x].astype(np.uint8), sizes, seeds, boxes.astype(np.int32)


def _gather(
    pieces: list[_Pieces],
    of_piece: NDArray[np.int32],
    count: int,
    connectivity: int,
    starts: NDArray[np.int64],
) -> Regions:
    """Sum up the pieces of each region."""
    piece_keys, piece_sizes, piece_seeds, piece_boxes = map(
        np.concatenate, zip(*pieces, strict=True)
    )
    keys = np.zeros(count, dtype=np.uint8)
    keys[of_piece] = piece_keys
    sizes = np.zeros(count, dtype=np.int64)
    np.add.at(sizes, of_piece, piece_sizes)
    seeds = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(seeds, of_piece, piece_seeds)
    most = np.iinfo(np.int32).max
    boxes = np.tile(np.array([most, most, 0, 0], dtype=np.int32), (count, 1))
    np.minimum.at(boxes[:, :2], of_piece, piece_boxes[:, :2])
    np.maximum.at(boxes[:, 2:], of_piece, piece_boxes[:, 2:])
    return Regions(connectivity, starts, of_piece, keys, sizes, seeds, boxes)
