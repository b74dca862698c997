"""How the result settles as prompts are added, over many random orders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.progress import Progress

from .prompt_maps import Found, PromptMaps, Subset, make_prompt_maps

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from .subject import Subject


# The rows of the curves, in per cent.
QUANTILES = (5, 25, 50, 75, 95)
_MEDIAN, _UPPER = 2, 3
# A prompt that changes at most this share of the mask settles nothing any more. Asked
# are three of four orders, not every second: where a mask has two states, half of the
# orders may have settled in the wrong one.
#
# The share is a Jaccard distance, which is a metric (Levandowsky and Winter, Nature
# 234, 1971): whatever the truth is, the IoU with it changes by no more than that.
CHANGE_TOLERANCE = 0.05
# A median IoU that is nearer to the best one than this is as good.
GAIN_TOLERANCE = 0.01


@dataclass(frozen=True, eq=False)
class Convergence:
    """How the mask settles as prompts are added in random orders.

    Background prompts and those of other classes are all there from the start, as
    they are in the dock while one clicks on objects. Masks are compared on the blocks
    of the feature grid, not cleaned, each at the automatic threshold of its prompts.

    Attributes
    ----------
    counts : (n,) ndarray of int64
        Numbers of prompts, from 1.
    score : (5, n) ndarray of float64
        `QUANTILES` over the orders of the IoU with the truth; NaN without one.
    agreement : (5, n) ndarray of float64
        The same of the IoU with the mask that all prompts make.
    change : (5, n) ndarray of float64
        The same of what the k-th prompt changes: blocks in which the mask differs from
        that before, of those in either (Jaccard distance); NaN for the first.
    pixels : (n,) ndarray of float64
        Share of the plane that the k-th prompt changes in three of four orders at
        most; NaN for the first.
    thresholds : (n,) ndarray of float64
        Median automatic threshold.
    orders : int
        How many orders the prompts were added in.
    exhaustive : bool
        Whether these are all the orders there are.
    with_truth : bool
    enough : int or None
        From how many prompts on the mask no longer changes; None if it still does.
        Nothing of the truth goes into it.
    enough_by_truth : int or None
        From how many prompts on the IoU no longer gains; None without a truth.
    sentence : str
        The answer in words.
    """

    counts: NDArray[np.int64]
    score: NDArray[np.float64]
    agreement: NDArray[np.float64]
    change: NDArray[np.float64]
    pixels: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    orders: int
    exhaustive: bool
    with_truth: bool
    enough: int | None
    enough_by_truth: int | None
    sentence: str

    def rows(self) -> list[dict[str, object]]:
        """Return one record per number of prompts."""
        found: list[dict[str, object]] = []
        for k, count in enumerate(self.counts):
            row: dict[str, object] = {"prompts": int(count)}
            for name in ("score", "agreement", "change"):
                curve = getattr(self, name)[:, k]
                row |= {
                    f"{_TITLES[name]}_{quantile}": float(value)
                    for quantile, value in zip(QUANTILES, curve, strict=True)
                }
            row["changed_pixels"] = float(self.pixels[k])
            row["threshold"] = float(self.thresholds[k])
            found.append(row)
        return found


_TITLES = {"score": "iou", "agreement": "agreement", "change": "change"}


def iter_convergence(
    subject: Subject,
    *,
    orders: int = 200,
    seed: int = 0,
    maps: PromptMaps | None = None,
) -> Generator[Progress, None, Convergence]:
    """Add the prompts in many random orders; of few prompts all orders are taken."""
    count = len(subject.members)
    if count < 2:
        raise InputError("One prompt cannot converge: place at least two of the class.")
    if orders < 1:
        raise InputError(f"The number of orders must be at least 1, not {orders}.")
    exhaustive = count < 10 and math.factorial(count) <= orders
    yield Progress(0, orders)
    maps = maps or make_prompt_maps(subject)
    runner = _Runner(maps)
    chosen = _orders(count, orders, seed, exhaustive)
    curves = []
    for done, order in enumerate(chosen, start=1):
        curves.append(runner.run(order))
        yield Progress(done, len(chosen))
    return _summary(np.array(curves), exhaustive, maps.truth is not None)


def _orders(
    count: int, orders: int, seed: int, exhaustive: bool
) -> list[NDArray[np.int64]]:
    if exhaustive:
        return [np.array(order) for order in permutations(range(count))]
    rng = np.random.default_rng(seed)
    return [rng.permutation(count) for _ in range(orders)]


class _Runner:
    """Adds prompts order by order."""

    # Masks of subsets that come again are kept where there are few.
    _MOST_KEPT = 1024

    def __init__(self, maps: PromptMaps) -> None:
        self._maps = maps
        self._kept: dict[frozenset[int], Found] = {}
        self._all = self._find(Subset(maps, range(maps.count))).mask
        self._area = int(np.count_nonzero(self._all))
        self._true = 0 if maps.truth is None else int(np.count_nonzero(maps.truth))

    def run(self, order: NDArray[np.int64]) -> list[tuple[float, ...]]:
        """Add the prompts in one order.

        Of each number of them: score, agreement, change, pixels and threshold.
        """
        maps = self._maps
        subset = Subset(maps)
        rows: list[tuple[float, ...]] = []
        before: NDArray[np.bool_] | None = None
        area_before = 0
        for member in order:
            subset.add(int(member))
            found = self._find(subset)
            mask = found.mask
            area = int(np.count_nonzero(mask))
            score = change = pixels = math.nan
            if maps.truth is not None:
                score = _iou(mask, area, maps.truth, self._true)
            if before is not None:
                change = 1 - _iou(mask, area, before, area_before)
                # Of those in either, from the two areas.
                differ = change * (area + area_before) / (2 - change)
                pixels = differ / max(1, maps.blocks)
            agreement = _iou(mask, area, self._all, self._area)
            rows.append((score, agreement, change, pixels, found.threshold))
            before, area_before = mask, area
        return rows

    def _find(self, subset: Subset) -> Found:
        key = frozenset(subset.members)
        found = self._kept.get(key)
        if found is None:
            found = subset.find()
            few = 2**self._maps.count <= self._MOST_KEPT
            if few or len(key) in (1, self._maps.count):
                self._kept[key] = found
        return found


def _summary(
    curves: NDArray[np.float64], exhaustive: bool, with_truth: bool
) -> Convergence:
    """Take the quantiles of (orders, n, 5) curves over the orders."""
    score, agreement, change, pixels, thresholds = np.moveaxis(curves, 2, 0)
    changes, scores = _quantiles(change), _quantiles(score)
    most = np.percentile(pixels, QUANTILES[_UPPER], axis=0)
    enough = stop_without_truth(changes[_UPPER])
    return Convergence(
        counts=np.arange(1, curves.shape[1] + 1),
        score=scores,
        agreement=_quantiles(agreement),
        change=changes,
        pixels=most,
        thresholds=np.median(thresholds, axis=0),
        orders=len(curves),
        exhaustive=exhaustive,
        with_truth=with_truth,
        enough=enough,
        enough_by_truth=stop_with_truth(scores[_MEDIAN]) if with_truth else None,
        sentence=describe_stop(enough, changes[_UPPER], most),
    )


def _iou(
    one: NDArray[np.bool_], area: int, other: NDArray[np.bool_], other_area: int
) -> float:
    """Return what `iou` does, of masks whose areas are known: half the work."""
    both = int(np.count_nonzero(one & other))
    either = area + other_area - both
    return both / either if either else 1.0


def _quantiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.percentile(values, QUANTILES, axis=0))


def stop_without_truth(
    change: NDArray[np.float64], tolerance: float = CHANGE_TOLERANCE
) -> int | None:
    """Find the smallest k after which each further prompt changes at most so much.

    Takes change (n,): the share of the mask that the k-th prompt changes in three of
    four orders at most. None if the last one still changed more.
    """
    moving = np.flatnonzero(np.nan_to_num(change, nan=0.0) > tolerance)
    last = int(moving[-1]) + 1 if len(moving) else 1
    return last if last < len(change) else None


def stop_with_truth(
    score: NDArray[np.float64], tolerance: float = GAIN_TOLERANCE
) -> int:
    """Find the smallest k whose IoU no larger number of prompts exceeds by more.

    Takes score (n,): the median IoU with the truth.
    """
    later = np.maximum.accumulate(score[::-1])[::-1]
    return int(np.argmax(later - score <= tolerance)) + 1


def describe_stop(
    enough: int | None, change: NDArray[np.float64], pixels: NDArray[np.float64]
) -> str:
    """Put the answer into words.

    Takes change, pixels (n,): shares of the mask and of the plane that the k-th
    prompt changes in three of four orders at most.
    """
    if enough is None:
        return (
            f"{len(change)} prompts are not enough yet: the last one still changed up "
            f"to {_percent(change[-1])} of the mask ({_percent(pixels[-1])} of the "
            "image)."
        )
    count = "1 prompt is" if enough == 1 else f"{enough} prompts are"
    return (
        f"{count} enough: the {_ordinal(enough + 1)} changes at most "
        f"{_percent(change[enough])} of the mask ({_percent(pixels[enough])} of the "
        "image)."
    )


def _percent(share: float) -> str:
    per_cent = 100 * share
    return f"{per_cent:.0f} %" if per_cent >= 9.95 else f"{per_cent:.1f} %"


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
