"""`dinoprompt segment`: a reference applied to image files."""

from __future__ import annotations

import warnings
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from napari_dinoprompt._cli.loading import load_backbone_of
from napari_dinoprompt._cli.messages import say, side_console
from napari_dinoprompt._cli.progress import progress_bar
from napari_dinoprompt.core.intensity import IntensityWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.console import Console

    from napari_dinoprompt.core.backbones import BackboneChoice
    from napari_dinoprompt.core.batching.batch import BatchReport, BatchStep
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation import SegmentOptions

__all__ = ["SegmentJob", "segment_files", "show_report"]


@dataclass(frozen=True)
class SegmentJob:
    """Which images are segmented, and where.

    Attributes
    ----------
    images : tuple of Path
        As `find_images` takes them.
    folder : Path
        For the results.
    like : Path or None
        The real image, for the window "histogram".
    again : bool
        Whether finished images are computed again.
    scheduler : str or None
        As `segment_batch_on_cluster`; None computes here.
    """

    images: tuple[Path, ...]
    folder: Path
    like: Path | None
    again: bool
    scheduler: str | None


def segment_files(
    job: SegmentJob,
    reference: Reference,
    choice: BackboneChoice,
    options: SegmentOptions,
) -> BatchReport:
    """Segment images and write the results of each; one that can't be read is skipped.

    Parameters
    ----------
    job : SegmentJob
    reference : Reference
    choice : BackboneChoice
        How the reference's backbone is loaded.
    options : SegmentOptions

    Returns
    -------
    BatchReport
        Each image that was skipped has been reported on stderr.

    Raises
    ------
    DinopromptError, OSError
        If no image can be done with these options, or results cannot be written.
    """
    console = side_console()
    if isinstance(options.window, IntensityWindow):
        for line in reference.warnings_for(window=options.window):
            say(line, console)
    with (
        closing(_start(job, reference, choice, options)) as steps,
        progress_bar(console) as bar,
    ):
        task = bar.add_task("segmenting", total=None)
        while True:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always", RuntimeWarning)
                try:
                    step = next(steps)
                except StopIteration as finished:
                    report: BatchReport = finished.value
                    return report
            for one in heard:
                if issubclass(one.category, RuntimeWarning):
                    say(f"{step.path}: {one.message}", console)
            if step.state == "skipped":
                say(f"{step.message} Skipped.", console)
            bar.update(
                task,
                description=step.path.name,
                completed=step.done,
                total=step.total,
            )


def _start(
    job: SegmentJob,
    reference: Reference,
    choice: BackboneChoice,
    options: SegmentOptions,
) -> Generator[BatchStep, None, BatchReport]:
    from napari_dinoprompt.core.batching.batch import find_images, segment_batch
    from napari_dinoprompt.core.files.images import read_image

    run: Callable[..., Generator[BatchStep, None, BatchReport]]
    if job.scheduler is None:
        checkpoint = None if choice.checkpoint is None else Path(choice.checkpoint)
        backbone = load_backbone_of(
            reference,
            checkpoint=checkpoint,
            device=choice.device,
            precision=choice.precision,
        )
        run = partial(segment_batch, backbone=backbone)
    else:
        from napari_dinoprompt.core.batching.cluster import (
            parse_scheduler,
            segment_batch_on_cluster,
        )

        # Before any image is read.
        parse_scheduler(job.scheduler)
        run = partial(segment_batch_on_cluster, choice=choice, scheduler=job.scheduler)
    return run(
        find_images(job.images),
        job.folder,
        reference,
        options=options,
        like=None if job.like is None else read_image(job.like),
        again=job.again,
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
