"""Mean and scale of features: taken once from the source, never from the target.

Estimated anew on each image, they would turn the noise of an empty image into
structure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Scoring
    from napari_dinoprompt.core.features import FeatureMap

__all__ = ["FeatureStatistics", "measure_statistics"]

# A feature that varies less than this in the source (float32 noise on features of
# order 1) says nothing there, and dividing by it would say a lot elsewhere.
_NEGLIGIBLE = 1e-5


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

        Parameters
        ----------
        scoring : {"plain", "centred", "standardised"}

        Returns
        -------
        mean, inverse_scale : (D,) ndarrays of float32
            A feature that does not vary in the source is multiplied with 0.
        """
        ones = np.ones_like(self.mean)
        if scoring == "plain":
            return np.zeros_like(self.mean), ones
        if scoring == "centred":
            return self.mean, ones
        inverse = np.zeros_like(ones)
        np.divide(ones, self.scale, out=inverse, where=self.scale > 0)
        return self.mean, inverse


def measure_statistics(features: FeatureMap) -> FeatureStatistics:
    """Take mean and scale of each feature over the cells that hold data.

    Parameters
    ----------
    features : FeatureMap

    Returns
    -------
    FeatureStatistics
    """
    vectors = features.vectors.reshape(-1, features.vectors.shape[2])
    valid = features.valid_cells()
    if valid is not None and valid.any():
        vectors = vectors[valid.reshape(-1)]
    mean = vectors.mean(dim=0)
    scale = vectors.std(dim=0, unbiased=False)
    scale[scale < _NEGLIGIBLE] = 0.0
    return FeatureStatistics(
        mean=mean.cpu().numpy(), scale=scale.cpu().numpy(), count=len(vectors)
    )
