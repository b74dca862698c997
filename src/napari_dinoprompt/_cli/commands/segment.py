"""The options of `dinoprompt segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_dinoprompt._cli.options import (
    Checkpoint,
    Device,
    FillHoles,
    MinSize,
    OutputFolder,
    Precision,
    ReferenceFile,
    Split,
    Window,
)

__all__ = ["segment"]


def segment(
    images: Annotated[
        list[Path],
        typer.Argument(
            help="Images: TIFF, PNG, JPEG …, of one plane or a stack; or folders "
            "of them."
        ),
    ],
    reference: ReferenceFile,
    output: OutputFolder,
    threshold: Annotated[
        str | None,
        typer.Option(
            help="Similarity from which on a pixel belongs to an object, from -1 to 1, "
            "or auto: from the prompts. (default: what the reference carries, else "
            "auto)",
        ),
    ] = None,
    window: Window = "reference",
    like: Annotated[
        Path | None,
        typer.Option(
            help="The real image that --window histogram matches grey values to.",
            metavar="REAL",
        ),
    ] = None,
    min_size: MinSize = 0,
    fill_holes: FillHoles = False,
    split: Split = False,
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
            help="Distance of the voxels of a stack, in micrometres, for --objects-3d. "
            "(default: what the file says, else the same along all three)",
            metavar="Z,Y,X",
        ),
    ] = None,
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
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Find in images what resembles the prompts of a reference."""
    from napari_dinoprompt._cli.messages import results_console
    from napari_dinoprompt._cli.parsing import segment_options
    from napari_dinoprompt._cli.segment import (
        SegmentJob,
        segment_files,
        show_report,
    )
    from napari_dinoprompt.core.backbones import BackboneChoice
    from napari_dinoprompt.core.references.reference import Reference

    options = segment_options(
        threshold,
        window,
        min_size=min_size,
        fill_holes=fill_holes,
        split=split,
        objects_3d=objects_3d,
        pixel_size=pixel_size,
    )
    loaded = Reference.load(reference)
    if threshold == "auto":
        loaded = loaded.with_thresholds({})
    loaded.check_objects()
    weights = None if checkpoint is None else str(checkpoint)
    choice = BackboneChoice(loaded.backbone.name, weights, device, precision)
    job = SegmentJob(tuple(images), output, like, again, scheduler)
    report = segment_files(job, loaded, choice, options)
    show_report(report, output, results_console())
    if report.skipped:
        raise typer.Exit(2)
