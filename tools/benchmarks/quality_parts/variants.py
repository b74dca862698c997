"""Other ways from an image to its features, tried beside the product's.

Each does the work of `extract_features` with the same backbone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.tiling.grid import CellGrid
from napari_dinoprompt.core.tiling.tiles import plan_overlapping

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Backbone, BackboneInfo, Scoring
    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.images.intensity import IntensityWindow
    from napari_dinoprompt.core.tiling.tiles import TilePlan


class Extract(Protocol):
    """A way from an image to its features."""

    def __call__(
        self,
        image: NDArray[np.generic],
        backbone: Backbone,
        *,
        upscale: float,
        window: IntensityWindow,
    ) -> FeatureMap:
        """Compute features as `extract_features` does."""
        ...


def _shifted(
    image: NDArray[np.generic],
    backbone: Backbone,
    *,
    upscale: float,
    window: IntensityWindow,
) -> FeatureMap:
    """Merge four extractions, half a patch apart, into a grid twice as fine.

    The image is shifted by a quarter of a cell to either side along both axes, so
    that the centres of the tokens are those of the fine cells.
    """
    shape = (image.shape[0], image.shape[1])
    coarse = CellGrid(shape, backbone.info.patch, upscale)
    fine = CellGrid(shape, backbone.info.patch // 2, upscale)
    quarter = coarse.cell / 4
    if not quarter.is_integer() or backbone.info.patch % 2:
        msg = f"Cells of {coarse.cell:g} pixels have no quarter in whole pixels."
        raise InputError(msg)
    rows, columns = coarse.cells
    size = [int(cells * coarse.cell) for cells in coarse.cells]
    before = int(quarter)
    around = [
        (before, end + before - length) for end, length in zip(size, shape, strict=True)
    ]
    padded = np.pad(image, [*around, *[(0, 0)] * (image.ndim - 2)], mode="symmetric")
    dimension = backbone.info.dimension
    vectors = torch.empty(
        (2 * rows, 2 * columns, dimension),
        dtype=backbone.kept_as,
        device=backbone.device,
    )
    for row, column in np.ndindex(2, 2):
        y, x = 2 * before * row, 2 * before * column
        part = padded[y : y + size[0], x : x + size[1]]
        found = extract_features(part, backbone, upscale=upscale, window=window)
        vectors[row::2, column::2] = found.vectors
    plain = extract_features(image, _Nothing(backbone), upscale=upscale, window=window)
    cut = vectors[: fine.cells[0], : fine.cells[1]].contiguous()
    return replace(plain, vectors=cut, grid=fine)


@dataclass(frozen=True, eq=False)
class _Nothing:
    """A backbone that gives zeros: for all of a feature map but its vectors."""

    backbone: Backbone

    @property
    def info(self) -> BackboneInfo:
        return self.backbone.info

    @property
    def scoring(self) -> Scoring:
        return self.backbone.scoring

    def guide_radius(self, cell: float) -> int:
        return self.backbone.guide_radius(cell)

    @property
    def device(self) -> torch.device:
        return self.backbone.device

    @property
    def dtype(self) -> torch.dtype:
        return self.backbone.dtype

    @property
    def kept_as(self) -> torch.dtype:
        return self.backbone.kept_as

    @property
    def cache(self) -> None:
        # The crops are the backbone's own, and so would be the keys.
        return None

    @property
    def batch_size(self) -> int:
        return self.backbone.batch_size

    def on(self, device: torch.device) -> Backbone:
        return replace(self, backbone=self.backbone.on(device))

    def plan(self, grid: tuple[int, int]) -> TilePlan:
        return plan_overlapping(grid, size=max(grid), overlap=0, ramp=1)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        count, _, height, width = batch.shape
        patch = self.info.patch
        return torch.zeros(count, height // patch, width // patch, self.info.dimension)


VARIANTS: dict[str, Extract] = {"shifted": _shifted}
"""By name, as ``--variant`` takes it."""
