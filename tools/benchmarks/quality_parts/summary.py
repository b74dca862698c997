"""Means over draws and planes, and differences between paired means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from quality_parts.results import Row


def select(rows: Iterable[Row], **wanted: object) -> list[Row]:
    """Keep the rows whose fields, or whose case's, have these values."""
    return [
        row
        for row in rows
        if all(_field(row, name) == value for name, value in wanted.items())
    ]


def _field(row: Row, name: str) -> object:
    return getattr(row if hasattr(row, name) else row.case, name)


def distinct(rows: Iterable[Row], name: str) -> list[str]:
    """List the values of a field in order of appearance."""
    return list(dict.fromkeys(str(_field(row, name)) for row in rows))


def plane_means(rows: Iterable[Row], figure: str) -> dict[str, float]:
    """Average a figure over the draws of each plane.

    Returns
    -------
    dict of str to float
        By plane.
    """
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row.plane, []).append(getattr(row.outcome, figure))
    return {plane: fmean(found) for plane, found in values.items()}


def over_planes(rows: Iterable[Row], figure: str) -> float:
    """Average a figure over the draws of each plane, then over the planes.

    Returns
    -------
    float
        NaN where there is no row.
    """
    means = plane_means(rows, figure)
    return fmean(means.values()) if means else math.nan


@dataclass(frozen=True)
class Step:
    """What changes from one group of cases to another on the same planes.

    Attributes
    ----------
    change : float
        Mean over planes.
    error : float
        Paired standard error of it; NaN for fewer than two planes.
    """

    change: float
    error: float

    @property
    def falls(self) -> bool:
        """Whether it goes down by more than one standard error."""
        return self.change < -self.error


def step(before: Iterable[Row], after: Iterable[Row], figure: str) -> Step:
    """Compare two groups of cases, paired by plane.

    Returns
    -------
    Step
        NaN where no plane is in both.
    """
    return paired(plane_means(before, figure), plane_means(after, figure))


def paired(old: Mapping[str, float], new: Mapping[str, float]) -> Step:
    """Compare a figure of planes before and after.

    Parameters
    ----------
    old, new : mapping of str to float
        By plane.

    Returns
    -------
    Step
        NaN where no plane is in both.
    """
    changes = np.array([new[plane] - old[plane] for plane in old if plane in new])
    if len(changes) == 0:
        return Step(math.nan, math.nan)
    error = math.nan
    if len(changes) > 1:
        error = float(changes.std(ddof=1) / math.sqrt(len(changes)))
    return Step(float(changes.mean()), error)
