"""Feature maps and the lengths of their vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.validation import as_points

from .guided_filter import Guide, bilinear
from .regions import Region, RegionPlan
from .statistics import FeatureStatistics, SourceMeasures, measure_vectors

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import BackboneInfo, Scoring
    from napari_dinoprompt.core.images.intensity import IntensityWindow
    from napari_dinoprompt.core.progress import Notice
    from napari_dinoprompt.core.tiling.grid import CellGrid


_ROWS_MEASURED = 32


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """The features of one image plane.

    Attributes
    ----------
    vectors : (rows, columns, D) tensor of float32, or float16
        One vector per cell, on the device that computed it; those of networks in half
        precision.
    grid : CellGrid
        Where the cells lie on the plane.
    backbone : BackboneInfo
        What computed the vectors.
    scoring : {"plain", "centred", "standardised"}
        The scoring that suits the backbone.
    window : IntensityWindow
        The grey values that the backbone saw as 0 and 1.
    light : (H, W) tensor of float32
        Root of the windowed grey values, in [0, 1]: the edges that similarities
        follow.
    guide_radius : int
        How far around a pixel they do, in cells; 0 for plain interpolation.
    no_data : (H, W) ndarray of bool or None
        Pixels that hold NaN or infinity.
    featureless : bool
        The plane is constant or white noise: it shows nothing.
    content_hash : str
        Of the plane, as `hash_plane` has it; empty if it is not known.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> features = dp.extract_features(image, backbone)
    >>> features.vectors.shape
    torch.Size([80, 80, 30])
    >>> features.at([(20, 60)]).shape
    (1, 30)
    """

    vectors: torch.Tensor
    grid: CellGrid
    backbone: BackboneInfo
    scoring: Scoring
    window: IntensityWindow
    light: torch.Tensor
    guide_radius: int
    no_data: NDArray[np.bool_] | None
    featureless: bool
    content_hash: str = ""

    @cached_property
    def guide(self) -> Guide:
        """What similarities are fitted to; made once."""
        return Guide.of(self.light, self.grid.cell, self.guide_radius)

    @cached_property
    def regions(self) -> RegionPlan:
        """Which parts lie on whole blocks, and what has to be read around them."""
        return RegionPlan.of(self.grid, self.guide_radius, tile=1)

    def part(self, region: Region) -> FeatureMap:
        """Return the features of a part of the plane.

        Parameters
        ----------
        region : Region
            On whole blocks, as those of `regions`.

        Returns
        -------
        FeatureMap
            As if the part were a plane of its own that shares the cells of the whole.
        """
        (row, column), grid = self.grid.part(*region.part)
        rows, columns = grid.cells
        return replace(
            self,
            vectors=self.vectors[row : row + rows, column : column + columns],
            grid=grid,
            light=self.light[region.part],
            no_data=None if self.no_data is None else self.no_data[region.part],
            content_hash="",
        )

    def iter_part(self, region: Region) -> Generator[Notice, None, FeatureMap]:
        """Return `part`, step by step as `LazyFeatures` computes it.

        Parameters
        ----------
        region : Region
            As `part` takes it.

        Yields
        ------
        Notice
            Never.

        Returns
        -------
        FeatureMap
        """
        yield from ()
        return self.part(region)

    def iter_measures(self) -> Generator[Notice, None, SourceMeasures]:
        """Return `measures`, step by step as those of `LazyFeatures` come.

        Yields
        ------
        Notice
            Never: the features are there.

        Returns
        -------
        SourceMeasures
        """
        yield from ()
        return self.measures

    @cached_property
    def measures(self) -> SourceMeasures:
        """Mean and scale of the features in cells that hold data; measured once."""
        vectors = self.vectors.flatten(0, 1)
        valid = self.valid_cells()
        if valid is not None and valid.any():
            vectors = vectors[valid.reshape(-1)]
        return measure_vectors(vectors, self.scoring)

    def at(self, points: ArrayLike) -> NDArray[np.float32]:
        """Look up vectors at points, bilinearly between cell centres.

        Parameters
        ----------
        points : (N, 2) array_like
            y and x in pixels. Between the outermost cell centres and the edge the
            nearest cells count.

        Returns
        -------
        (N, D) ndarray of float32
            A point on a cell's centre gives exactly that cell's vector.

        Raises
        ------
        InputError
            If a point lies outside the plane, or on a pixel without data.
        """
        where = as_points(points, lone=True).reshape(-1, 2)
        self.grid.check(where)
        missing = ~self.holds_data(where)
        if missing.any():
            y, x = where[missing][0]
            msg = f"The image holds no data at the point (y={y:g}, x={x:g})."
            raise InputError(msg)
        return self.interpolate(where)

    def interpolate(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """Look up vectors as `at` does, at points that need not be on the plane.

        Parameters
        ----------
        points : (N, 2) ndarray of float64
            y and x in pixels; outside the plane the nearest cells count.

        Returns
        -------
        (N, D) ndarray of float32
        """
        places = self.grid.to_cells(points)
        found = bilinear(self.vectors.movedim(2, 0), places)
        return np.ascontiguousarray(found.T.cpu().numpy())

    def holds_data(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which points lie on the plane and on a pixel that holds data.

        Parameters
        ----------
        points : (N, 2) ndarray of float64
            y and x in pixels.

        Returns
        -------
        (N,) ndarray of bool
        """
        inside = self.grid.contains(points)
        if self.no_data is None:
            return inside
        pixels = self.grid.nearest_pixels(points)
        return inside & ~self.no_data[pixels[:, 0], pixels[:, 1]]

    def valid_cells(self) -> torch.Tensor | None:
        """Tell which cells hold data in at least half of their pixels.

        Returns
        -------
        (rows, columns) tensor of bool or None
            None if all do. On the device of the vectors.
        """
        if self.no_data is None:
            return None
        held = (~self.no_data).astype(np.float64)
        for axis, cells in enumerate(self.grid.cells):
            start = self.grid.origin[axis]
            held = mean_per_cell(held, axis, cells, self.grid.cell, start)
        return torch.from_numpy(held >= 0.5).to(self.vectors.device)


