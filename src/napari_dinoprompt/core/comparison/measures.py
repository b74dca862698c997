"""All figures and maps of fakes against the real."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.errors import InputError

from .columns import COLUMNS, Column
from .intensity import compare_greys
from .metrics import average_precision, map_agreement, measure_agreement
from .objects import ObjectMatching, UnmatchedObject, match_objects
from .perceptual import cell_distances, distance_map, mean_distance
from .shapes import compare_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.segmentation.segment import Segmentation


@dataclass(frozen=True, eq=False)
class Side:
    """The real or a fake, with the same reference applied; on the grid of the real.

    Attributes
    ----------
    mask : (H, W) ndarray of bool
        At the threshold of the real.
    instances : (H, W) ndarray of int32
        Object numbers.
    grey : (H, W) ndarray of float32
        Grey values, windowed to [0, 1] by the same window on both sides.
    similarity : (H, W) ndarray of float32
    own_mask : (H, W) ndarray of bool, optional
        The mask at the image's own automatic threshold.
    features : FeatureMap, optional
    affine : ((D,) ndarray, (D,) ndarray), optional
        Mean and inverse scale of the reference, as `Reference.affine` gives them;
        those of the real serve both sides.
    no_data : (H, W) ndarray of bool, optional
        Pixels that hold NaN or infinity, or lie outside the image.

    Raises
    ------
    InputError
        If the arrays differ in shape.
    """

    mask: NDArray[np.bool_]
    instances: NDArray[np.int32]
    grey: NDArray[np.float32]
    similarity: NDArray[np.float32]
    own_mask: NDArray[np.bool_] | None = None
    features: FeatureMap | None = None
    affine: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
    no_data: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        names = ("instances", "grey", "similarity", "own_mask", "no_data")
        shapes = {
            name: array.shape
            for name in names
            if (array := getattr(self, name)) is not None
        }
        if self.features is not None:
            shapes["features"] = self.features.grid.shape
        for name, shape in shapes.items():
            if shape != self.mask.shape:
                msg = f"The mask is {self.mask.shape} pixels, {name} {shape}."
                raise InputError(msg)


@dataclass(frozen=True, eq=False)
class Maps:
    """Where the real and the fake differ.

    All but the first are NaN where either holds no data.

    Attributes
    ----------
    agreement : (H, W) ndarray of uint8
        0 in neither mask, 1 in both, 2 only in the real, 3 only in the fake.
    ssim : (H, W) ndarray of float32
        Structural similarity, in [-1, 1].
    squared_error : (H, W) ndarray of float32
        Of windowed values, in [0, 1].
    feature_distance : (H, W) ndarray of float32 or None
        In [0, 2]; None if features of either were not given.
    """

    agreement: NDArray[np.uint8]
    ssim: NDArray[np.float32]
    squared_error: NDArray[np.float32]
    feature_distance: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Measures:
    """What `measure_pair` finds.

    Attributes
    ----------
    figures : mapping of str to float
        One for every key of `columns.COLUMNS`, in that order; NaN where nothing can
        be said.
    maps : Maps
    unmatched : tuple of UnmatchedObject
        Objects without a partner, those of the real first.
    """

    figures: Mapping[str, float]
    maps: Maps
    unmatched: tuple[UnmatchedObject, ...]


@dataclass(frozen=True, eq=False)
class Report:
    """One fake against the real, or the real against the truth.

    Attributes
    ----------
    name : str
    segmentation : Segmentation
        The reference applied to the fake, on the grid of the real.
    grey : (H, W) ndarray of float32
        What was compared, windowed to [0, 1].
    own_threshold : float
        Where the fake itself would be cut.
    measures : Measures
        Figures, maps, and objects without a partner.
    intervals : mapping of str to (float, float) or None
        From the 2.5 to the 97.5 percentile of a figure over the draws of the prompts;
        None where it does not depend on them or nothing was drawn.
    """

    name: str
    segmentation: Segmentation
    grey: NDArray[np.float32]
    own_threshold: float
    measures: Measures
    intervals: Mapping[str, tuple[float, float] | None]

    @property
    def record(self) -> dict[str, object]:
        """The figures as one record; an interval that there is not is NaN."""
        found: dict[str, object] = {"name": self.name}
        for key, value in self.measures.figures.items():
            low, high = self.intervals.get(key) or (math.nan, math.nan)
            found |= {key: value, f"{key}_low": low, f"{key}_high": high}
        return found


@dataclass(frozen=True, eq=False)
class Findings:
    """All that a comparison found; what each field is, `Comparison` tells."""

    class_name: str
    real: Segmentation
    real_grey: NDArray[np.float32]
    truth: NDArray[np.int32] | None
    real_report: Report | None
    reports: tuple[Report, ...]
    noise_floor: dict[str, tuple[float, float]]
    columns: tuple[Column, ...]
    settings: Mapping[str, object]
    note: str

    @property
    def rows(self) -> tuple[Report, ...]:
        """All reports in the order of the table."""
        first = () if self.real_report is None else (self.real_report,)
        return (*first, *self.reports)

    def title(self, column: Column) -> str:
        """Return what a column is called here: with a truth, some can be named.

        Parameters
        ----------
        column : Column
            One of `columns`.

        Returns
        -------
        str
            For example *hallucinated*; without a truth *only in fake*.
        """
        known = self.truth is not None and column.with_truth
        return column.with_truth if known else column.title


def measure_pair(real: Side, fake: Side) -> Measures:
    """Compare a fake with the real.

    Pixels without data in either are left out of every figure: what is left of an
    object there is compared, and cells count if at least half of them holds data.
    """
    if real.mask.shape != fake.mask.shape:
        raise InputError(
            f"The real is {real.mask.shape} pixels, the fake {fake.mask.shape}; "
            "bring the fake onto the grid of the real first."
        )
    valid = valid_pixels(real, fake)
    figures, matching = _mask_figures(real, fake, valid)
    greys = compare_greys(real.grey, fake.grey, valid)
    distance, distances = _features(real, fake, valid)
    figures |= _read(greys, "mse", "psnr", "ssim", "pearson")
    figures["feature_distance"] = distance
    return Measures(
        figures={one.key: figures[one.key] for one in COLUMNS},
        maps=Maps(
            agreement=map_agreement(real.mask, fake.mask, valid),
            ssim=greys.ssim_map,
            squared_error=greys.squared_error,
            feature_distance=distances,
        ),
        unmatched=matching.unmatched,
    )


def measure_masks(real: Side, fake: Side) -> dict[str, float]:
    """Compute the figures that depend on the prompts, and no others."""
    return _mask_figures(real, fake, valid_pixels(real, fake))[0]


def _mask_figures(
    real: Side, fake: Side, valid: NDArray[np.bool_] | None
) -> tuple[dict[str, float], ObjectMatching]:
    matching = match_objects(real.instances, fake.instances, valid)
    shapes = compare_shapes(real.instances, fake.instances, matching.matches, valid)
    pixels = measure_agreement(fake.mask, real.mask, valid)
    own = math.nan
    if fake.own_mask is not None:
        own = measure_agreement(fake.own_mask, real.mask, valid).iou
    figures = {
        **_read(pixels, "iou", "dice", "precision", "recall"),
        "own_threshold_iou": own,
        "objects_in_real": float(matching.real_count),
        "objects_in_fake": float(matching.fake_count),
        "matched": float(len(matching.matches)),
        "displaced": float(matching.count("displaced or split")),
        "only_in_real": float(matching.count("only in real")),
        "only_in_fake": float(matching.count("only in fake")),
        "f1": matching.f1,
        **_read(shapes, "area_ratio", "boundary_distance", "shape_difference"),
        "average_precision": average_precision(real.mask, fake.similarity, valid),
    }
    return figures, matching


def _read(found: object, *names: str) -> dict[str, float]:
    return {name: getattr(found, name) for name in names}


def valid_pixels(real: Side, fake: Side) -> NDArray[np.bool_] | None:
    """Find the pixels that hold data in both; None if all do."""
    sides = [part for one in (real, fake) for part in (one, one.features) if part]
    missing = [part.no_data for part in sides if part.no_data is not None]
    return ~np.logical_or.reduce(missing) if missing else None


def _features(
    real: Side, fake: Side, valid: NDArray[np.bool_] | None
) -> tuple[float, NDArray[np.float32] | None]:
    if real.features is None or fake.features is None or real.affine is None:
        return math.nan, None
    if real.features.grid != fake.features.grid:
        msg = "The features of the real and of the fake lie on different grids."
        raise InputError(msg)
    no_data = None if valid is None else ~valid
    mean, inverse_scale = (torch.from_numpy(part) for part in real.affine)
    with torch.inference_mode():
        cells = cell_distances(
            real.features.vectors, fake.features.vectors, mean, inverse_scale
        )
        counted = replace(real.features, no_data=no_data).valid_cells()
        return (
            mean_distance(cells, counted),
            distance_map(cells, real.features.grid, no_data),
        )
