"""The mask that a subset of the prompts makes, at its own automatic threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.scoring.auto_threshold import (
    MOST_PEAKS,
    SourceMap,
    choose_threshold,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_dinoprompt.core.prompt_study.prompt_maps import PromptMaps


# A sum of opposite vectors has no direction.
_SHORTEST = 1e-6
# Of so many places the best matches are taken.
_LOOKED_AT = 400


@dataclass(frozen=True, eq=False)
class Found:
    """What a subset of the prompts finds.

    Attributes
    ----------
    mask : (h, w) ndarray of bool
        On the blocks of the maps, not cleaned.
    threshold : float
        Chosen by the automatic rule from this subset.
    """

    mask: NDArray[np.bool_]
    threshold: float


class Subset:
    """Some of the prompts of the class, counted from 0; others can be added."""

    def __init__(self, maps: PromptMaps, members: Iterable[int] = ()) -> None:
        self._maps = maps
        self._members: list[int] = []
        own = maps.prompts
        self._cells = np.zeros_like(own.cells[0])
        self._shown = np.zeros_like(own.shown[0])
        self._plain = (
            None if maps.competing_score is None else np.zeros_like(own.plain[0])
        )
        self._points = np.zeros_like(own.points[0])
        self._at = np.zeros_like(own.at[0])
        for member in members:
            self.add(member)

    @property
    def members(self) -> tuple[int, ...]:
        """The prompts in the order in which they were added."""
        return tuple(self._members)

    def add(self, member: int) -> None:
        """Add one prompt."""
        own = self._maps.prompts
        self._members.append(member)
        self._cells += own.cells[member]
        self._shown += own.shown[member]
        if self._plain is not None:
            self._plain += own.plain[member]
        self._points += own.points[member]
        self._at += own.at[member]

    def find(self, threshold: float | None = None) -> Found:
        """Cut the map of these prompts, if need be at their own automatic threshold."""
        maps = self._maps
        along, length = self._lengths()
        if threshold is None:
            threshold = self._threshold(along, length)
        # Not divided by the length: one pass less over the map.
        limit: NDArray[np.float32] | np.float32 = np.float32(threshold * length)
        if maps.background is not None:
            limit = maps.background.shown * np.float32(length)
            limit += np.float32(threshold * length)
        mask = self._shown > limit
        if self._plain is not None and maps.competing_score is not None:
            mask &= self._plain > maps.competing_score * np.float32(length)
        if maps.held is not None:
            mask &= maps.held
        return Found(mask, threshold)

    def _lengths(self) -> tuple[NDArray[np.float64], float]:
        """Return the products of the members with their sum, and its length."""
        chosen = self._maps.gram[np.ix_(self._members, self._members)]
        along = chosen.sum(axis=1)
        return along, max(float(np.sqrt(max(along.sum(), 0.0))), _SHORTEST)

    def _threshold(self, along: NDArray[np.float64], length: float) -> float:
        maps, members = self._maps, self._members
        taken = maps.taken[members]
        own = along / length - taken
        agreement = np.zeros(0, dtype=np.float32)
        if len(members) > 1:
            itself = np.diag(maps.gram)[members]
            others = np.sqrt(np.maximum(length**2 - 2 * along + itself, _SHORTEST**2))
            agreement = ((along - itself) / others - taken).astype(np.float32)
        share = np.float32(1 / length)
        points = self._points * share
        at = self._at[members] * share
        if maps.background is not None:
            points -= maps.background.points
            at -= maps.background.at[members]
        shown = SourceMap(
            values=points[0].clip(-1, 1),
            slopes=np.hypot(points[1], points[2]),
            peaks=self._peaks(length),
            at_prompts=at.clip(-1, 1),
        )
        return choose_threshold(
            own.astype(np.float32), agreement, [shown], rarity=maps.rarity
        )

    def _peaks(self, length: float) -> NDArray[np.float32]:
        """Find the best matches away from the prompts, as `source_maps` does."""
        maps = self._maps
        cells = self._cells
        if maps.background is not None:
            cells = cells - maps.background.cells * np.float32(length)
        squares = _pool(cells, maps.pool)
        near = maps.squares[self._members]
        found = _best_peaks(squares, near[near[:, 0] >= 0])
        return np.asarray(found / length, dtype=np.float32)


def _best_peaks(
    squares: NDArray[np.float32], prompts: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the highest squares that no neighbour exceeds, away from the prompts.

    A peak is the highest of its own nine; of these only the best need a closer look.
    """
    height, width = squares.shape
    padded = np.full((height + -height % 3 + 2, width + -width % 3 + 2), -np.inf, "f4")
    padded[1 : height + 1, 1 : width + 1] = squares
    inner = padded[1:-1, 1:-1]
    rows = np.maximum(np.maximum(inner[::3], inner[1::3]), inner[2::3])
    best = np.maximum(np.maximum(rows[:, ::3], rows[:, 1::3]), rows[:, 2::3]).ravel()
    chosen = np.arange(best.size)
    if best.size > _LOOKED_AT:
        chosen = np.argpartition(best, -_LOOKED_AT)[-_LOOKED_AT:]
    top, left = np.divmod(chosen, inner.shape[1] // 3)
    # The place of the highest among the nine, then its own neighbours.
    offsets = np.arange(9)
    nine = inner[
        3 * top[:, None] + offsets // 3, 3 * left[:, None] + offsets % 3
    ].argmax(axis=1)
    row, column = 3 * top + nine // 3, 3 * left + nine % 3
    around = padded[row[:, None] + offsets // 3, column[:, None] + offsets % 3]
    value = best[chosen]
    peak = (around.max(axis=1) == value) & (value > 0)
    if len(prompts):
        apart = np.maximum(
            np.abs(row[:, None] - prompts[:, 0]),
            np.abs(column[:, None] - prompts[:, 1]),
        )
        peak &= apart.min(axis=1) > 1
    return np.sort(value[peak])[::-1][:MOST_PEAKS]


def _pool(cells: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Take the highest value of each square of cells."""
    if side == 1:
        return cells
    missing = [(0, -length % side) for length in cells.shape]
    if any(after for _, after in missing):
        cells = np.pad(cells, missing, constant_values=-np.inf)
    best = cells[::side]
    for shift in range(1, side):
        best = np.maximum(best, cells[shift::side])
    found = best[:, ::side]
    for shift in range(1, side):
        found = np.maximum(found, best[:, shift::side])
    return found


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the blocks in both masks, of those in either; 1 if both are empty."""
    either = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / either if either else 1.0
