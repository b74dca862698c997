"""One similarity map per prompt, from which that of any subset is a sum.

A cosine is linear in the sum of the prompts' unit vectors, and so is its fit to the
light. A map per prompt is therefore all that hundreds of subsets need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from napari_dinoprompt.core.features.guided_filter import look_up
from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.scoring.auto_threshold import rarity_of
from napari_dinoprompt.core.scoring.similarity import BACKGROUND_SHARE, cosines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.prompt_study.subject import Subject


# Blocks of a mask, cells that are searched for matches, and points of a histogram:
# larger maps are thinned to these, evenly.
_MOST_BLOCKS = 400_000
_MOST_POINTS = 8192

_Values = TypeVar("_Values", bound=np.generic)


@dataclass(frozen=True, eq=False)
class BlockMaps:
    """What of one or several maps is needed again and again; all of it is linear.

    Attributes
    ----------
    cells : (..., r, c) ndarray of float32
        Similarities of cells, where the best matches are looked for.
    shown : (..., h, w) ndarray of float32
        Similarities of blocks, fitted to the light: what is cut into a mask.
    plain : (..., h, w) ndarray of float32
        The same, not fitted: what classes compete by.
    points : (..., 3, M) ndarray of float32
        At points spread over the plane: `shown`, and how it changes down and across.
    at : (..., n) ndarray of float32
        `shown` at the places of the prompts.
    """

    cells: NDArray[np.float32]
    shown: NDArray[np.float32]
    plain: NDArray[np.float32]
    points: NDArray[np.float32]
    at: NDArray[np.float32]

    @classmethod
    def stack(cls, parts: list[BlockMaps]) -> BlockMaps:
        """Put several maps together."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.stack([getattr(one, name) for one in parts]) for name in names))


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
        The highest similarity with another class, background included.
    gram : (n, n) ndarray of float64
        Cosines between the prompts.
    taken : (n,) ndarray of float64
        What the background takes from each prompt's own similarity.
    squares : (n, 2) ndarray of int64
        Square of `pool` cells that each prompt lies in; -9 on another plane.
    pool : int
        Side of the squares of cells of which one may be a best match.
    held : (h, w) ndarray of bool or None
        Blocks that hold data; None if all do.
    truth : (h, w) ndarray of bool or None
        Blocks of which most pixels are truly of an object.
    scale : float
        Pixels per row and column of the masks.
    rarity : float
        As `choose_threshold` takes it.
    """

    prompts: BlockMaps
    background: BlockMaps | None
    competing_score: NDArray[np.float32] | None
    gram: NDArray[np.float64]
    taken: NDArray[np.float64]
    squares: NDArray[np.int64]
    pool: int
    held: NDArray[np.bool_] | None
    truth: NDArray[np.bool_] | None
    scale: float
    rarity: float

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


def make_prompt_maps(subject: Subject, without: int | None = None) -> PromptMaps:
    """Make the map of each prompt of the class that is studied.

    One background prompt, by its index in the reference, may be left out.
    """
    features, reference = subject.features, subject.reference
    places = reference.points[subject.members]
    sampler = BlockSampler(features, places)
    units = reference.unit_vectors()
    own = units[subject.members]
    grounds = units[
        [
            name == BACKGROUND and index != without
            for index, name in enumerate(reference.classes)
        ]
    ]
    background = None
    taken = np.zeros(len(own))
    with torch.inference_mode():
        maps = cosines(features, reference, own, subject.lengths)
        prompts = BlockMaps.stack([sampler.sample(one) for one in maps])
        near = cosines(features, reference, grounds, subject.lengths)
        if len(grounds):
            share = BACKGROUND_SHARE * near.amax(dim=0).clamp(min=0)
            background = sampler.sample(share)
            taken = BACKGROUND_SHARE * (own @ grounds.T).max(axis=1).clip(min=0)
        competing_score = _competing_score(subject, sampler, grounds)
    gram = (own @ own.T).astype(np.float64)
    elsewhere = ~subject.here[subject.members]
    # Prompts on other planes have no place here; their own vectors tell.
    prompts.at[:, elsewhere] = gram[:, elsewhere]
    if background is not None:
        background.at[elsewhere] = taken[elsewhere]
    squares = np.floor(
        (features.grid.to_cells(places) + 0.5) / (sampler.pool * sampler.cell_thin)
    ).astype(np.int64)
    squares[elsewhere] = -9
    return PromptMaps(
        prompts=prompts,
        background=background,
        competing_score=competing_score,
        gram=gram,
        taken=np.asarray(taken, dtype=np.float64),
        squares=squares,
        pool=sampler.pool,
        held=sampler.held,
        truth=_truth(subject, sampler),
        scale=sampler.step * sampler.thin,
        rarity=rarity_of(reference.scoring),
    )


def _competing_score(
    subject: Subject, sampler: BlockSampler, grounds: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """Find the highest similarity with another class; what is taken cancels out."""
    reference = subject.reference
    prototypes = [
        reference.prototype(name)
        for name in reference.object_classes
        if name != subject.class_name
    ]
    if len(grounds):
        total = grounds.sum(axis=0)
        prototypes.append(total / max(float(np.linalg.norm(total)), 1e-12))
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
    thin, cell_thin : int
        Every how many blocks and cells are kept.
    held : (h, w) ndarray of bool or None
        Kept blocks that hold data in all their pixels; None if all do.
    """

    def __init__(self, features: FeatureMap, places: NDArray[np.float64]) -> None:
        self._features = features
        rows, columns = features.vectors.shape[:2]
        if features.guide_radius > 0:
            height, width = features.guide.coarse.shape
            self.blocks, self.step = (height, width), float(features.guide.step)
        else:
            self.blocks, self.step = (rows, columns), features.grid.cell
        self.thin = _every(math.prod(self.blocks), _MOST_BLOCKS)
        self.cell_thin = _every(rows * columns, _MOST_BLOCKS)
        last = np.asarray(self.blocks) - 1
        at = np.floor((places + 0.5) / self.step)
        self._at = np.clip(at, 0, last).astype(np.int64)
        held = None
        if features.no_data is not None:
            held = block_means(~features.no_data, self.blocks, self.step) == 1
        self._points = _spread(self.blocks, held)
        self.held = None if held is None else self.kept(held)

    @property
    def pool(self) -> int:
        """Side, in kept cells, of squares of which one may be a best match."""
        return max(1, round(max(1, self._features.guide_radius) / self.cell_thin))

    def kept(self, blocks: NDArray[_Values]) -> NDArray[_Values]:
        """Thin an array of all blocks."""
        return np.ascontiguousarray(blocks[:: self.thin, :: self.thin])

    def sample(self, cells: torch.Tensor) -> BlockMaps:
        """Bring one map, (rows, columns), to blocks, points and prompts."""
        features = self._features
        plain = self.plain(cells)
        if features.guide_radius > 0:
            fitted = features.guide.fit(cells[None], features.grid).blocks(0)
            shown = fitted.cpu().numpy()
        else:
            shown = plain
        rows, columns = self._points
        last_row, last_column = np.asarray(self.blocks) - 1
        below = shown[np.minimum(rows + 1, last_row), columns]
        above = shown[np.maximum(rows - 1, 0), columns]
        right = shown[rows, np.minimum(columns + 1, last_column)]
        left = shown[rows, np.maximum(columns - 1, 0)]
        kept = cells[:: self.cell_thin, :: self.cell_thin]
        return BlockMaps(
            cells=kept.cpu().contiguous().numpy().copy(),
            shown=self.kept(shown),
            plain=self.kept(plain),
            points=np.stack(
                (shown[rows, columns], (below - above) / 2, (right - left) / 2)
            ),
            at=shown[self._at[:, 0], self._at[:, 1]],
        )

    def plain(self, cells: torch.Tensor) -> NDArray[np.float32]:
        """Bring a (rows, columns) map to all blocks without fitting it."""
        if self._features.guide_radius > 0:
            grid = self._features.grid
            cells = look_up(cells[None], grid, self.blocks, int(self.step))[0]
        found: NDArray[np.float32] = cells.cpu().numpy()
        return found


