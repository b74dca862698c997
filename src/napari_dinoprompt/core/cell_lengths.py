"""Lengths of a feature map's vectors, kept between scorings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones.base import Scoring
    from napari_dinoprompt.core.features import FeatureMap
    from napari_dinoprompt.core.statistics import FeatureStatistics

__all__ = ["CellLengths"]

_ROWS = 32


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
            features.vectors.split(_ROWS), lengths.split(_ROWS), strict=True
        ):
            out[:] = torch.linalg.vector_norm(
                (rows - mean) * inverse, dim=2, keepdim=True
            )
        return cls(torch.where(lengths > 0, 1 / lengths, 0.0))
