"""Similarities of a plane, pixel by pixel, before any threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.masks import (
    class_mask,
)
from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.similarity import as_map, score_plane

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_dinoprompt.core.cell_lengths import CellLengths
    from napari_dinoprompt.core.features import FeatureMap
    from napari_dinoprompt.core.intensity import IntensityWindow
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.similarity import ScoredPlane

__all__ = ["Similarities", "score", "spread"]


@dataclass(frozen=True, eq=False)
class Similarities:
    """Similarity with every class at every pixel; no threshold has been applied.

    Attributes
    ----------
    names : tuple of K str
        Object classes; class number k + 1 is ``names[k]``.
    objects : (K, H, W) tensor of float32
        Along the edges of the image.
    rivals : (1 + K, H, W) tensor of float32 or None
        By which background and classes compete, see `class_mask`.
    window : IntensityWindow
        The grey values that the backbone saw as 0 and 1.
    no_data : (H, W) ndarray of bool or None
    nothing : bool
        The plane is constant or white noise: whatever the similarity, there is no
        object.
    """

    names: tuple[str, ...]
    objects: torch.Tensor
    rivals: torch.Tensor | None
    window: IntensityWindow
    no_data: NDArray[np.bool_] | None
    nothing: bool

    def of(self, name: str) -> NDArray[np.float32]:
        """Return the similarity map of one class.

        Returns
        -------
        (H, W) ndarray of float32
            NaN where the image holds no data.
        """
        if name == BACKGROUND and self.rivals is not None:
            return as_map(self.rivals[0], self.no_data)
        return as_map(self.objects[self.names.index(name)], self.no_data)

    def mask(self, thresholds: Mapping[str, float]) -> NDArray[np.uint8]:
        """Return the plain mask.

        Parameters
        ----------
        thresholds : mapping of str to float
            One per object class.

        Returns
        -------
        (H, W) ndarray of uint8
            Class numbers; 0 where the image holds no data.
        """
        if self.nothing:
            return np.zeros(tuple(self.objects.shape[1:]), dtype=np.uint8)
        limits = [thresholds[name] for name in self.names]
        mask = class_mask(self.objects, limits, self.rivals)
        if self.no_data is not None:
            mask[self.no_data] = 0
        return mask


def score(
    features: FeatureMap, reference: Reference, lengths: CellLengths | None = None
) -> Similarities:
    """Compare a feature map with every class of a reference.

    Parameters
    ----------
    features : FeatureMap
    reference : Reference
        With at least one object class.
    lengths : CellLengths, optional
        Of these features under this reference's statistics, if kept from before.

    Returns
    -------
    Similarities

    Raises
    ------
    InputError
        If the reference has background prompts only.
    IncompatibleReferenceError
        If the features are of another backbone.
    """
    with torch.inference_mode():
        scored = score_plane(features, reference, lengths)
    return spread(scored, reference)


def spread(scored: ScoredPlane, reference: Reference) -> Similarities:
    """Bring the similarities of a plane's cells to its pixels.

    Parameters
    ----------
    scored : ScoredPlane
    reference : Reference
        What it was scored with.

    Returns
    -------
    Similarities
    """
    with torch.inference_mode():
        return Similarities(
            names=reference.object_classes,
            objects=scored.object_pixels(),
            rivals=scored.rivals(),
            window=scored.features.window,
            no_data=scored.features.no_data,
            nothing=scored.features.featureless,
        )