def mean_per_cell(
    values: NDArray[np.float64], axis: int, cells: int, cell: float, start: float = 0
) -> NDArray[np.float64]:
    """Average over the pixels whose centres lie in each cell along one axis."""
    length = values.shape[axis]
    if cell < 1:
        # Cells finer than pixels: each takes the pixel that its centre lies in.
        centres = np.floor((np.arange(cells) + 0.5) * cell + start).astype(np.int64)
        nearest = np.clip(centres, 0, length - 1)
        return np.asarray(np.take(values, nearest, axis=axis))
    owner = np.floor((np.arange(length) + 0.5 - start) / cell).astype(np.int64)
    # A first or last cell that reaches in by less than half a pixel takes the pixel
    # there.
    starts = np.minimum(np.searchsorted(owner, np.arange(cells)), length - 1)
    sums = np.add.reduceat(values, starts, axis=axis)
    counts = np.maximum(np.diff([*starts, length]), 1)
    return np.asarray(sums / np.expand_dims(counts, 1 - axis))


@dataclass(frozen=True, eq=False)
class CellLengths:
    """Inverse lengths of all vectors of a map once statistics are applied.

    They depend on the statistics but not on the prompts, and are the larger part of
    the work: whoever scores a map again and again keeps them.

    Attributes
    ----------
    inverse : (rows, columns, 1) tensor of float32
        0 where a vector has no length.
    """

    inverse: torch.Tensor

    @classmethod
    def of(
        cls, features: FeatureMap, statistics: FeatureStatistics, scoring: Scoring
    ) -> CellLengths:
        """Measure the vectors of a map."""
        device = features.vectors.device
        mean, inverse = (
            torch.from_numpy(part).to(device) for part in statistics.affine(scoring)
        )
        lengths = torch.empty((*features.vectors.shape[:2], 1), device=device)
        # A few rows at a time, so that no second copy of the whole map is made.
        for rows, out in zip(
            features.vectors.split(_ROWS_MEASURED),
            lengths.split(_ROWS_MEASURED),
            strict=True,
        ):
            out[:] = torch.linalg.vector_norm(
                (rows - mean) * inverse, dim=2, keepdim=True
            )
        return cls(torch.where(lengths > 0, 1 / lengths, 0.0))
