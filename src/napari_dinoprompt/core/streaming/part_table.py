"""The parts of objects that are found window by window, and their final numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.streaming.block_regions import join_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.splitting import Parts

__all__ = ["PartTable"]


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

    def numbers(self, min_size: int) -> NDArray[np.int32]:
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
        leaders = leaders[size[part[order[leaders]]] >= min_size]
        numbers = np.zeros(count, dtype=np.int32)
        numbers[part[order[leaders]]] = np.arange(1, len(leaders) + 1)
        return np.concatenate((np.zeros(1, np.int32), numbers[part]))
