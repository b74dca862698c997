"""What the threshold does: area, objects, IoU and information against it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.references.reference import resolve_thresholds
from napari_dinoprompt.core.segmentation.similarities import score_classes

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from .subject import Subject


_FIRST, _LAST, _STEP = -0.2, 1.0, 0.01
# Largest over smallest area within a plateau.
_RATIO = 1.1
# A narrower range is no plateau: a slider is not set more finely by hand.
_LEAST_WIDTH = 0.05
# Below 0 a place is no more like the prompts than like their opposite; next to
# everything and next to nothing do not change either.
_LOWEST = 0.0
_MOST, _LEAST = 0.9, 0.0005
# Levels of light.
_BINS = 64


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """What the threshold does to the mask of one class, pixel by pixel.

    The map is the one that the dock and `segment` cut; the mask is not cleaned.

    Attributes
    ----------
    thresholds : (T,) ndarray of float64
        From -0.2 to 1 in steps of 0.01.
    fraction : (T,) ndarray of float64
        Share of the plane above the threshold.
    objects : (T,) ndarray of int64
        Connected regions.
    iou : (T,) ndarray of float64
        With the truth; NaN without one.
    information : (T,) ndarray of float64
        Mutual information between mask and light, in bits.
    used : float
        The threshold in use: the user's, else the automatic one.
    automatic : float
    plateau : (float, float) or None
        The longest range of thresholds over which the area hardly changes.
    best : float
        Where the IoU is highest; NaN without a truth.
    most_informative : float
        Where the mask tells most about the light.
    sentence : str
        The answer in words.
    """

    thresholds: NDArray[np.float64]
    fraction: NDArray[np.float64]
    objects: NDArray[np.int64]
    iou: NDArray[np.float64]
    information: NDArray[np.float64]
    used: float
    automatic: float
    plateau: tuple[float, float] | None
    best: float
    most_informative: float
    sentence: str

    def rows(self) -> list[dict[str, object]]:
        """Return one record per threshold."""
        return [
            {
                "threshold": round(float(self.thresholds[i]), 4),
                "fraction": float(self.fraction[i]),
                "objects": int(self.objects[i]),
                "iou": float(self.iou[i]),
                "information": float(self.information[i]),
            }
            for i in range(len(self.thresholds))
        ]

    def at(self, threshold: float, curve: NDArray[np.float64]) -> float:
        """Read a curve at any threshold, linearly between its points."""
        return float(np.interp(threshold, self.thresholds, curve))


def iter_threshold(subject: Subject) -> Generator[Progress, None, ThresholdCurve]:
    """Cut the similarity map at many thresholds, step by step."""
    from scipy import ndimage as ndi

    count = round((_LAST - _FIRST) / _STEP) + 1
    thresholds = np.linspace(_FIRST, _LAST, count)
    yield Progress(0, count)
    values, held = _values(subject)
    whole = max(1, int(np.count_nonzero(held)))
    light = subject.features.light.cpu().numpy()
    fraction, found_iou = np.zeros(count), np.full(count, math.nan)
    objects = np.zeros(count, dtype=np.int64)
    truth = subject.truth
    true = 0 if truth is None else int(np.count_nonzero(truth))
    for k, threshold in enumerate(thresholds):
        mask = values > threshold
        area = int(np.count_nonzero(mask))
        fraction[k] = area / whole
        # Diagonal neighbours are one object, as in the numbering of results.
        objects[k] = ndi.label(mask, np.ones((3, 3)))[1]
        if truth is not None:
            both = int(np.count_nonzero(mask & truth))
            found_iou[k] = both / max(1, area + true - both)
        yield Progress(k + 1, count)
    information = information_by_cut(values[held], light[held], thresholds)
    reference, name = subject.reference, subject.class_name
    used = resolve_thresholds(reference)[name]
    automatic = float(reference.auto_thresholds[name])
    plateau = find_plateau(thresholds, fraction)
    best = math.nan if truth is None else float(thresholds[np.argmax(found_iou)])
    best_iou = math.nan if truth is None else float(found_iou.max())
    here = float(np.interp(used, thresholds, found_iou))
    return ThresholdCurve(
        thresholds=thresholds,
        fraction=fraction,
        objects=objects,
        iou=found_iou,
        information=information,
        used=used,
        automatic=automatic,
        plateau=plateau,
        best=best,
        most_informative=float(thresholds[np.argmax(information)]),
        sentence=_say(used, plateau, best, best_iou, here),
    )


def _values(subject: Subject) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return what is cut, -1 where another class wins, and which pixels count."""
    found = score_classes(subject.features, subject.reference, subject.lengths)
    number = found.names.index(subject.class_name)
    values = found.objects[number].cpu().numpy().copy()
    if found.competing_scores is not None:
        winner = found.competing_scores.argmax(dim=0).cpu().numpy()
        values[winner != number] = -1
    held = np.ones(values.shape, dtype=np.bool_)
    if found.no_data is not None:
        held = ~found.no_data
        values[~held] = -1
    return values, held


