"""One similarity map per prompt, from which that of any subset is a sum, and its mask.

A cosine is linear in the sum of the prompts' unit vectors, and so is its fit to the
light. A map per prompt is therefore all that hundreds of subsets need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from napari_dinoprompt.core.features.feature_map import FeatureMap, mean_per_cell
from napari_dinoprompt.core.features.guided_filter import look_up
from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.scoring.auto_threshold import (
    ObjectValues,
    choose_threshold,
    stand_ins,
)
from napari_dinoprompt.core.scoring.places import find_places, spread_pixels
from napari_dinoprompt.core.scoring.similarity import (
    BACKGROUND_SHARE,
    ScoredPlane,
    cosines,
    nearest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.scoring.places import Place, Places

    from .subject import Subject


# Blocks of a mask; larger maps are thinned to these, evenly.
_MOST_BLOCKS = 400_000
# Pixels whose values stand for the plane, as for an automatic threshold.
_SPREAD = 8192

_Values = TypeVar("_Values", bound=np.generic)
# A sum of opposite vectors has no direction.
_SHORTEST = 1e-6


@dataclass(frozen=True, eq=False)
class BlockMaps:
    """What of one or several maps is needed again and again; all of it is linear.

    Attributes
    ----------
    shown : (..., h, w) ndarray of float32
        Similarities of blocks, fitted to the light: what is cut into a mask.
    plain : (..., h, w) ndarray of float32
        The same, not fitted: what classes compete by.
    spread : (..., M) ndarray of float32
        Similarities of pixels spread over the plane.
    at : (..., n) ndarray of float32
        Similarities of the pixels of all places.
    """

    shown: NDArray[np.float32]
    plain: NDArray[np.float32]
    spread: NDArray[np.float32]
    at: NDArray[np.float32]

    @classmethod
    def stack(cls, parts: list[BlockMaps]) -> BlockMaps:
        """Put several maps together."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.stack([getattr(one, name) for one in parts]) for name in names))


@dataclass(frozen=True, eq=False)
class PlaceValues:
    """Where the values of a place are among those of all places.

    Attributes
    ----------
    inside, around : slice
    ratio : float
        Pixels around for each inside.
    """

    inside: slice
    around: slice
    ratio: float

    def of(self, values: NDArray[np.float32]) -> ObjectValues:
        """Take them from those of all places."""
        return ObjectValues(values[self.inside], values[self.around], self.ratio)


@dataclass(frozen=True, eq=False)
class PromptMaps:
    """The maps of the prompts of one class, and what all subsets have in common.

    Attributes
    ----------
    prompts : BlockMaps
        One map per prompt.
    background : BlockMaps or None
        The share of the nearest background prompt, which is taken from each map.
    competing_score : (h, w) ndarray of float32 or None
        The highest similarity with another class.
    gram : (n, n) ndarray of float64
        Cosines between the prompts.
    clicked : tuple of (PlaceValues or None)
        Of the object of each prompt; None on another plane.
    matches : tuple of PlaceValues
        Of the objects that resemble all prompts most; for a lone prompt.
    places : Places
        All of these.
    otherwise : float
        The threshold where no prompt lies on the plane.
    held : (h, w) ndarray of bool or None
        Blocks that hold data; None if all do.
    truth : (h, w) ndarray of bool or None
        Blocks of which most pixels are truly of an object.
    scale : float
        Pixels per row and column of the masks.
    """

    prompts: BlockMaps
    background: BlockMaps | None
    competing_score: NDArray[np.float32] | None
    gram: NDArray[np.float64]
    clicked: tuple[PlaceValues | None, ...]
    matches: tuple[PlaceValues, ...]
    places: Places
    otherwise: float
    held: NDArray[np.bool_] | None
    truth: NDArray[np.bool_] | None
    scale: float

    @property
    def count(self) -> int:
        """How many prompts the class has."""
        return len(self.gram)

    @property
    def blocks(self) -> int:
        """How many blocks of the masks hold data."""
        if self.held is not None:
            return int(np.count_nonzero(self.held))
        return int(np.prod(self.prompts.shown.shape[1:]))


