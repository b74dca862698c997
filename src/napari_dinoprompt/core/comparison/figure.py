"""The figure of a comparison: images, maps and the main numbers."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from napari_dinoprompt.core.images.alignment import match_plane
from napari_dinoprompt.core.images.intensity import measure_window
from napari_dinoprompt.core.images.plane import as_plane

from .columns import AGREEMENT_COLOURS, COLUMNS, format_figure, format_interval

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from .measures import Findings, Report


_MAIN = (
    *("iou", "own_threshold_iou", "average_precision", "matched"),
    *("only_in_real", "only_in_fake", "f1", "ssim", "pearson", "feature_distance"),
)
_PANEL, _LINE, _WIDTH = 2.4, 0.34, 11.0
_PANELS = 4
_DPI = 150
# Text stays text in a PDF.
_STYLE: dict[Any, Any] = {"pdf.fonttype": 42, "font.size": 8.0}


def draw_comparison(
    comparison: Findings, input_image: ArrayLike | None = None
) -> Figure:
    """Draw the real, each fake with its maps, and a table of the main figures.

    Takes input_image (H, W) or (H, W, 3 or 4).
    """
    height, width = comparison.real_grey.shape
    panel = min(2 * _PANEL, max(_PANEL / 2, _PANEL * height / width)) + 0.3
    count = 1 + len(comparison.reports)
    lines = _LINE * (len(comparison.rows) + (2 if comparison.noise_floor else 1)) + 0.5
    with rc_context(_STYLE):
        figure = Figure(
            figsize=(_WIDTH, count * panel + lines),
            layout=ConstrainedLayoutEngine(h_pad=0.05, w_pad=0.05),
        )
        pictures, numbers = figure.subfigures(
            2, 1, squeeze=False, height_ratios=(count * panel, lines)
        )[:, 0]
        axes = pictures.subplots(count, _PANELS, squeeze=False)
        for one in axes.flat:
            one.set(xticks=[], yticks=[])
            one.spines[:].set_visible(False)
        _draw_real(axes[0], comparison, input_image)
        for row, report in zip(axes[1:], comparison.reports, strict=True):
            _draw_fake(row, comparison, report)
        _draw_table(numbers.subplots(), comparison)
    return figure


def render(figure: Figure, suffix: str) -> bytes:
    """Turn a figure into the content of a file."""
    content = BytesIO()
    with rc_context(_STYLE):
        figure.savefig(content, format=suffix, dpi=_DPI)
    return content.getvalue()


def _draw_real(
    axes: NDArray[np.object_], comparison: Findings, input_image: ArrayLike | None
) -> None:
    _show_grey(axes[0], comparison.real_grey, "real")
    number = comparison.real.similarities.names.index(comparison.class_name) + 1
    _show_similarity(
        axes[1],
        comparison.real.similarities.of(comparison.class_name),
        f"similarity, cut at {comparison.real.thresholds[comparison.class_name]:.2f}",
    )
    known = comparison.truth
    mask = comparison.real.mask == number if known is None else known != 0
    title = "mask of the real" if known is None else "truth"
    axes[2].imshow(mask, cmap="gray_r", vmin=0, vmax=2, interpolation="nearest")
    axes[2].set_title(title, loc="left")
    if input_image is not None:
        _show_input(axes[3], input_image, comparison.real_grey.shape)


def _draw_fake(axes: NDArray[np.object_], comparison: Findings, report: Report) -> None:
    _show_grey(axes[0], report.grey, report.name)
    found = report.segmentation.similarities
    _show_similarity(axes[1], found.of(comparison.class_name), "similarity")
    maps = report.measures.maps
    axes[2].imshow(
        maps.agreement,
        cmap=ListedColormap(["white", *AGREEMENT_COLOURS.values()]),
        vmin=-0.5,
        vmax=3.5,
        interpolation="nearest",
    )
    axes[2].set_title(
        f"agreement, IoU {format_figure('iou', report.measures.figures['iou'])}",
        loc="left",
    )
    only = [one for one in COLUMNS if one.key in ("only_in_real", "only_in_fake")]
    titles = ["both", *map(comparison.title, only)]
    axes[2].legend(
        handles=[
            Patch(color=colour, label=label)
            for colour, label in zip(AGREEMENT_COLOURS.values(), titles, strict=True)
        ],
        loc="lower right",
        fontsize=6,
        framealpha=0.9,
        borderpad=0.3,
        handlelength=1.0,
    )
    shown = axes[3].imshow(maps.ssim, cmap="gray", vmin=0, vmax=1)
    axes[3].figure.colorbar(shown, ax=axes[3], fraction=0.046, pad=0.02)
    axes[3].set_title(
        f"SSIM, mean {format_figure('ssim', report.measures.figures['ssim'])}",
        loc="left",
    )


def _show_grey(panel: Axes, grey: NDArray[np.float32], title: str) -> None:
    # All windowed alike: a fake that is too dark is shown so.
    panel.imshow(grey, cmap="gray", vmin=0, vmax=1)
    panel.set_title(title, loc="left", fontweight="bold")


def _show_similarity(panel: Axes, similarity: NDArray[np.float32], title: str) -> None:
    shown = panel.imshow(similarity, cmap="magma", vmin=-1, vmax=1)
    panel.figure.colorbar(shown, ax=panel, fraction=0.046, pad=0.02)
    panel.set_title(title, loc="left")


def _show_input(panel: Axes, image: ArrayLike, shape: tuple[int, ...]) -> None:
    plane = as_plane(image)
    window = measure_window(plane)
    matched = match_plane(plane, (shape[0], shape[1]))
    panel.imshow(window.apply(matched), cmap="gray", vmin=0, vmax=1)
    panel.set_title("input of the model", loc="left")


def _draw_table(panel: Axes, comparison: Findings) -> None:
    panel.set_axis_off()
    keys = [one for one in comparison.columns if one.key in _MAIN]
    cells = [
        [
            _cell(
                format_figure(one.key, report.measures.figures[one.key]),
                format_interval(one.key, report.intervals.get(one.key)),
            )
            for one in keys
        ]
        for report in comparison.rows
    ]
    against = "" if comparison.truth is None else " and truth"
    names = [report.name for report in comparison.reports]
    labels = names if comparison.real_report is None else [f"real{against}", *names]
    if comparison.noise_floor:
        floor = comparison.noise_floor
        labels.append("noise floor")
        cells.append(
            [
                _cell(
                    format_figure(one.key, floor[one.key][0]),
                    f"95 %: {format_figure(one.key, floor[one.key][1])}",
                )
                for one in keys
            ]
        )
    table = panel.table(
        cellText=cells,
        rowLabels=labels,
        colLabels=[comparison.title(one).replace(" ", "\n", 1) for one in keys],
        loc="upper center",
        cellLoc="center",
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(6.5)
    table.scale(1, 1.9)


def _cell(figure: str, interval: str) -> str:
    return f"{figure}\n{interval}" if interval else figure
