"""The same figures as CSV: every case, the means, and the times."""

from __future__ import annotations

import csv
import io
import math
from statistics import fmean, median
from typing import TYPE_CHECKING

from quality_parts.summary import distinct, over_planes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from quality_parts.results import Row


_NAMES = ("backbone", "protocol", "set", "method", "stain")
_CASE = ("placed", "prompts", "background", "corrects")
_SHARES = ("iou_best", "iou_own", "boundary_best", "boundary_own")
_FIGURES = (*_SHARES, "threshold_best", "threshold_own", "objects", "pixels", "above")


def write_cases(rows: Sequence[Row]) -> str:
    """Write one line per case, without times."""
    return _sheet(
        (*_NAMES, *_CASE, "plane", "draw", *_FIGURES),
        (
            [
                *_key(row),
                row.plane,
                row.case.draw,
                *(_number(getattr(row.outcome, name)) for name in _FIGURES),
            ]
            for row in rows
        ),
    )


def write_summary(rows: Sequence[Row]) -> str:
    """Write one line per group: means over draws, then over planes."""
    return _sheet(
        (*_NAMES, *_CASE, "planes", *_SHARES),
        (
            [
                *key,
                len(distinct(group, "plane")),
                *(_number(over_planes(group, name)) for name in _SHARES),
            ]
            for key, group in _groups(rows).items()
        ),
    )


def write_times(rows: Sequence[Row]) -> str:
    """Write seconds of scoring by group."""
    return _sheet(
        (*_NAMES, *_CASE, "cases", "mean seconds", "median seconds"),
        (
            [
                *key,
                len(group),
                _number(fmean(row.outcome.seconds for row in group)),
                _number(median(row.outcome.seconds for row in group)),
            ]
            for key, group in _groups(rows).items()
        ),
    )


def _groups(rows: Iterable[Row]) -> dict[tuple[str | int, ...], list[Row]]:
    groups: dict[tuple[str | int, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(_key(row), []).append(row)
    return groups


def _key(row: Row) -> tuple[str | int, ...]:
    case = row.case
    return (
        row.backbone,
        row.protocol,
        row.set_name,
        row.method,
        case.stain,
        case.placed,
        case.prompts,
        case.background,
        case.corrects,
    )


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.6f}"


def _sheet(head: Sequence[str], lines: Iterable[Sequence[str | int]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return text.getvalue()
