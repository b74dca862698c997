"""What belongs together across the edges of blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.streaming.block_regions import Block

__all__ = ["BlockEdges", "join_numbers"]


class BlockEdges:
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


def join_numbers(pairs: NDArray[np.int64], count: int) -> tuple[NDArray[np.int32], int]:
    """Find which numbers belong together.

    Parameters
    ----------
    pairs : (N, 2) ndarray of int64
        Numbers, counted from 0, that are the same thing.
    count : int
        How many numbers there are.

    Returns
    -------
    things : (count,) ndarray of int32
        The thing that each number stands for, counted from 0.
    int
        How many things there are.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if count == 0:
        return np.zeros(0, dtype=np.int32), 0
    there = np.ones(len(pairs), dtype=np.uint8)
    graph = coo_array((there, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    things, of_number = connected_components(graph, directed=False)
    return of_number.astype(np.int32, copy=False), int(things)