def make_prompt_maps(
    subject: Subject, without: int | None = None, places: Places | None = None
) -> PromptMaps:
    """Make the map of each prompt of the class that is studied.

    One background prompt, by its index in the reference, may be left out; places are
    those of other maps of the same prompts.
    """
    features, reference = subject.features, subject.reference
    if places is None:
        places = find_places(features, reference, reference.points, subject.here)
    clicked = [places.prompts[index] for index in subject.members]
    matches = places.matches[subject.class_name]
    pixels, values = _join([*clicked, *matches])
    sampler = BlockSampler(features, pixels)
    units = reference.unit_vectors()
    own = units[subject.members]
    grounds = units[
        [
            name == BACKGROUND and index != without
            for index, name in enumerate(reference.classes)
        ]
    ]
    background = None
    with torch.inference_mode():
        maps = cosines(features, reference, own, subject.lengths)
        prompts = BlockMaps.stack([sampler.sample(one) for one in maps])
        if len(grounds):
            near = nearest(features, reference, grounds, subject.lengths)
            background = sampler.sample(BACKGROUND_SHARE * near)
        competing_score = _competing_score(subject, sampler)
    return PromptMaps(
        prompts=prompts,
        background=background,
        competing_score=competing_score,
        gram=(own @ own.T).astype(np.float64),
        clicked=tuple(values[: len(clicked)]),
        matches=tuple(one for one in values[len(clicked) :] if one),
        places=places,
        otherwise=reference.auto_thresholds[subject.class_name],
        held=sampler.held,
        truth=_truth(subject, sampler),
        scale=sampler.step * sampler.thin,
    )


def _join(
    places: Sequence[Place | None],
) -> tuple[NDArray[np.int64], list[PlaceValues | None]]:
    """Put the pixels of places, on the plane, one after the other."""
    pixels: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
    values: list[PlaceValues | None] = []
    count = 0
    for place in places:
        if place is None:
            values.append(None)
            continue
        inside, around = place.on_plane()
        middle, end = count + len(inside), count + len(inside) + len(around)
        values.append(
            PlaceValues(slice(count, middle), slice(middle, end), place.found.ratio)
        )
        pixels += [inside, around]
        count = end
    return np.concatenate(pixels), values


def _competing_score(
    subject: Subject, sampler: BlockSampler
) -> NDArray[np.float32] | None:
    """Find the highest similarity with another class; what is taken cancels out."""
    reference = subject.reference
    prototypes = [
        reference.prototype(name)
        for name in reference.object_classes
        if name != subject.class_name
    ]
    if not prototypes:
        return None
    maps = cosines(subject.features, reference, np.stack(prototypes), subject.lengths)
    return sampler.kept(sampler.plain(maps.amax(dim=0)))


def _truth(subject: Subject, sampler: BlockSampler) -> NDArray[np.bool_] | None:
    if subject.truth is None:
        return None
    there = block_means(subject.truth, sampler.blocks, sampler.step) > 0.5
    return sampler.kept(there)


class BlockSampler:
    """Looks at cell maps of one plane always in the same way.

    Attributes
    ----------
    blocks : (int, int)
        Rows and columns of blocks before thinning.
    step : float
        Side of a block in pixels.
    thin : int
        Every how many blocks are kept.
    held : (h, w) ndarray of bool or None
        Kept blocks that hold data in all their pixels; None if all do.
    """

    def __init__(self, features: FeatureMap, pixels: NDArray[np.int64]) -> None:
        self._features = features
        if features.guide_radius > 0:
            height, width = features.guide.coarse.shape
            self.blocks, self.step = (height, width), float(features.guide.step)
        else:
            rows, columns = features.vectors.shape[:2]
            self.blocks, self.step = (rows, columns), features.grid.cell
        self.thin = math.ceil(math.sqrt(math.prod(self.blocks) / _MOST_BLOCKS))
        self._pixels = pixels
        self._spread = spread_pixels(features, _SPREAD)
        self.held = None
        if features.no_data is not None:
            held = block_means(~features.no_data, self.blocks, self.step) == 1
            self.held = self.kept(held)

    def kept(self, blocks: NDArray[_Values]) -> NDArray[_Values]:
        """Thin an array of all blocks."""
        return np.ascontiguousarray(blocks[:: self.thin, :: self.thin])

    def sample(self, cells: torch.Tensor) -> BlockMaps:
        """Bring one map, (rows, columns), to blocks, points and prompts."""
        features = self._features
        plane = ScoredPlane(features, cells[None], cells[None])
        plain = self.plain(cells)
        shown = plain
        if plane.fitted is not None:
            shown = plane.fitted.blocks(0).cpu().numpy()
        return BlockMaps(
            shown=self.kept(shown),
            plain=self.kept(plain),
            spread=plane.at(self._spread)[0],
            at=plane.at(self._pixels)[0],
        )

    def plain(self, cells: torch.Tensor) -> NDArray[np.float32]:
        """Bring a (rows, columns) map to all blocks without fitting it."""
        if self._features.guide_radius > 0:
            grid = self._features.grid
            cells = look_up(cells[None], grid, self.blocks, int(self.step))[0]
        found: NDArray[np.float32] = cells.cpu().numpy()
        return found


def block_means(
    values: NDArray[np.generic], blocks: tuple[int, int], step: float
) -> NDArray[np.float64]:
    """Average pixels, (H, W), over blocks, (rows, columns).

    Of blocks finer than pixels each takes the pixel that its centre lies in.
    """
    found = values.astype(np.float64)
    for axis, count in enumerate(blocks):
        found = mean_per_cell(found, axis, count, step)
    return found


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
