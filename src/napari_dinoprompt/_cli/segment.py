"""`dinoprompt segment`: a reference applied to image files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from napari_dinoprompt._cli.messages import say, side_console
from napari_dinoprompt._cli.progress import progress_bar
from napari_dinoprompt.core.intensity import IntensityWindow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.batch import BatchReport
    from napari_dinoprompt.core.reference import Reference
    from napari_dinoprompt.core.segmentation import SegmentOptions

__all__ = ["load_backbone_of", "segment_files", "show_report"]


def load_backbone_of(
    reference: Reference, *, checkpoint: Path | None, device: str, precision: str
) -> Backbone:
    """Load the backbone that a reference was made with.

    Raises
    ------
    DinopromptError
        If its weights are not here or not the same.
    """
    from napari_dinoprompt.core.backbones import load_backbone

    info = reference.backbone
    backbone = load_backbone(
        info.name,
        checkpoint=checkpoint,
        device=device,
        precision=precision,
        block=info.block if info.block >= 0 else None,
    )
    reference.check_backbone(backbone.info)
    return backbone


def segment_files(
    images: Sequence[Path],
    folder: Path,
    reference: Reference,
    backbone: Backbone,
    options: SegmentOptions,
    *,
    like: Path | None = None,
    again: bool,
) -> BatchReport:
    """Segment images and write the results of each; one that can't be read is skipped.

    Parameters
    ----------
    images, folder, reference, backbone, options, again
        As `segment_batch`.
    like : Path, optional
        The real image, for the window "histogram".

    Returns
    -------
    BatchReport
        Each image that was skipped has been reported on stderr.

    Raises
    ------
    DinopromptError, OSError
        If no image can be done with these options, or results cannot be written.
    """
    from napari_dinoprompt.core.batch import segment_batch
    from napari_dinoprompt.core.image_files import read_image

    wanted = None if like is None else read_image(like)
    console = side_console()
    if isinstance(options.window, IntensityWindow):
        for line in reference.warnings_for(window=options.window):
            say(line, console)
    steps = segment_batch(
        images, folder, reference, backbone, options, like=wanted, again=again
    )
    with progress_bar(console) as bar:
        task = bar.add_task("segmenting", total=None)
        while True:
            try:
                step = next(steps)
            except StopIteration as finished:
                report: BatchReport = finished.value
                return report
            if step.state == "skipped":
                say(f"{step.message} Skipped.", console)
            bar.update(
                task,
                description=step.path.name,
                completed=step.done,
                total=step.total,
            )


def show_report(report: BatchReport, folder: Path, console: Console) -> None:
    """Print the summary as a table, and where the results are."""
    if not report.rows:
        return
    table = Table()
    table.add_column("results", overflow="fold")
    table.add_column("class", overflow="fold")
    for name in ("threshold", "objects", "area"):
        table.add_column(name, justify="right")
    for row in report.rows:
        table.add_row(
            row["results"],
            row["class"],
            f"{row['threshold']:.3f}",
            str(row["objects"]),
            f"{row['area_fraction']:.1%}",
        )
    console.print(table)
    console.print(f"Written to {folder.resolve()}", soft_wrap=True)
    if report.kept:
        console.print(
            f"{report.kept} kept from before; --again computes them anew.",
            soft_wrap=True,
        )
