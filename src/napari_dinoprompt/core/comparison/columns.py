"""What each figure of a comparison is called, means, comes from and looks like.

The one place for it: tooltips, headers of files and the documentation are made of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

NEITHER, BOTH, ONLY_IN_REAL, ONLY_IN_FAKE = range(4)
"""Values of an agreement map."""
AGREEMENT_COLOURS = {BOTH: "#009E73", ONLY_IN_REAL: "#56B4E9", ONLY_IN_FAKE: "#D55E00"}
"""The same in the dock and in files, for eyes that confuse red and green too: Okabe and
Ito, Color Universal Design, 2008."""

Group = Literal["pixels", "objects", "intensities", "features", "ranking"]
Better = Literal["higher", "lower", "none"]

_DSB = "Caicedo et al., Nature Methods 16, 2019"
_MATCHING = "Kirillov et al., Panoptic Segmentation, CVPR 2019"
_RETRIEVAL = "van Rijsbergen, Information Retrieval, 1979"
_JACCARD = "Jaccard, New Phytologist 11, 1912"


@dataclass(frozen=True)
class Column:
    """One figure of a comparison.

    Attributes
    ----------
    key : str
        As in the dictionaries of `Measures` and in files.
    title : str
        For people's eyes.
    group : {"pixels", "objects", "intensities", "features", "ranking"}
        What is compared.
    better : {"higher", "lower", "none"}
        Which way a fake is more like the real; "none" where neither end is.
    meaning : str
        One plain sentence.
    source : str
        Citation.
    with_truth : str
        The title where the real side is labelled by hand; only then is what it lacks
        known to be wrong. Empty where the title stays.
    """

    key: str
    title: str
    group: Group
    better: Better
    meaning: str
    source: str
    with_truth: str = ""


COLUMNS: tuple[Column, ...] = (
    Column(
        "iou",
        "IoU",
        "pixels",
        "higher",
        "Pixels in both masks, of those in either, from 0 to 1.",
        _JACCARD,
    ),
    Column(
        "dice",
        "Dice",
        "pixels",
        "higher",
        "Twice the pixels in both masks, of the sum of the two, from 0 to 1.",
        "Dice, Ecology 26, 1945",
    ),
    Column(
        "precision",
        "precision",
        "pixels",
        "higher",
        "Of the pixels in the fake's mask, the share that is in the real's too.",
        _RETRIEVAL,
    ),
    Column(
        "recall",
        "recall",
        "pixels",
        "higher",
        "Of the pixels in the real's mask, the share that is in the fake's too.",
        _RETRIEVAL,
    ),
    Column(
        "own_threshold_iou",
        "own-threshold IoU",
        "pixels",
        "higher",
        "The IoU if the fake is cut at its own automatic threshold instead of the "
        "real's, which forgives a similarity that is lower or higher throughout.",
        _JACCARD,
    ),
    Column(
        "objects_in_real",
        "objects in real",
        "objects",
        "none",
        "How many objects the real has.",
        _DSB,
    ),
    Column(
        "objects_in_fake",
        "objects in fake",
        "objects",
        "none",
        "How many objects the fake has.",
        _DSB,
    ),
    Column(
        "matched",
        "matched",
        "objects",
        "higher",
        "Pairs of a real and a fake object whose IoU is above 0.5, so that they are "
        "taken for the same one.",
        _MATCHING,
    ),
    Column(
        "displaced",
        "displaced or split",
        "objects",
        "lower",
        "Objects of either side without a match that share at least a tenth of their "
        "area with objects of the other: moved, split, merged or of another size.",
        _DSB,
    ),
    Column(
        "only_in_real",
        "only in real",
        "objects",
        "lower",
        "Objects of the real where the fake has next to nothing.",
        _DSB,
        with_truth="missed",
    ),
    Column(
        "only_in_fake",
        "only in fake",
        "objects",
        "lower",
        "Objects of the fake where the real has next to nothing.",
        _DSB,
        with_truth="hallucinated",
    ),
    Column(
        "f1",
        "F1",
        "objects",
        "higher",
        "Twice the matched pairs, of the objects of both sides, from 0 to 1.",
        _DSB,
    ),
    Column(
        "area_ratio",
        "area ratio",
        "objects",
        "none",
        "Area of a fake object over that of the real one it is matched with "
        "(geometric mean); 1 is best.",
        "scikit-image, regionprops: area",
    ),
    Column(
        "boundary_distance",
        "boundary distance",
        "objects",
        "lower",
        "How far apart the outlines of matched objects are, in pixels (mean over "
        "outlines in both directions, then over objects).",
        "Heimann et al., IEEE TMI 28, 2009",
    ),
    Column(
        "shape_difference",
        "shape difference",
        "objects",
        "lower",
        "How much matched objects differ in eccentricity and solidity (mean of both "
        "absolute differences), from 0 to 1.",
        "scikit-image, regionprops: eccentricity, solidity",
    ),
    Column(
        "mse",
        "MSE",
        "intensities",
        "lower",
        "Mean squared difference of grey values after windowing to 0 to 1.",
        "Wang and Bovik, IEEE Signal Processing Magazine 26, 2009",
    ),
    Column(
        "psnr",
        "PSNR",
        "intensities",
        "higher",
        "The MSE in decibels, for a data range of 1; infinite for identical images.",
        "Wang and Bovik, IEEE Signal Processing Magazine 26, 2009",
    ),
    Column(
        "ssim",
        "SSIM",
        "intensities",
        "higher",
        "Likeness of brightness, contrast and structure in a small Gaussian window "
        "(sigma 1.5, data range 1), 1 for identical images.",
        "Wang et al., IEEE TIP 13, 2004",
    ),
    Column(
        "pearson",
        "Pearson",
        "intensities",
        "higher",
        "Linear correlation of grey values, from -1 to 1; brightness and contrast "
        "throughout don't matter to it.",
        "Pearson, Proceedings of the Royal Society 58, 1895",
    ),
    Column(
        "feature_distance",
        "feature distance",
        "features",
        "lower",
        "One minus the cosine between the two feature vectors of a cell (mean over "
        "cells), from 0 to 2, with the statistics of the reference.",
        "Salton, Wong and Yang, Communications of the ACM 18, 1975",
    ),
    Column(
        "average_precision",
        "average precision",
        "ranking",
        "higher",
        "How well the fake's similarity map ranks the pixels of the real's mask above "
        "all others, without any threshold, from the share of the mask (chance) to 1.",
        "Boyd, Eng and Page, ECML PKDD 2013; scikit-learn, average_precision_score",
    ),
)
"""All figures, in the order in which tables show them."""

_BY_KEY = {one.key: one for one in COLUMNS}


def column(key: str) -> Column:
    """Look up a column."""
    return _BY_KEY[key]


_COUNTS = {
    "objects_in_real",
    "objects_in_fake",
    "matched",
    "displaced",
    "only_in_real",
    "only_in_fake",
}
_DIGITS = {"mse": 4, "psnr": 1, "boundary_distance": 2, "area_ratio": 2}


def format_figure(key: str, value: float) -> str:
    """Write a figure as people read it."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    digits = 0 if key in _COUNTS else _DIGITS.get(key, 3)
    return f"{value:.{digits}f}"


def format_interval(key: str, interval: tuple[float, float] | None) -> str:
    """Write an interval; nothing where there is none."""
    if interval is None:
        return ""
    low, high = (format_figure(key, one) for one in interval)
    return f"[{low}, {high}]"
