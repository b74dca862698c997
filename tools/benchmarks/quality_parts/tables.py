"""The tables in Markdown."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from quality_parts.cases import ANYWHERE, APART, CORRECTIONS
from quality_parts.data import CLICKS, FAKES, IMAGE, RANDOM
from quality_parts.fakes import EMPTY
from quality_parts.protocols import USUAL
from quality_parts.summary import distinct, over_planes, select, step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from quality_parts.results import Row


_NOTHING = "-"


def write_markdown(rows: Sequence[Row]) -> str:
    """Write all tables, backbone by backbone.

    Parameters
    ----------
    rows : sequence of Row

    Returns
    -------
    str
        The same for the same outcomes; times are left out.
    """
    parts = ["# Quality", _INTRODUCTION]
    for backbone in distinct(rows, "backbone"):
        mine = select(rows, backbone=backbone)
        for placed in distinct(mine, "placed"):
            parts.append(f"## {backbone}: {_PLACED[placed]}")
            parts += _tables(select(mine, placed=placed))
    return "\n\n".join(parts) + "\n"


def _tables(rows: Sequence[Row]) -> Iterator[str]:
    own = select(rows, protocol="self")
    yield from _section(f"Self, {USUAL} prompts", list(_agreement(own)))
    yield from _section("Own IoU by number of prompts", list(_steps(own, "iou_own")))
    best = list(_steps(own, "iou_best"))
    yield from _section("Best IoU by number of prompts", best)
    title = f"Own IoU with {USUAL} background prompts more"
    yield from _section(title, list(_background(own)))
    title = "Own IoU with two background prompts in what is wrongly found"
    correct = select(rows, protocol="correct")
    yield from _section(title, list(_corrections(correct)))
    title = f"Transfer from the first plane, {USUAL} prompts"
    transfer = select(rows, protocol="transfer")
    yield from _section(title, list(_agreement(transfer)))
    title = f"Stain, {USUAL} prompts on the real one: own IoU"
    stain = select(rows, protocol="stain")
    yield from _section(title, list(_stains(stain)))
    yield from _section("Pictures that show nothing", list(_empty(stain)))


_PLACED = {CLICKS: "clicks in the middle of objects", RANDOM: "prompts at random"}

_INTRODUCTION = (
    "best: IoU at the best of 100 thresholds of the map, chosen by the truth. "
    "own: IoU of the mask that the method makes by itself. boundary F: F-score of the "
    "boundary at a tolerance of 2 pixels, of either mask. Means over draws, then over "
    "planes. ± is a standard error over planes, paired where two are compared, except "
    "in the stain table: there it is the standard deviation over draws. ↓ marks a step "
    "down by more than one standard error."
)


def _section(title: str, lines: list[list[str]]) -> list[str]:
    """Set a table under a title; nothing where there is only its head."""
    if len(lines) < 2:
        return []
    head, *body = lines
    texts = [head, ["---"] * len(head), *body]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in texts)
    return [f"### {title}", table]


def _agreement(rows: Sequence[Row]) -> Iterator[list[str]]:
    yield [
        "set",
        "method",
        "planes",
        "best",
        "own",
        "own / best",
        "boundary F own",
        "boundary F best",
    ]
    usual = select(rows, prompts=USUAL, background=0)
    for name, method, group in _groups(usual):
        best, own = (over_planes(group, f"iou_{which}") for which in ("best", "own"))
        yield [
            name,
            method,
            str(len(distinct(group, "plane"))),
            _number(best),
            _number(own),
            f"{own / best:.0%}" if best else _NOTHING,
            _number(over_planes(group, "boundary_own")),
            _number(over_planes(group, "boundary_best")),
        ]


def _steps(rows: Sequence[Row], figure: str) -> Iterator[list[str]]:
    without = select(rows, background=0)
    counts = sorted({row.case.prompts for row in without})
    yield ["set", "method", *(f"k = {count}" for count in counts)]
    for name, method, group in _groups(without):
        cells = []
        before: list[Row] = []
        for count in counts:
            here = select(group, prompts=count)
            text = _number(over_planes(here, figure))
            if before and here:
                change = step(before, here, figure)
                mark = " ↓" if change.falls else ""
                text += f" ({_change(change.change, change.error)}{mark})"
            cells.append(text)
            before = here
        yield [name, method, *cells]


def _background(rows: Sequence[Row]) -> Iterator[list[str]]:
    yield ["set", "method", "without", "with", "change"]
    for name, method, group in _groups(select(rows, prompts=USUAL)):
        without = select(group, background=0)
        added = select(group, background=USUAL)
        if not (without and added):
            continue
        change = step(without, added, "iou_own")
        yield [
            name,
            method,
            _number(over_planes(without, "iou_own")),
            _number(over_planes(added, "iou_own")),
            _change(change.change, change.error) + (" ↓" if change.falls else ""),
        ]


def _corrections(rows: Sequence[Row]) -> Iterator[list[str]]:
    yield ["set", "method", "3 prompts", *(_CORRECTED[one] for one in CORRECTIONS)]
    for name, method, group in _groups(rows):
        before = select(group, corrects="")
        after = [select(group, corrects=where) for where in CORRECTIONS]
        if not all(after):
            continue
        cells = []
        for found in after:
            change = step(before, found, "iou_own")
            text = _number(over_planes(found, "iou_own"))
            mark = " ↓" if change.falls else ""
            cells.append(f"{text} ({_change(change.change, change.error)}{mark})")
        yield [name, method, _number(over_planes(before, "iou_own")), *cells]


_CORRECTED = {
    ANYWHERE: "and 2 in the largest wrong regions",
    APART: "and 2 in those that touch no object",
}


def _stains(rows: Sequence[Row]) -> Iterator[list[str]]:
    stains = (IMAGE, *FAKES)
    yield ["field", "method", *stains]
    for plane in distinct(rows, "plane"):
        for method in distinct(rows, "method"):
            group = select(rows, plane=plane, method=method)
            cells = [_spread(select(group, stain=stain)) for stain in stains]
            yield [plane, method, *cells]


def _empty(rows: Sequence[Row]) -> Iterator[list[str]]:
    yield [
        "field",
        "method",
        *(
            f"{kind}: {what}"
            for kind in EMPTY
            for what in ("objects", "pixels", "pixels above the threshold")
        ),
    ]
    for plane in distinct(rows, "plane"):
        for method in distinct(rows, "method"):
            group = select(rows, plane=plane, method=method)
            cells = []
            for kind in EMPTY:
                found = [row.outcome for row in select(group, stain=kind)]
                for figure in ("objects", "pixels", "above"):
                    counts = [getattr(outcome, figure) for outcome in found]
                    cells.append(str(max(counts)) if counts else _NOTHING)
            yield [plane, method, *cells]


def _groups(rows: Sequence[Row]) -> Iterator[tuple[str, str, list[Row]]]:
    for name in distinct(rows, "set_name"):
        for method in distinct(rows, "method"):
            group = select(rows, set_name=name, method=method)
            if group:
                yield name, method, group


def _spread(rows: Sequence[Row]) -> str:
    values = [row.outcome.iou_own for row in rows]
    if not values:
        return _NOTHING
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return _number(fmean(values)) + spread


def _number(value: float) -> str:
    return _NOTHING if math.isnan(value) else f"{value:.3f}"


def _change(change: float, error: float) -> str:
    return _NOTHING if math.isnan(change) else f"{change:+.3f} ± {_number(error)}"
