"""What the demo shows of a field: one figure at one glance, rows, and a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from rich.box import SIMPLE_HEAD
from rich.table import Table

from napari_dinoprompt.core.comparison.columns import AGREEMENT_COLOURS
from napari_dinoprompt.core.io.atomic import open_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure
    from numpy.typing import NDArray

    from napari_dinoprompt.core.comparison.metrics import Agreement, Extent
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation.large import LargeSegmentation
    from napari_dinoprompt.core.segmentation.segment import Segmentation, SegmentOptions


PROMPT, OUTLINE = "#ffd23f", "#3ddbd9"
FOUND, MISSED, EXTRA = AGREEMENT_COLOURS.values()
_DPI = 150


@dataclass(frozen=True, eq=False)
class StainResult:
    """The reference applied to one image (H, W) of a field, against the truth."""

    title: str
    path: Path
    image: NDArray[np.generic]
    result: Segmentation | LargeSegmentation
    extent: Extent
    agreement: Agreement


@dataclass(frozen=True, eq=False)
class FieldStory:
    """All of one sample field: drawn nuclei (H, W) by number, the real stain first."""

    name: str
    reference: Reference
    options: SegmentOptions
    truth: NDArray[np.int32]
    truth_extent: Extent
    stains: tuple[StainResult, ...]


def demo_rows(stories: Sequence[FieldStory]) -> list[dict[str, Any]]:
    """List what was measured on each image; a figure that cannot be given is NaN."""
    return [
        {
            "field": story.name,
            "image": stain.title,
            "backbone": story.reference.backbone.name,
            "upscale": story.reference.upscale,
            "prompts": len(story.reference.points),
            "threshold": stain.result.threshold,
            "objects": stain.extent.objects,
            "objects_truth": story.truth_extent.objects,
            "area_fraction": stain.extent.fraction,
            "area_fraction_truth": story.truth_extent.fraction,
            "iou": stain.agreement.iou,
            "precision": stain.agreement.precision,
            "recall": stain.agreement.recall,
        }
        for story in stories
        for stain in story.stains
    ]


def demo_table(stories: Sequence[FieldStory]) -> Table:
    """Lay the figures out to be printed, field by field, with the truth to compare."""
    first = stories[0].reference
    table = Table(
        title=f"{len(first.points)} prompts on the real stain, {first.backbone}",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in ("field", "image"):
        table.add_column(name)
    for name in ("threshold", "objects", "area", "IoU", "precision", "recall"):
        table.add_column(name, justify="right")
    for story in stories:
        for stain in story.stains:
            table.add_row(
                story.name,
                stain.title,
                f"{stain.result.threshold:.3f}",
                str(stain.extent.objects),
                f"{stain.extent.fraction:.1%}",
                _figure(stain.agreement.iou),
                _figure(stain.agreement.precision),
                _figure(stain.agreement.recall),
            )
        truth = story.truth_extent
        extent = (str(truth.objects), f"{truth.fraction:.1%}")
        table.add_row(story.name, "truth", "", *extent, end_section=True)
    return table


def _figure(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"  # noqa: RUF001


def draw_demo(path: Path, stories: Sequence[FieldStory]) -> None:
    """Draw all fields into one PNG."""
    layout = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.08)
    figure = Figure(figsize=(11.0, 8.5 * len(stories)), layout=layout)
    blocks = figure.subfigures(len(stories), 1, squeeze=False)[:, 0]
    for block, story in zip(blocks, stories, strict=True):
        _draw_field(block, story)
    with open_atomically(path) as file:
        figure.savefig(file, format="png", dpi=_DPI)


def _draw_field(block: SubFigure, story: FieldStory) -> None:
    real, *fakes = story.stains
    reference = story.reference
    block.suptitle(
        f"{story.name.capitalize()} field: {len(reference.points)} prompts, "
        f"backbone {reference.backbone.name}, no training",
        fontsize=16,
        fontweight="bold",
    )
    axes = block.subplots(2, 3, gridspec_kw={"hspace": 0.03})
    for panel in axes.flat:
        # Not the whole axis off: the caption is its label.
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    _draw_prompts(axes[0, 0], story, real)
    _draw_similarity(axes[0, 1], real)
    _draw_objects(axes[0, 2], story, real, "3  Found on the real stain")
    _draw_agreement(axes[1, 0], story, real)
    for number, (panel, fake) in enumerate(zip(axes[1, 1:], fakes, strict=True), 5):
        title = f"{number}  Same reference, {fake.title}"
        _draw_objects(panel, story, fake, title)


def _show_image(panel: Axes, story: FieldStory, stain: StainResult) -> None:
    """Show all stains in the window of the reference, as the backbone sees them."""
    window = story.reference.window
    panel.imshow(stain.image, cmap="gray", vmin=window.low, vmax=window.high)


def _caption(panel: Axes, title: str, note: str) -> None:
    panel.set_title(title, fontsize=11.5, loc="left")
    panel.set_xlabel(note, fontsize=10, color="#444", loc="left")


def _draw_prompts(panel: Axes, story: FieldStory, real: StainResult) -> None:
    _show_image(panel, story, real)
    y, x = story.reference.points.T
    # Dark around bright: to be seen on any grey.
    for colour, width in (("black", 4.5), (PROMPT, 2.2)):
        panel.scatter(x, y, s=150, facecolor="none", edgecolor=colour, linewidth=width)
    panel.scatter(x, y, s=14, color=PROMPT, edgecolor="black", linewidth=0.6)
    _caption(
        panel,
        "1  Real stain and prompts",
        f"{len(y)} points in a field of {story.truth_extent.objects} nuclei",
    )


def _draw_similarity(panel: Axes, real: StainResult) -> None:
    shown = panel.imshow(real.result.similarity, cmap="magma", vmin=-1, vmax=1)
    # Below the panel and not beside it, so that all panels have one size.
    place = panel.inset_axes((0.6, -0.052, 0.38, 0.028))
    bar = panel.figure.colorbar(
        shown, cax=place, orientation="horizontal", ticks=[-1, 0, 1]
    )
    bar.outline.set_linewidth(0.5)
    place.tick_params(labelsize=8, length=2, pad=1)
    place.axvline(real.result.threshold, color=OUTLINE, linewidth=3)
    _caption(
        panel,
        "2  Similarity with the prompts (cosine)",
        f"automatic threshold {real.result.threshold:.2f}",
    )


def _draw_objects(
    panel: Axes, story: FieldStory, stain: StainResult, title: str
) -> None:
    _show_image(panel, story, stain)
    lines = _outlines(stain.result.instances)
    panel.add_collection(LineCollection(lines, colors=OUTLINE, linewidths=0.9))
    _caption(
        panel,
        title,
        f"{stain.extent.objects} objects (truth: {story.truth_extent.objects}), "
        f"IoU {_number(stain.agreement.iou)}",
    )


def _draw_agreement(panel: Axes, story: FieldStory, real: StainResult) -> None:
    found, true = real.result.mask > 0, story.truth != 0
    picture = np.ones((*found.shape, 3))
    for colour, where in (
        (FOUND, found & true),
        (MISSED, ~found & true),
        (EXTRA, found & ~true),
    ):
        picture[where] = to_rgb(colour)
    panel.imshow(picture)
    handles = [
        Patch(color=FOUND, label="found"),
        Patch(color=MISSED, label="missed"),
        Patch(color=EXTRA, label="too much"),
    ]
    panel.legend(
        handles=handles, loc="lower right", fontsize=9, framealpha=0.9, borderpad=0.4
    )
    agreement = real.agreement
    _caption(
        panel,
        "4  Real stain against the truth",
        f"IoU {_number(agreement.iou)}, precision {_number(agreement.precision)}, "
        f"recall {_number(agreement.recall)}",
    )


def _outlines(instances: NDArray[np.int32]) -> list[NDArray[np.float64]]:
    """Trace each object by itself: closed lines (n, 2) of x and y."""
    from scipy import ndimage as ndi
    from skimage.measure import find_contours

    lines = []
    for number, part in enumerate(ndi.find_objects(instances), start=1):
        if part is None:
            continue
        region = np.pad(instances[part] == number, 1).astype(np.float64)
        offset = np.array([part[1].start - 1, part[0].start - 1])
        lines += [line[:, ::-1] + offset for line in find_contours(region, 0.5)]
    return lines


def _number(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.2f}"
