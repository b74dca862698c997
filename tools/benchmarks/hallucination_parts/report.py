"""Tables and a plot of what the figures see."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hallucination_parts.trials import HARMLESS, MAPS
from napari_dinoprompt.core.comparison.columns import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hallucination_parts.trials import Trial


# The real does not change, and cuts of their own are not made here.
_IDLE = ("objects_in_real", "own_threshold_iou")
_BY_KEY = {one.key: one for one in COLUMNS}
SHOWN = tuple(one for one in COLUMNS if one.key not in _IDLE)
_DRAWN = (
    "only_in_fake",
    "only_in_real",
    "f1",
    "iou",
    "ssim",
    "pearson",
    "mse",
    "feature_distance",
    "average_precision",
)
_DIRECTION = {"higher": -1.0, "lower": 1.0}


def detection(key: str, wrong: Iterable[Trial], right: Iterable[Trial]) -> float:
    """Return the chance that a column tells a wrong fake from a right one.

    Fakes are compared within their field. For a column without a better end, being
    further from the right ones' median counts.

    Parameters
    ----------
    key : str
        Of the column.
    wrong, right : iterables of Trial

    Returns
    -------
    float
        Area under the ROC curve: 1 always, 0.5 by chance; NaN if it says nothing.
    """
    better = _BY_KEY[key].better
    wrong, right = list(wrong), list(right)
    found = []
    for field in dict.fromkeys(trial.field for trial in right):
        sides = [
            np.array([t.figures[key] for t in trials if t.field == field])
            for trials in (wrong, right)
        ]
        middle = np.nanmedian(sides[1]) if np.isfinite(sides[1]).any() else np.nan
        bad, good = (
            side * _DIRECTION[better] if better in _DIRECTION else np.abs(side - middle)
            for side in sides
        )
        pairs = np.sign(bad[:, None] - good[None, :])
        found.append((pairs[np.isfinite(pairs)] + 1) / 2)
    every = np.concatenate(found) if found else np.zeros(0)
    return float(every.mean()) if every.size else float("nan")


def write_tables(path: Path, trials: Sequence[Trial], counts: Sequence[int]) -> None:
    """Write all tables as Markdown."""
    lines = ["# Which figure sees a hallucination?", ""]
    fields = ", ".join(dict.fromkeys(trial.field for trial in trials))
    lines += [f"Fields: {fields}.", ""]
    for edit in ("planted", "removed"):
        for rough in (False, True):
            like = "changed harmlessly, each in its way" if rough else "faithful"
            lines += [f"## Objects {edit}, fakes {like}", ""]
            lines += _head(["figure", *(f"{count}" for count in counts)])
            for one in SHOWN:
                cells = [seen(trials, one.key, edit, c, rough=rough) for c in counts]
                lines.append(_row(one.title, cells))
            lines += ["", "How far the pixels of these objects stand out:", ""]
            lines += _head(["map", *(f"{count}" for count in counts)])
            for name in MAPS:
                cells = [
                    float(np.nanmean([t.pointing[name] for t in found]))
                    for found in (_of(trials, edit, c, rough) for c in counts)
                ]
                lines.append(_row(name.replace("_", " "), cells))
            lines.append("")
    lines += [
        "## False alarms: a harmless change looks like that many planted objects",
        "",
    ]
    lines += _head(["figure", *HARMLESS])
    for one in SHOWN:
        worth = [false_alarm(trials, one.key, name, max(counts)) for name in HARMLESS]
        lines.append(_row(one.title, worth, digits=0))
    path.write_text("\n".join(lines) + "\n")


def seen(
    trials: Sequence[Trial], key: str, edit: str, count: int, *, rough: bool
) -> float:
    """Return the chance that a column tells fakes with wrong objects from others.

    Parameters
    ----------
    trials : sequence of Trial
    key : str
        Of the column.
    edit : str
    count : int
        Wrong objects.
    rough : bool
        Whether both kinds of fakes are changed harmlessly too.

    Returns
    -------
    float
    """
    right = [t for t in trials if not t.asked and t.rough == rough]
    return detection(key, _of(trials, edit, count, rough), right)


def false_alarm(trials: Sequence[Trial], key: str, change: str, count: int) -> float:
    """Return how many planted objects move a column as far as a harmless change.

    Parameters
    ----------
    trials : sequence of Trial
    key : str
    change : str
        Name of the harmless change.
    count : int
        The number of planted objects that is taken for the scale.

    Returns
    -------
    float
        Mean over fields; NaN where planted objects do not move it.
    """
    worth: list[float] = []
    for field in dict.fromkeys(trial.field for trial in trials):
        here = [trial for trial in trials if trial.field == field]
        zero, planted, changed = (
            np.nanmean([t.figures[key] for t in found])
            for found in (
                [t for t in here if t.kind == "none"],
                _of(here, "planted", count, rough=False),
                [t for t in here if t.kind == change],
            )
        )
        each = abs(planted - zero) / count
        worth.append(float(abs(changed - zero) / each) if each > 0 else math.nan)
    return float(np.mean(worth))


def _of(trials: Sequence[Trial], kind: str, asked: int, rough: bool) -> list[Trial]:
    return [
        t for t in trials if t.kind == kind and t.asked == asked and t.rough == rough
    ]


def _head(cells: Sequence[str]) -> list[str]:
    rule = "| --- " + "| ---: " * (len(cells) - 1) + "|"
    return ["| " + " | ".join(cells) + " |", rule]


def _row(title: str, cells: Sequence[float], digits: int = 2) -> str:
    shown = ["" if np.isnan(cell) else f"{cell:.{digits}f}" for cell in cells]
    return "| " + " | ".join([title, *shown]) + " |"


def draw(path: Path, trials: Sequence[Trial], counts: Sequence[int]) -> None:
    """Draw how well each figure detects wrong objects against their number."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for row, edit in zip(panels, ("planted", "removed"), strict=True):
        for axes, rough in zip(row, (False, True), strict=True):
            for number, key in enumerate(_DRAWN):
                values = [seen(trials, key, edit, c, rough=rough) for c in counts]
                style = "-" if number < 4 else "--"
                title = _BY_KEY[key].title
                axes.plot(counts, values, style, marker="o", ms=4, label=title)
            axes.axhline(0.5, color="0.6", lw=1)
            axes.set_xscale("log")
            axes.set_xticks(counts, [str(count) for count in counts])
            axes.minorticks_off()
            axes.set_ylim(0, 1.03)
            fakes = "changed harmlessly" if rough else "faithful"
            axes.set_title(f"objects {edit}, fakes {fakes}", fontsize=9)
    for axes in panels[1]:
        axes.set_xlabel("wrong objects")
    for axes in panels[:, 0]:
        axes.set_ylabel("chance to tell", fontsize=9)
    panels[1, 1].legend(fontsize=7, loc="lower right")
    figure.savefig(path, dpi=110)
