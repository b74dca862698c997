"""From a map of cells to what a study keeps of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.guidance import look_up

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from napari_dinoprompt.core.features import FeatureMap

__all__ = ["Layers", "Lens", "block_means"]

# Blocks of a mask, cells that are searched for matches, and points of a histogram:
# larger maps are thinned to these, evenly.
_MOST_BLOCKS = 400_000
_MOST_POINTS = 8192


@dataclass(frozen=True, eq=False)
class Layers:
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

    def __getitem__(self, index: int) -> Layers:
        """Return one of several maps."""
        return Layers(*(getattr(self, name)[index] for name in _NAMES))

    @classmethod
    def stack(cls, parts: list[Layers]) -> Layers:
        """Put several maps together."""
        return cls(
            *(np.stack([getattr(one, name) for one in parts]) for name in _NAMES)
        )


_NAMES = ("cells", "shown", "plain", "points", "at")


class Lens:
    """Looks at cell maps of one plane always in the same way.

    Attributes
    ----------
    blocks : (int, int)
        Rows and columns of blocks before thinning.
    step : float
        Side of a block in pixels.
    thin, cell_thin : int
        Every how many blocks and cells are kept.
    held : (rows, columns) ndarray of bool or None
        Blocks that hold data in all their pixels; None if all do.
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
        self.held = _held(features, self.blocks, self.step)
        last = np.asarray(self.blocks) - 1
        at = np.floor((places + 0.5) / self.step)
        self._at = np.clip(at, 0, last).astype(np.int64)
        self._points = _spread(self.blocks, self.held)

    @property
    def pool(self) -> int:
        """Side, in kept cells, of squares of which one may be a best match."""
        return max(1, round(max(1, self._features.guide_radius) / self.cell_thin))

    def kept(self, blocks: NDArray[np.generic]) -> NDArray[np.generic]:
        """Thin an array of all blocks."""
        return np.ascontiguousarray(blocks[:: self.thin, :: self.thin])

    def look(self, cells: torch.Tensor) -> Layers:
        """Look at one map.

        Parameters
        ----------
        cells : (rows, columns) tensor of float32

        Returns
        -------
        Layers
        """
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
        return Layers(
            cells=kept.cpu().contiguous().numpy().copy(),
            shown=np.asarray(self.kept(shown), dtype=np.float32),
            plain=np.asarray(self.kept(plain), dtype=np.float32),
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


def _held(
    features: FeatureMap, blocks: tuple[int, int], step: float
) -> NDArray[np.bool_] | None:
    if features.no_data is None:
        return None
    return np.asarray(block_means(~features.no_data, blocks, step) == 1)


def block_means(
    values: NDArray[np.generic], blocks: tuple[int, int], step: float
) -> NDArray[np.float64]:
    """Average pixels over blocks.

    Parameters
    ----------
    values : (H, W) ndarray
    blocks : (int, int)
        Rows and columns of blocks.
    step : float
        Side of a block in pixels. Of blocks finer than pixels each takes the pixel
        that its centre lies in.

    Returns
    -------
    (rows, columns) ndarray of float64
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
