"""The figures of the demo, as rows and as a table to print."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rich.console import Console

    from napari_dinoprompt._cli.demo import FieldStory

__all__ = ["demo_rows", "show_demo_table"]


def demo_rows(stories: Sequence[FieldStory]) -> list[dict[str, Any]]:
    """List what was measured on each image.

    Parameters
    ----------
    stories : sequence of FieldStory

    Returns
    -------
    list of dict
        One per field and stain; a figure that cannot be given is NaN.
    """
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


def show_demo_table(stories: Sequence[FieldStory], console: Console) -> None:
    """Print the figures, field by field, with the truth to compare."""
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
    console.print(table)


def _figure(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"  # noqa: RUF001
