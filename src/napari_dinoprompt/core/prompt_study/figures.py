"""The plots of a study, each on axes of its own: for files and for the dock."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from .convergence import Convergence
    from .influence import Influence
    from .resolution import Resolution, Trial
    from .threshold import ThresholdCurve


# They differ in lightness too, and show on white and on black.
_MAIN, _SECOND, _THIRD, _BAD = "#2a9d8f", "#5b7fd4", "#a0a0a0", "#e0457b"
_SIZE = (6.4, 4.0)


def draw_figure(part: str, found: Any, light: NDArray[np.float32]) -> Figure:
    """Draw a part of the study; below masks over the (H, W) light where it has some."""
    width, height = _SIZE
    if part != "resolution":
        figure = Figure(figsize=_SIZE, layout="constrained")
        DRAWN[part](figure.subplots(), found)
        return figure
    count = len(found.trials)
    figure = Figure(
        figsize=(max(width, 2.4 * count), height + 2.4), layout="constrained"
    )
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(2.4, height))[
        :, 0
    ]
    panels = above.subplots(1, count, squeeze=False)[0]
    for axes, trial in zip(panels, found.trials, strict=True):
        _draw_trial(axes, trial, light)
    _draw_resolution(below.subplots(), found)
    return figure


def _draw_convergence(axes: Axes, found: Convergence) -> None:
    """Draw the score against the number of prompts, with bands over the orders."""
    curve = found.score if found.with_truth else found.agreement
    label = "IoU with the truth" if found.with_truth else "IoU with all prompts' mask"
    low, first, middle, third, high = curve
    axes.fill_between(found.counts, low, high, color=_MAIN, alpha=0.15, lw=0)
    axes.fill_between(found.counts, first, third, color=_MAIN, alpha=0.3, lw=0)
    axes.plot(found.counts, middle, color=_MAIN, marker="o", ms=3, label=label)
    axes.plot(
        found.counts,
        1 - found.change[2],
        color=_SECOND,
        ls="--",
        label="IoU with the mask one prompt before",
    )
    if found.enough is not None:
        axes.axvline(found.enough, color=_BAD, lw=1, label=f"enough: {found.enough}")
    axes.set(xlabel="prompts", ylim=(0, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="lower right", fontsize="small", framealpha=0.6)


def _draw_influence(axes: Axes, found: Influence) -> None:
    """Draw what leaving each prompt out changes, outliers in another colour."""
    known = np.flatnonzero(~np.isnan(found.left_out))
    colours = [
        _BAD
        if i in found.outliers
        else _THIRD
        if found.classes[i] == "background"
        else _MAIN
        for i in known
    ]
    axes.bar(range(len(known)), 100 * found.left_out[known], color=colours)
    axes.set_xticks(range(len(known)), [str(found.numbers[i]) for i in known])
    axes.set(xlabel="prompt", ylabel="left out it changes (% of the mask)")


def _draw_threshold(axes: Axes, found: ThresholdCurve) -> None:
    """Draw area, IoU and information against the threshold, and the plateau."""
    axes.plot(found.thresholds, found.fraction, color=_MAIN, label="area (share)")
    if not np.isnan(found.iou).all():
        axes.plot(found.thresholds, found.iou, color=_BAD, label="IoU with the truth")
    most = max(1, int(found.objects.max(initial=0)))
    axes.plot(
        found.thresholds,
        found.objects / most,
        color=_THIRD,
        lw=1,
        label=f"objects (of {most})",
    )
    if found.plateau is not None:
        axes.axvspan(*found.plateau, color=_MAIN, alpha=0.15, lw=0, label="plateau")
    axes.axvline(found.used, color=_THIRD, ls="--", label=f"in use: {found.used:.2f}")
    right: Any = axes.twinx()
    right.plot(found.thresholds, found.information, color=_SECOND, ls=":")
    right.set_ylabel("information (bits, dotted)")
    right.set_ylim(bottom=0)
    axes.set(xlabel="threshold", ylim=(0, 1.02))
    axes.legend(loc="upper right", fontsize="small", framealpha=0.6)


def _draw_resolution(axes: Axes, found: Resolution) -> None:
    """Draw IoU or agreement against time, one point per setting."""
    with_truth = not any(math.isnan(one.iou) for one in found.trials)
    for k, one in enumerate(found.trials):
        value = one.iou if with_truth else one.agreement
        colour = _BAD if k == found.best else _MAIN
        axes.plot(one.seconds, value, marker="o", ls="", color=colour)
        axes.annotate(
            one.name,
            (one.seconds, value),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize="small",
        )
    axes.margins(x=0.25, y=0.15)
    first = found.trials[0].name
    label = "IoU with the truth" if with_truth else f"IoU with {first}"
    axes.set(xscale="log", xlabel="seconds", ylabel=label)
    # Powers alone would be one tick or none, and with all between they overlap.
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_trial(axes: Axes, trial: Trial, light: NDArray[np.float32]) -> None:
    """Draw the mask of one setting over the image.

    Takes light (H, W).
    """
    axes.imshow(light, cmap="gray", vmin=0, vmax=1)
    over = np.ma.masked_where(~trial.mask, trial.mask)
    axes.imshow(over, cmap=ListedColormap([_MAIN]), alpha=0.55, interpolation="nearest")
    score = trial.agreement if math.isnan(trial.iou) else trial.iou
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"{trial.name}: {score:.3f}", loc="left", fontsize="small")


# What draws each part on empty axes.
DRAWN: dict[str, Callable[[Axes, Any], None]] = {
    "convergence": _draw_convergence,
    "influence": _draw_influence,
    "resolution": _draw_resolution,
    "threshold": _draw_threshold,
}