def _every(count: int, most: int) -> int:
    return max(1, math.ceil(math.sqrt(count / most)))


def _spread(
    blocks: tuple[int, int], held: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose points over the plane, away from what holds no data."""
    every = max(1, int(math.sqrt(math.prod(blocks) / _MOST_POINTS)))
    chosen = np.zeros(blocks, dtype=np.bool_)
    chosen[::every, ::every] = True
    if held is not None:
        from scipy import ndimage as ndi

        # The fall into a gap is no object's edge.
        chosen &= ndi.binary_erosion(held, np.ones((3, 3)), border_value=1)
    rows, columns = np.nonzero(chosen)
    return rows, columns


def block_means(
    values: NDArray[np.generic], blocks: tuple[int, int], step: float
) -> NDArray[np.float64]:
    """Average pixels, (H, W), over blocks, (rows, columns).

    Of blocks finer than pixels each takes the pixel that its centre lies in.
    """
    found = values.astype(np.float64)
    for axis, count in enumerate(blocks):
        length = found.shape[axis]
        if step < 1:
            centres = np.floor((np.arange(count) + 0.5) * step).astype(np.int64)
            found = np.take(found, np.minimum(centres, length - 1), axis=axis)
            continue
        owner = np.floor((np.arange(length) + 0.5) / step).astype(np.int64)
        starts = np.minimum(np.searchsorted(owner, np.arange(count)), length - 1)
        sizes = np.diff([*starts, length])
        sums = np.add.reduceat(found, starts, axis=axis)
        found = sums / np.expand_dims(sizes, 1 - axis)
    return found
