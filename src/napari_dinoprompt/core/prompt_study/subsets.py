"""The mask that a subset of the prompts makes, at its own automatic threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.scoring.auto_threshold import choose_threshold, stand_ins

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_dinoprompt.core.prompt_study.prompt_maps import PromptMaps


# A sum of opposite vectors has no direction.
_SHORTEST = 1e-6


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
        self._shown = np.zeros_like(own.shown[0])
        self._plain = (
            None if maps.competing_score is None else np.zeros_like(own.plain[0])
        )
        self._spread = np.zeros_like(own.spread[0])
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
        self._shown += own.shown[member]
        if self._plain is not None:
            self._plain += own.plain[member]
        self._spread += own.spread[member]
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
        """Choose the threshold as `auto_thresholds` does."""
        maps = self._maps
        spread, at = self._spread / length, self._at / length
        taken = np.float32(0) if maps.background is None else maps.background.at
        if maps.background is not None:
            spread = spread - maps.background.spread
        own, left_out = [], []
        for member, product in zip(self._members, along, strict=True):
            place = maps.clicked[member]
            if place is None:
                continue
            own.append(place.of((at - taken).astype(np.float32)))
            if len(self._members) > 1:
                square = length**2 - 2 * product + maps.gram[member, member]
                others = max(float(np.sqrt(max(square, 0.0))), _SHORTEST)
                rest = (self._at - maps.prompts.at[member]) / others - taken
                left_out.append(place.of(rest.astype(np.float32)))
        shown = own
        if not left_out:
            matches = [one.of((at - taken).astype(np.float32)) for one in maps.matches]
            shown = list(stand_ins(matches, own))
        if not shown:
            return maps.otherwise
        return choose_threshold(shown, left_out, spread.astype(np.float32))


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the blocks in both masks, of those in either; 1 if both are empty."""
    either = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / either if either else 1.0
