"""`dinoprompt segment`: a reference applied to image files.

dinoprompt segment *.tif --reference nuclei.reference.safetensors --output results

dinoprompt segment real/1.tif fake/1.tif --reference nuclei.reference.safetensors \
--output results --threshold 0.6 --min-size 50 --fill-holes --split

dinoprompt segment fakes/ --reference nuclei.reference.safetensors --output results \
--scheduler local:4

dinoprompt segment ihc.png --reference positive.reference.safetensors --output results \
--objects stardist_labels.tif --export csv,geojson

Written per image: NAME_similarity.tif, NAME_mask.tif (class numbers) and \
NAME_instances.tif (object numbers); with --export also NAME_objects.csv, .geojson or \
_rois.zip; for all of them segmentation.csv and objects.csv. Files of these \
names that are there already are replaced, except where NAME_record.json tells that \
they come from the same image, reference and options: a run that was stopped goes on. \
Images of one name in two folders get the folder's name in front. An image that cannot \
be read is reported and skipped, and the exit code is 2.
"""

from __future__ import annotations

import warnings
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import options
from .console import progress_bar, results_console, say, side_console, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_dinoprompt.core.backbones.load import BackboneChoice
    from napari_dinoprompt.core.batch.run import BatchReport, BatchStep
    from napari_dinoprompt.core.references.reference import Reference

    Steps = Generator[BatchStep, None, BatchReport]


def segment(
    images: Annotated[
        list[Path],
        typer.Argument(
            help="Images: TIFF, PNG, JPEG …, of one plane or a stack; or folders "
            "of them."
        ),
    ],
    reference: options.ReferenceFile,
    output: options.OutputFolder,
    threshold: Annotated[
        str | None,
        typer.Option(
            help="Similarity from which on a pixel belongs to an object, from -1 to 1, "
            "or auto: from the prompts. (default: what the reference carries, else "
            "auto)",
        ),
    ] = None,
    series: options.Series = None,
    channel: options.Channel = None,
    window: options.Window = "reference",
    like: Annotated[
        Path | None,
        typer.Option(
            help="The real image that --window histogram matches grey values to.",
            metavar="REAL",
        ),
    ] = None,
    min_size: options.MinSize = 0,
    max_size: options.MaxSize = None,
    fill_holes: options.FillHoles = False,
    split: options.Split = False,
    objects_3d: Annotated[
        bool,
        typer.Option(
            "--objects-3d",
            help="In stacks, clean masks and number objects through the planes, not in "
            "each. The smallest object is then in voxels.",
        ),
    ] = False,
    pixel_size: Annotated[
        str | None,
        typer.Option(
            help="Distance of voxels, in micrometres, for --objects-3d and the sizes "
            "in --export; of a plane Y and X count. (default: what the file says, "
            "else voxels are cubes and sizes are in pixels)",
            metavar="Z,Y,X",
        ),
    ] = None,
    objects: Annotated[
        Path | None,
        typer.Option(
            help="Objects that another program has found, as a label image, or a "
            "folder with one of the same name for each image: those like the prompts "
            "are kept, as they are. --threshold is then the mean similarity of an "
            "object.",
            metavar="LABELS",
        ),
    ] = None,
    export: Annotated[
        str,
        typer.Option(
            help="Files beside the masks, with commas between: geojson (QuPath), roi "
            "(ImageJ and Fiji), csv (a table of objects, also of all images).",
            metavar="KINDS",
        ),
    ] = "",
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Compute all images anew, also those that an earlier run has finished "
            "with the same reference and options.",
        ),
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Compute on several processes or machines, with the same results: "
            "local:N starts N processes here; an address such as tcp://host:8786 is "
            "that of a dask scheduler, which must be one that you trust.",
            metavar="ADDRESS|local:N",
        ),
    ] = None,
    map_kind: Annotated[
        Literal["fitted", "plain"],
        typer.Option(
            "--map",
            help="What NAME_similarity.tif holds: the fitted similarity that the mask "
            "is cut from, or the plain cosine of the cells. The mask is the same.",
        ),
    ] = "fitted",
    checkpoint: options.Checkpoint = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Find in images what resembles the prompts of a reference."""
    # A slip of the pen is told before torch is loaded.
    cut = options.parse_threshold(threshold)
    seen = options.parse_target_window(window)
    spacing = options.parse_spacing(pixel_size)
    exports = options.parse_exports(export)
    from napari_dinoprompt.core.batch.objects import BatchFiles
    from napari_dinoprompt.core.batch.run import find_images
    from napari_dinoprompt.core.images.intensity import IntensityWindow
    from napari_dinoprompt.core.io.pick import Pick
    from napari_dinoprompt.core.io.read import read_image
    from napari_dinoprompt.core.masks.cleaning import Cleaning
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation.segment import SegmentOptions

    applied = SegmentOptions(
        window=seen,
        threshold=cut,
        cleaning=Cleaning(min_size, fill_holes, split, max_size),
        objects_3d=objects_3d,
        spacing=spacing,
        map=map_kind,
    )
    loaded = Reference.load(reference)
    if threshold == "auto":
        loaded = loaded.with_thresholds({})
    loaded.check_objects()
    if isinstance(seen, IntensityWindow):
        for line in loaded.warnings_for(window=seen):
            say(line)
    choice = options.choose_backbone(
        loaded.backbone.name, checkpoint, device, precision
    )
    run = _runner(loaded, choice.fitting(loaded.backbone), scheduler)
    steps = run(
        find_images(images),
        output,
        loaded,
        options=applied,
        like=None if like is None else read_image(like),
        again=again,
        objects=BatchFiles(exports, objects, Pick(series, channel)),
    )
    report = _follow_batch(steps)
    if report.rows:
        _show_report(report, output)
    if report.skipped:
        raise typer.Exit(2)


def _runner(
    reference: Reference, choice: BackboneChoice, scheduler: str | None
) -> Callable[..., Steps]:
    """Choose where a batch runs: here, or on the workers of a scheduler."""
    if scheduler is None:
        from napari_dinoprompt.core.batch.run import segment_batch
        from napari_dinoprompt.core.segmentation.segment import fitting_backbone

        backbone = fitting_backbone(reference, choice.load())
        return partial(segment_batch, backbone=backbone)
    from napari_dinoprompt.core.batch.dask_client import (
        parse_scheduler,
        segment_batch_on_cluster,
    )

    # Before any image is read.
    parse_scheduler(scheduler)
    return partial(segment_batch_on_cluster, choice=choice, scheduler=scheduler)


def _follow_batch(steps: Steps) -> BatchReport:
    """Run a batch; images that are skipped and warnings are reported on stderr."""
    console = side_console()
    with closing(steps), progress_bar(console) as bar:
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
                task, description=step.path.name, completed=step.done, total=step.total
            )


def _show_report(report: BatchReport, folder: Path) -> None:
    """Print the summary as a table, and where the results are."""
    from rich.table import Table

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
    results_console().print(table)
    tell(f"Written to {folder.resolve()}")
    if report.kept:
        tell(f"{report.kept} kept from before; --again computes them anew.")
