"""How the result settles as prompts are added, over many random orders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.auto_threshold import rarity_of
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.progress import Progress, run_through
from napari_dinoprompt.core.studying.enough import (
    enough_with_truth,
    enough_without_truth,
    say_enough,
)
from napari_dinoprompt.core.studying.prompt_maps import make_prompt_maps
from napari_dinoprompt.core.studying.subsets import Subset

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_dinoprompt.core.studying.prompt_maps import PromptMaps
    from napari_dinoprompt.core.studying.subject import Subject
    from napari_dinoprompt.core.studying.subsets import Found

__all__ = ["QUANTILES", "Convergence", "iter_convergence", "study_convergence"]

QUANTILES = (5, 25, 50, 75, 95)
"""The rows of the curves, in per cent."""
_MEDIAN, _UPPER = 2, 3


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


def study_convergence(
    subject: Subject, *, orders: int = 200, seed: int = 0
) -> Convergence:
    """Add the prompts in many orders; see `iter_convergence`."""
    return run_through(iter_convergence(subject, orders=orders, seed=seed))


def iter_convergence(
    subject: Subject,
    *,
    orders: int = 200,
    seed: int = 0,
    maps: PromptMaps | None = None,
) -> Generator[Progress, None, Convergence]:
    """Add the prompts in many random orders, step by step.

    Parameters
    ----------
    subject : Subject
    orders : int
        Of so few prompts that they have no more orders, all are taken.
    seed : int
        Of the orders.
    maps : PromptMaps, optional
        Of the subject, if they are known.

    Yields
    ------
    Progress
        In orders.

    Returns
    -------
    Convergence

    Raises
    ------
    InputError
        If there are fewer than two prompts of the class, or no order is asked for.
    """
    count = len(subject.members)
    if count < 2:
        msg = "One prompt cannot converge: place at least two of the class."
        raise InputError(msg)
    if orders < 1:
        msg = f"The number of orders must be at least 1, not {orders}."
        raise InputError(msg)
    exhaustive = count < 10 and math.factorial(count) <= orders
    yield Progress(0, orders)
    maps = maps or make_prompt_maps(subject)
    runner = _Runner(maps, rarity_of(subject.reference.scoring))
    chosen = _orders(count, orders, seed, exhaustive)
    for done, order in enumerate(chosen, start=1):
        runner.run(order)
        yield Progress(done, len(chosen))
    return runner.summary(exhaustive)


def _orders(
    count: int, orders: int, seed: int, exhaustive: bool
) -> list[NDArray[np.int64]]:
    if exhaustive:
        return [np.array(order) for order in permutations(range(count))]
    rng = np.random.default_rng(seed)
    return [rng.permutation(count) for _ in range(orders)]


class _Runner:
    """Adds prompts order by order and keeps the figures."""

    # Masks of subsets that come again are kept where there are few.
    _MOST_KEPT = 1024

    def __init__(self, maps: PromptMaps, rarity: float) -> None:
        self._maps = maps
        self._rarity = rarity
        self._kept: dict[frozenset[int], Found] = {}
        self._all = Subset(maps, range(maps.count), rarity=rarity).find()
        self._kept[frozenset(range(maps.count))] = self._all
        self._area = int(np.count_nonzero(self._all.mask))
        self._true = 0 if maps.truth is None else int(np.count_nonzero(maps.truth))
        self._curves: dict[str, list[list[float]]] = {
            name: [] for name in ("score", "agreement", "change", "pixels", "threshold")
        }

    def run(self, order: NDArray[np.int64]) -> None:
        """Add the prompts in one order."""
        maps = self._maps
        subset = Subset(maps, rarity=self._rarity)
        curves: dict[str, list[float]] = {name: [] for name in self._curves}
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
            agreement = _iou(mask, area, self._all.mask, self._area)
            for name, value in (
                ("score", score),
                ("agreement", agreement),
                ("change", change),
                ("pixels", pixels),
                ("threshold", found.threshold),
            ):
                curves[name].append(value)
            before, area_before = mask, area
        for name, values in curves.items():
            self._curves[name].append(values)

    def _find(self, subset: Subset) -> Found:
        key = frozenset(subset.members)
        found = self._kept.get(key)
        if found is None:
            found = subset.find()
            few = 2**self._maps.count <= self._MOST_KEPT
            if few or len(key) == 1:
                self._kept[key] = found
        return found

    def summary(self, exhaustive: bool) -> Convergence:
        """Take the quantiles over the orders."""
        curves = {name: np.array(values) for name, values in self._curves.items()}
        change = _quantiles(curves["change"])
        score = _quantiles(curves["score"])
        pixels = np.percentile(curves["pixels"], QUANTILES[_UPPER], axis=0)
        with_truth = self._maps.truth is not None
        enough = enough_without_truth(change[_UPPER])
        by_truth = enough_with_truth(score[_MEDIAN]) if with_truth else None
        return Convergence(
            counts=np.arange(1, self._maps.count + 1),
            score=score,
            agreement=_quantiles(curves["agreement"]),
            change=change,
            pixels=pixels,
            thresholds=np.median(curves["threshold"], axis=0),
            orders=len(curves["change"]),
            exhaustive=exhaustive,
            with_truth=with_truth,
            enough=enough,
            enough_by_truth=by_truth,
            sentence=say_enough(enough, change[_UPPER], pixels),
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
