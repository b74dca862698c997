"""Cosine similarity of every cell with the prompts of a reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from napari_dinoprompt.core.features.feature_map import CellLengths, FeatureMap
from napari_dinoprompt.core.features.guided_filter import GuidedCells, bilinear, look_up
from napari_dinoprompt.core.prompts import BACKGROUND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.tiling.grid import CellGrid

    from .class_vectors import ClassVectors


# How much of a vector's similarity with the nearest background prompt is taken from
# its similarity with the objects; chosen by measurement (docs/quality.md).
BACKGROUND_SHARE = 0.25

# Cells in half precision that are widened at once: they should stay in the cache.
_CELLS_WIDENED = 4096
# Cells times background prompts that are scored at once.
_AT_ONCE = 16_000_000


@dataclass(frozen=True, eq=False)
class ScoredPlane:
    """Similarity of one plane with each object class, cell by cell.

    Attributes
    ----------
    features : FeatureMap
        Of the plane.
    objects : (K, rows, columns) tensor of float32
        One map per object class, less a share of the nearest background prompt's.
    plain : (K, rows, columns) tensor of float32
        The same without that share: the cosines.
    """

    features: FeatureMap
    objects: torch.Tensor
    plain: torch.Tensor

    @cached_property
    def fitted(self) -> GuidedCells | None:
        """The objects' similarities fitted to the light; None if they are not to be."""
        if self.features.guide_radius == 0:
            return None
        return self.features.guide.fit(self.objects, self.features.grid)

    def object_pixels(self) -> torch.Tensor:
        """Bring the objects' similarities to pixels, along the edges of the image.

        Returns (K, H, W) float32: in [-1, 1].
        """
        if self.fitted is None:
            return to_pixels(self.objects, self.features.grid)
        return self.fitted.pixels().clamp_(-1, 1)

    def at(self, pixels: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return what `object_pixels` has at some pixels.

        pixels: (N, 2) int64, rows and columns. Returns (K, N) float32.
        """
        if self.fitted is None:
            places = self.features.grid.to_cells(pixels)
            found = bilinear(self.objects, places)
        else:
            found = self.fitted.at(pixels)
        return np.asarray(found.clamp(-1, 1).cpu().numpy())

    def competing_scores(self) -> torch.Tensor | None:
        """Bring to pixels what classes compete by: the cells as they are.

        Which class a cell is of is a matter of its own vector; fitted to the light,
        two classes would blur into each other. Where an object ends is the light's.

        Returns (K, H, W) float32 or None if there is one class only.
        """
        if len(self.objects) == 1:
            return None
        return to_pixels(self.objects, self.features.grid)


def score_plane(
    features: FeatureMap, reference: ClassVectors, lengths: CellLengths | None = None
) -> ScoredPlane:
    """Score each cell of a plane against every object class of a reference."""
    reference.check_backbone(features.backbone)
    reference.check_objects()
    prototypes = [reference.prototype(name) for name in reference.object_classes]
    return score_vectors(features, reference, np.stack(prototypes), lengths)


def score_vectors(
    features: FeatureMap,
    reference: ClassVectors,
    units: NDArray[np.float32],
    lengths: CellLengths | None = None,
) -> ScoredPlane:
    """Score each cell of a plane against some vectors as against prototypes.

    units: (K, D) float32.
    """
    lengths = lengths or CellLengths.of(
        features, reference.statistics, reference.scoring
    )
    plain = scores = cosines(features, reference, units, lengths)
    if BACKGROUND in reference.classes:
        grounds = reference.unit_vectors()[reference.members(BACKGROUND)]
        near = nearest(features, reference, grounds, lengths)
        scores = plain - BACKGROUND_SHARE * near
    return ScoredPlane(features, scores, plain)


def nearest(
    features: FeatureMap,
    reference: ClassVectors,
    units: NDArray[np.float32],
    lengths: CellLengths,
) -> torch.Tensor:
    """Return the cosine of each cell with the nearest of some vectors, at least 0.

    units: (N, D) float32. Returns (rows, columns) float32.
    """
    rows, columns = features.vectors.shape[:2]
    step = max(1, _AT_ONCE // (rows * columns))
    found = torch.zeros((rows, columns), device=features.vectors.device)
    for first in range(0, len(units), step):
        near = cosines(features, reference, units[first : first + step], lengths)
        found = torch.maximum(found, near.amax(dim=0))
    return found


def cosines(
    features: FeatureMap,
    reference: ClassVectors,
    units: NDArray[np.float32],
    lengths: CellLengths,
) -> torch.Tensor:
    """Return the cosine of each cell with some vectors.

    units: (N, D) float32. Returns (N, rows, columns) float32: in [-1, 1]; 0 where a
    cell's vector has no length.
    """
    device = features.vectors.device
    mean, inverse = reference.affine()
    # <(v - m) / s, q> = <v, q / s> - <m, q / s>: one product with the stored vectors.
    weights = torch.from_numpy(units * inverse).to(device)
    offset = weights @ torch.from_numpy(mean).to(device)
    flat = features.vectors.reshape(-1, features.vectors.shape[2])
    scores = torch.empty((len(weights), len(flat)), device=device)
    step = len(flat) if flat.dtype == torch.float32 else _CELLS_WIDENED
    for some, out in zip(flat.split(step), scores.split(step, dim=1), strict=True):
        # Rows times columns in this order reads the map once; the other is three
        # times slower on a CPU.
        torch.mm(weights, some.float().T, out=out)
    scores -= offset[:, None]
    scores *= lengths.inverse.reshape(1, -1)
    return scores.clamp_(-1, 1).reshape(-1, *features.vectors.shape[:2])


def to_pixels(cells: torch.Tensor, grid: CellGrid) -> torch.Tensor:
    """Interpolate cell values bilinearly onto the pixels of the plane.

    cells: (K, rows, columns). Returns (K, H, W): a pixel on a cell's centre has exactly
    that cell's value; beyond the outermost centres the nearest cells count.
    """
    height, width = grid.shape
    if any(grid.origin):
        return look_up(cells, grid, grid.shape, 1)
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
    reference: ClassVectors,
    name: str | None = None,
    *,
    fitted: bool = True,
) -> NDArray[np.float32]:
    """Compute the similarity map of one class.

    Parameters
    ----------
    features : FeatureMap
    reference : Reference
    name : str, optional
        A class of the reference; its first object class by default.
    fitted : bool
        Whether the map is the one that masks are cut from: less a share of the cosine
        with the nearest background prompt, brought to pixels along the edges of the
        image. If not, or of background, it is the plain cosine of the cells, brought
        to pixels bilinearly: 1 where a vector is the class's prototype.

    Returns
    -------
    (H, W) ndarray of float32
        Cosine with the class's prototype in [-1, 1], as `segment` has it; NaN where
        the image holds no data.

    Raises
    ------
    IncompatibleReferenceError
        If the features are of another backbone than the reference.
    InputError
        If the class has no prompt.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> features = dp.extract_features(image, backbone)
    >>> points = [(20, 60), (20, 100), (60, 60)]
    >>> reference = dp.Reference.from_prompts(features, points)
    >>> similarity = dp.similarity_map(features, reference)
    >>> bool(similarity[60, 100] > 0.5), bool(similarity[40, 40] < 0)
    (True, True)
    >>> alone = dp.Reference.from_prompts(features, points[:1], points_only=True)
    >>> plain = dp.similarity_map(features, alone, fitted=False)
    >>> round(float(plain[20, 60]), 2)
    1.0
    """
    name = name or reference.object_classes[0]
    prototype = reference.prototype(name)
    reference.check_backbone(features.backbone)
    if name == BACKGROUND or not fitted:
        lengths = CellLengths.of(features, reference.statistics, reference.scoring)
        cells = cosines(features, reference, prototype[None], lengths)
        return as_map(to_pixels(cells, features.grid)[0], features.no_data)
    scored = score_vectors(features, reference, prototype[None])
    return as_map(scored.object_pixels()[0], features.no_data)


def as_map(
    pixels: torch.Tensor, no_data: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Return similarities as an array with NaN where the image holds no data.

    pixels: (H, W) float32; no_data: (H, W) bool or None. Returns (H, W) float32:
    contiguous.
    """
    found: NDArray[np.float32] = pixels.cpu().contiguous().numpy()
    if no_data is not None:
        found = np.where(no_data, np.float32(np.nan), found)
    return found
