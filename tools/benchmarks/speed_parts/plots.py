"""The figures as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from napari_dinoprompt.core.io.atomic import open_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from speed_parts.rows import Row


def write_plots(folder: Path, rows: Sequence[Row]) -> list[str]:
    """Write a picture for each part that has one.

    Parameters
    ----------
    folder : Path
    rows : sequence of Row

    Returns
    -------
    list of str
        Names of the files.
    """
    made = []
    speeds = [row for row in rows if row.part == "extraction"]
    if speeds:
        figure, axes = _figure(1)
        _bars(axes[0], [row for row in speeds if row.quantity == "speed"])
        axes[0].set_title("Extraction")
        axes[0].set_xlabel("tiles per second")
        made.append(_save(figure, folder, "extraction.png"))
    large = [row for row in rows if row.part == "large"]
    if large:
        figure, axes = _figure(2)
        _lines(axes[0], large, "all of it")
        axes[0].set_ylabel("seconds")
        _lines(axes[1], large, "peak memory")
        axes[1].set_ylabel("peak anonymous memory in MB")
        made.append(_save(figure, folder, "large.png"))
    return made


def _figure(count: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(5.5 * count + 1.5, 4), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _bars(axes: Axes, rows: Sequence[Row]) -> None:
    names = [
        f"{row.side} px, x{row.upscale:g}, {row.precision}: {row.tool}" for row in rows
    ]
    colours = ["C1" if row.tool == "peer" else "C0" for row in rows]
    axes.barh(names, [row.value for row in rows], color=colours)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=7)


def _lines(axes: Axes, rows: Sequence[Row], quantity: str) -> None:
    chosen = [row for row in rows if row.quantity == quantity]
    for tool in dict.fromkeys(row.tool for row in chosen):
        own = sorted(
            (row.side**2 / 1e6, row.value) for row in chosen if row.tool == tool
        )
        areas, values = zip(*own, strict=True)
        axes.plot(
            (0, *areas) if quantity == "all of it" else areas,
            (0, *values) if quantity == "all of it" else values,
            marker="o",
            label=tool,
        )
    axes.set_xlabel("million pixels")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend()


def _save(figure: Figure, folder: Path, name: str) -> str:
    with open_atomically(folder / name) as file:
        figure.savefig(file, format="png", dpi=110)
    return name
