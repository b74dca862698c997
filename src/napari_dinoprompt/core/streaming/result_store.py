"""Where the similarities of a large plane are kept: a pyramid on the disk.

Thresholds are applied when a part is looked at, so that moving one costs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from napari_dinoprompt.core.errors import CannotWriteError
from napari_dinoprompt.core.files.atomic import explaining_writes
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.streaming.regions import LEVELS
from napari_dinoprompt.core.streaming.scratch import free_bytes, scratch_store
from napari_dinoprompt.core.tiling.cache_settings import default_cache_folder

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from napari_dinoprompt.core.intensity import IntensityWindow
    from napari_dinoprompt.core.streaming.regions import RegionPlan
    from napari_dinoprompt.core.streaming.scoring import RegionScores

__all__ = ["LazyMask", "Page", "ResultStore"]

# The coarsest level should still fill a window.
_SMALLEST = 512
# All levels of a pyramid together, in pixels of the finest.
_PYRAMID = 4 / 3
# Bytes of a pixel's class and object once they are cleaned.
_CLEANED = 5


class ResultStore:
    """Similarities and claims of a plane, filled region by region.

    Attributes
    ----------
    names : tuple of K str
        Object classes.
    window : IntensityWindow
        The grey values that the backbone saw as 0 and 1.
    similarity : list of (K, h, w) zarr.Array of float32
        Full resolution first, each level half the one before; NaN where nothing has
        been found yet or the plane holds no data.
    claims : list of (h, w) zarr.Array of uint8
        Which class may claim a pixel, see `RegionScores`; the same levels.
    folder : Path
        Removed with the last of the arrays.
    group : zarr.Group
        In that folder; further results may go there.

    Raises
    ------
    CannotWriteError
        If the disk is too full.
    """

    def __init__(
        self, plan: RegionPlan, names: tuple[str, ...], window: IntensityWindow
    ) -> None:
        self.names = names
        self.window = window
        disk = scratch_store(default_cache_folder())
        self.folder: Path = disk.root
        height, width = plan.shape
        needed = height * width * _PYRAMID * (4 * len(names) + 1 + _CLEANED)
        if needed > free_bytes(self.folder):
            msg = (
                f"The results would need up to {needed / 1e9:.1f} GB on the disk "
                f"of {self.folder}, more than is free. Make room there, or name "
                "another folder in the environment variable DINOPROMPT_CACHE."
            )
            raise CannotWriteError(msg)
        self.group = zarr.open_group(disk, mode="w")
        # At least two: a viewer takes a pyramid of one level for something else.
        levels = 1 + max(1, int(math.log2(max(1.0, max(plan.shape) / _SMALLEST))))
        levels = min(LEVELS, levels)
        shapes = [
            (math.ceil(height / 2**level), math.ceil(width / 2**level))
            for level in range(levels)
        ]
        side = plan.side
        self.similarity = [
            self._make(
                f"similarity/{level}",
                (len(names), *shape),
                (1, side, side),
                np.float32,
                np.nan,
            )
            for level, shape in enumerate(shapes)
        ]
        self.claims = [
            self._make(f"claims/{level}", shape, (side, side), np.uint8, 0)
            for level, shape in enumerate(shapes)
        ]

    def _make(
        self,
        name: str,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        dtype: DTypeLike,
        fill: float,
        group: zarr.Group | None = None,
    ) -> Any:
        return (self.group if group is None else group).create_array(
            name,
            shape=shape,
            chunks=chunks,
            dtype=np.dtype(dtype),
            fill_value=fill,
            # Fast to read, since it is read while the user pans.
            compressors=BloscCodec(cname="lz4", clevel=1),
        )

    def put(self, scores: RegionScores) -> None:
        """Write what was found in a region, at all levels.

        Parameters
        ----------
        scores : RegionScores

        Raises
        ------
        CannotWriteError
            If the disk is full.
        """
        with explaining_writes(self.folder):
            self._put(scores)

    def _put(self, scores: RegionScores) -> None:
        similarity, claims = scores.similarity, scores.claims
        rows, columns = scores.region.rows, scores.region.columns
        for level, (maps, claimed) in enumerate(
            zip(self.similarity, self.claims, strict=True)
        ):
            if level:
                similarity, claims = _halve(similarity), claims[::2, ::2]
            y, x = rows.start // 2**level, columns.start // 2**level
            here = (
                slice(y, y + claims.shape[0]),
                slice(x, x + claims.shape[1]),
            )
            maps[(slice(None), *here)] = similarity
            claimed[here] = claims

    def no_data(self) -> NoData:
        """Return which pixels hold no data, once all regions are there."""
        return NoData(Page(self.similarity[0], 0))

    def new_group(self, name: str) -> zarr.Group:
        """Make a group for further results; one of that name before goes."""
        if name in self.group:
            del self.group[name]
        return self.group.create_group(name)

    def remove_groups(self, prefix: str, but: str) -> None:
        """Remove the groups whose names begin alike, but for one."""
        for name in list(self.group.group_keys()):
            if name.startswith(prefix) and name != but:
                del self.group[name]

    def iter_levels(
        self, finest: Any, group: zarr.Group, name: str
    ) -> Generator[Progress, None, list[Any]]:
        """Make the coarser levels of a mask.

        Parameters
        ----------
        finest : (H, W) zarr.Array of integers
        group : zarr.Group
            Where they go.
        name : str
            Of the levels.

        Yields
        ------
        Progress
            After each region.

        Returns
        -------
        list of (h, w) zarr.Array
            The finest first.
        """
        side = self.claims[0].chunks[0]
        levels = [
            self._make(
                f"{name}/{level}", one.shape, (side, side), finest.dtype, 0, group
            )
            for level, one in enumerate(self.claims[1:], start=1)
        ]
        height, width = finest.shape
        corners = list(product(range(0, height, side), range(0, width, side)))
        for done, (y, x) in enumerate(corners, start=1):
            part = np.asarray(finest[y : y + side, x : x + side])
            for level, array in enumerate(levels, start=1):
                thin = part[:: 2**level, :: 2**level]
                top, left = y // 2**level, x // 2**level
                array[top : top + thin.shape[0], left : left + thin.shape[1]] = thin
            yield Progress(done, len(corners))
        return [finest, *levels]

    def masks(self, thresholds: Mapping[str, float]) -> list[LazyMask]:
        """Return the plain mask, cut as it is looked at.

        Parameters
        ----------
        thresholds : mapping of str to float
            One per object class.

        Returns
        -------
        list of LazyMask
            Full resolution first.
        """
        limits = np.array([thresholds[name] for name in self.names], dtype=np.float32)
        return [
            LazyMask(maps, claims, limits)
            for maps, claims in zip(self.similarity, self.claims, strict=True)
        ]


def _halve(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average over 2 x 2 pixels; the last repeat where there is an odd one."""
    padded = np.pad(
        maps, ((0, 0), (0, maps.shape[1] % 2), (0, maps.shape[2] % 2)), mode="edge"
    )
    sums = padded[:, ::2] + padded[:, 1::2]
    return np.asarray((sums[:, :, ::2] + sums[:, :, 1::2]) / np.float32(4))


