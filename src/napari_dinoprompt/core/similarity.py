"""Cosine similarity of every cell with the prototypes of a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Scoring
    from napari_dinoprompt.core.features import FeatureMap
    from napari_dinoprompt.core.geometry import CellGrid
    from napari_dinoprompt.core.reference import Reference
    from napari_dinoprompt.core.statistics import FeatureStatistics

__all__ = ["CellLengths", "as_map", "cell_similarity", "similarity_map", "to_pixels"]

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
        """Measure the vectors of a map.

        Parameters
        ----------
        features : FeatureMap
        statistics : FeatureStatistics
        scoring : {"plain", "centred", "standardised"}

        Returns
        -------
        CellLengths
        """
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


def cell_similarity(
    features: FeatureMap,
    reference: Reference,
    names: tuple[str, ...],
    lengths: CellLengths | None = None,
) -> torch.Tensor:
    """Score each cell against the prototypes of some classes.

    Parameters
    ----------
    features : FeatureMap
    reference : Reference
    names : tuple of K str
        Classes of the reference.
    lengths : CellLengths, optional
        Of these features under this reference's statistics, if kept from before.

    Returns
    -------
    (K, rows, columns) tensor of float32
        Cosine similarities in [-1, 1]; 0 where a vector has no length.

    Raises
    ------
    IncompatibleReferenceError
        If the features are of another backbone than the reference.
    InputError
        If a class has no prompt.
    """
    reference.check_backbone(features.backbone)
    lengths = lengths or CellLengths.of(
        features, reference.statistics, reference.scoring
    )
    device = features.vectors.device
    mean, inverse = reference.affine()
    prototypes = np.stack([reference.prototype(name) for name in names])
    # <(v - m) / s, q> = <v, q / s> - <m, q / s>: one product with the stored vectors.
    weights = torch.from_numpy(prototypes * inverse).to(device)
    offset = weights @ torch.from_numpy(mean).to(device)
    flat = features.vectors.reshape(-1, features.vectors.shape[2])
    # A product with one vector at a time reads the map at full speed; a narrow matrix
    # does not.
    scores = flat.new_empty((len(names), len(flat)))
    for weight, out in zip(weights, scores, strict=True):
        torch.mv(flat, weight, out=out)
    scores -= offset[:, None]
    scores *= lengths.inverse.reshape(1, -1)
    return scores.clamp_(-1, 1).reshape(-1, *features.vectors.shape[:2])


def to_pixels(cells: torch.Tensor, grid: CellGrid) -> torch.Tensor:
    """Interpolate cell values bilinearly onto the pixels of the plane.

    Parameters
    ----------
    cells : (K, rows, columns) tensor
    grid : CellGrid

    Returns
    -------
    (K, H, W) tensor
        A pixel on a cell's centre has exactly that cell's value; beyond the outermost
        centres the nearest cells count.
    """
    height, width = grid.shape
    if grid.cell == 1:
        return cells[:, :height, :width]
    padded = cells[None]
    if not grid.cell.is_integer():
        # One repeated cell more: rounding must not make the result a pixel short.
        padded = F.pad(padded, (0, 1, 0, 1), mode="replicate")
    pixels = F.interpolate(
        padded,
        scale_factor=grid.cell,
        mode="bilinear",
        align_corners=False,
        recompute_scale_factor=False,
    )
    return pixels[0, :, :height, :width]


def similarity_map(
    features: FeatureMap,
    reference: Reference,
    name: str | None = None,
) -> NDArray[np.float32]:
    """Compute the similarity map of one class.

    Parameters
    ----------
    features : FeatureMap
    reference : Reference
    name : str, optional
        A class of the reference; its first object class by default.

    Returns
    -------
    (H, W) ndarray of float32
        Cosine similarity in [-1, 1]; NaN where the image holds no data.

    Raises
    ------
    IncompatibleReferenceError
        If the features are of another backbone than the reference.
    InputError
        If the class has no prompt.
    """
    name = name or reference.class_names[0]
    cells = cell_similarity(features, reference, (name,))
    return as_map(to_pixels(cells, features.grid)[0], features.no_data)


def as_map(
    pixels: torch.Tensor, no_data: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Return similarities as an array with NaN where the image holds no data.

    Parameters
    ----------
    pixels : (H, W) tensor of float32
    no_data : (H, W) ndarray of bool or None

    Returns
    -------
    (H, W) ndarray of float32
        Contiguous.
    """
    found: NDArray[np.float32] = pixels.cpu().contiguous().numpy()
    if no_data is not None:
        found = np.where(no_data, np.float32(np.nan), found)
    return found