def _say(
    used: float,
    plateau: tuple[float, float] | None,
    best: float,
    best_iou: float,
    here: float,
) -> str:
    if plateau is None:
        text = (
            f"The area depends on the threshold throughout; {used:.2f} is in use, and "
            "there is no range in which it would not matter."
        )
    else:
        low, high = plateau
        where = "lies in it" if low <= used <= high else "lies outside"
        text = (
            f"From {low:.2f} to {high:.2f} the area hardly changes; {used:.2f}, which "
            f"is in use, {where}."
        )
    if math.isnan(best):
        return text
    return (
        f"{text} Against the truth {best:.2f} is best (IoU {best_iou:.3f}); at "
        f"{used:.2f} it is {here:.3f}."
    )


def find_plateau(
    thresholds: NDArray[np.float64], fraction: NDArray[np.float64]
) -> tuple[float, float] | None:
    """Find the longest range of thresholds over which the area hardly changes.

    Takes thresholds, fraction (T,), rising and falling. The largest area in the range
    is at most 1.1 times the smallest; None if no range is as wide as 0.05. Of several
    as long, the one with the least change.

    References
    ----------
    Matas et al., "Robust wide-baseline stereo from maximally stable extremal
    regions", BMVC 2002: regions that stay the same over many thresholds.
    """
    best: tuple[float, float, int, int] | None = None
    usable = (fraction <= _MOST) & (fraction >= _LEAST) & (thresholds > _LOWEST - 1e-6)
    first = 0
    for last in np.flatnonzero(usable):
        while not usable[first] or fraction[first] > _RATIO * fraction[last]:
            first += 1
        # Widths that differ by rounding are the same.
        width = round(float(thresholds[last] - thresholds[first]), 6)
        steady = -float(fraction[first] / fraction[last])
        if best is None or (width, steady) > best[:2]:
            best = (width, steady, first, int(last))
    if best is None or best[0] < _LEAST_WIDTH:
        return None
    return float(thresholds[best[2]]), float(thresholds[best[3]])


def information_by_cut(
    values: NDArray[np.float32],
    light: NDArray[np.float32],
    thresholds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Measure the mutual information between masks and the light, without a truth.

    From one joint histogram, with 64 levels of light, for all thresholds: the mask at
    a threshold is a sum of its rows.

    Takes values, light (M,), rising thresholds (T,); returns bits (T,), from 0 to 1.

    References
    ----------
    Shannon, "A mathematical theory of communication", Bell System Technical Journal
    27, 1948.
    """
    if len(values) == 0:
        return np.zeros(len(thresholds))
    level = np.minimum((light * _BINS).astype(np.int64), _BINS - 1)
    # The number of thresholds that a value is above.
    rank = np.searchsorted(thresholds, values, side="left")
    joint = np.bincount(
        rank * _BINS + level, minlength=(len(thresholds) + 1) * _BINS
    ).reshape(-1, _BINS)
    inside = joint[::-1].cumsum(axis=0)[::-1][1:] / len(values)
    light_share = joint.sum(axis=0) / len(values)
    outside = light_share - inside
    joint_entropy = _entropy(inside) + _entropy(outside)
    area = inside.sum(axis=1, keepdims=True)
    mask_entropy = _entropy(area) + _entropy(1 - area)
    found = mask_entropy + _entropy(light_share[None]) - joint_entropy
    return np.asarray(np.maximum(found, 0))


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    logs = np.zeros_like(shares)
    np.log2(shares, out=logs, where=shares > 1e-15)
    return np.asarray(-(shares * logs).sum(axis=1))