@dataclass(frozen=True, eq=False)
class Page:
    """One of several maps in an array, read when it is looked at.

    Attributes
    ----------
    maps : (K, H, W) array
    number : int
        Which one.
    """

    maps: Any
    number: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        _, height, width = self.maps.shape
        return int(height), int(width)

    @property
    def ndim(self) -> int:
        """Two."""
        return 2

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the map."""
        found: np.dtype[Any] = np.dtype(self.maps.dtype)
        return found

    def __getitem__(self, part: Any) -> NDArray[Any]:
        where = part if isinstance(part, tuple) else (part,)
        return np.asarray(self.maps[(self.number, *where)])

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """Read the whole map."""
        return self[:, :].astype(self.dtype if dtype is None else dtype)


@dataclass(frozen=True, eq=False)
class NoData:
    """Which pixels hold no data, told by a map that is complete.

    Attributes
    ----------
    similarity : Page
    """

    similarity: Page

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.similarity.shape

    def __getitem__(self, part: Any) -> NDArray[np.bool_]:
        return np.asarray(np.isnan(self.similarity[part]))


@dataclass(frozen=True, eq=False)
class LazyMask:
    """The mask of a large plane; a part is cut when it is asked for.

    Attributes
    ----------
    similarity : (K, H, W) array of float32
    claims : (H, W) array of uint8
    limits : (K,) ndarray of float32
        The thresholds.
    """

    similarity: Any
    claims: Any
    limits: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.claims.shape
        return int(height), int(width)

    @property
    def ndim(self) -> int:
        """Two."""
        return 2

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Class numbers."""
        return np.dtype(np.uint8)

    def __getitem__(self, part: Any) -> NDArray[np.uint8]:
        claims = np.asarray(self.claims[part])
        where = part if isinstance(part, tuple) else (part,)
        mask = np.zeros_like(claims)
        for number, limit in enumerate(self.limits, start=1):
            similarity = np.asarray(self.similarity[(number - 1, *where)])
            mask[(claims == number) & (similarity > limit)] = number
        return mask

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """Cut the whole mask."""
        return self[:, :].astype(self.dtype if dtype is None else dtype)
