"""Mean and scale of features: taken once from the source, never from the target.

Estimated anew on each image, they would turn the noise of an empty image into
structure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Scoring


# A feature that varies less than this in the source (float32 noise on features of
# order 1) says nothing there, and dividing by it would say a lot elsewhere.
_NEGLIGIBLE = 1e-5
# Vectors that are widened at once.
_ROWS = 16_384


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """What is subtracted from vectors and what they are divided by.

    Attributes
    ----------
    mean : (D,) ndarray of float32
    scale : (D,) ndarray of float32
        Standard deviation; 0 marks a feature that does not vary in the source.
    count : int
        Cells that both were taken from.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    count: int

    def affine(
        self, scoring: Scoring
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what a scoring subtracts from vectors and then multiplies them with.

        Returns mean, inverse_scale (D,) float32: a feature that does not vary in the
        source is multiplied with 0.
        """
        ones = np.ones_like(self.mean)
        if scoring == "plain":
            return np.zeros_like(self.mean), ones
        if scoring == "centred":
            return self.mean, ones
        inverse = np.zeros_like(ones)
        np.divide(ones, self.scale, out=inverse, where=self.scale > 0)
        return self.mean, inverse


@dataclass(frozen=True, eq=False)
class SourceMeasures:
    """What is measured on a source before there are prompts.

    Attributes
    ----------
    statistics : FeatureStatistics
    scoring : {"plain", "centred", "standardised"}
    """

    statistics: FeatureStatistics
    scoring: Scoring


def measure_vectors(vectors: torch.Tensor, scoring: Scoring) -> SourceMeasures:
    """Measure the (N, D) vectors of an image that prompts will be placed on."""
    statistics = _statistics(*_moments(vectors), len(vectors))
    return SourceMeasures(statistics, scoring)


def _moments(vectors: torch.Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Take mean and standard deviation of (N, D) vectors in any precision."""
    parts = vectors.split(_ROWS)
    mean = np.zeros(vectors.shape[1])
    for part in parts:
        mean += part.float().sum(dim=0).cpu().numpy()
    mean /= len(vectors)
    middle = vectors.new_tensor(mean.tolist()).float()
    squares = np.zeros_like(mean)
    for part in parts:
        squares += (part.float() - middle).square().sum(dim=0).cpu().numpy()
    scale = np.sqrt(squares / len(vectors))
    return mean.astype(np.float32), scale.astype(np.float32)


def pool_measures(parts: Sequence[SourceMeasures]) -> SourceMeasures:
    """Pool what was measured on several planes or images, as if on all their cells.

    The part itself if there is only one.
    """
    if len(parts) == 1:
        return parts[0]
    counts = np.array([part.statistics.count for part in parts], dtype=np.float64)
    shares = (counts / counts.sum())[:, None]
    means = np.stack([part.statistics.mean for part in parts]).astype(np.float64)
    scales = np.stack([part.statistics.scale for part in parts]).astype(np.float64)
    mean = (shares * means).sum(axis=0)
    variance = (shares * (scales**2 + (means - mean) ** 2)).sum(axis=0)
    statistics = _statistics(
        mean.astype(np.float32), np.sqrt(variance).astype(np.float32), int(counts.sum())
    )
    return SourceMeasures(statistics, parts[0].scoring)


def _statistics(
    mean: NDArray[np.float32], scale: NDArray[np.float32], count: int
) -> FeatureStatistics:
    return FeatureStatistics(mean, np.where(scale < _NEGLIGIBLE, 0, scale), count)


def unit_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale vectors to length 1.

    vectors: (N, D) float32. Returns (N, D) float32: a vector without length stays 0.
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.zeros_like(vectors)
    np.divide(vectors, length, out=unit, where=length > 0)
    return unit
