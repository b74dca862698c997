"""The options of `dinoprompt compare`."""

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

__all__ = ["compare"]


def compare(
    real: Annotated[Path, typer.Argument(help="The real stain.")],
    fakes: Annotated[
        list[Path],
        typer.Argument(help="Virtual stains of the same field, of any pixel count."),
    ],
    reference: ReferenceFile,
    output: OutputFolder,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Labels of the objects that are really there, or a mask of them. "
            "The fakes, and the real too, are then compared with these."
        ),
    ] = None,
    input_image: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="What the fakes were generated from; it is shown in the figure.",
        ),
    ] = None,
    draws: Annotated[
        int,
        typer.Option(
            help="How many times the prompts are drawn anew, for intervals and noise "
            "floor; 0 for none.",
            min=0,
        ),
    ] = 20,
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class", help="Which class to compare. (default: the reference's first)"
        ),
    ] = None,
    window: Window = "reference",
    min_size: MinSize = 0,
    fill_holes: FillHoles = False,
    split: Split = False,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Compare virtual stains with the real stain of the same field.

    The same reference, with its statistics and its threshold, is applied to all.
    Every figure comes with its interval over other draws of the prompts, and with its
    noise floor: the real against itself under such draws.
    """
    from napari_dinoprompt._cli.compare import (
        CompareJob,
        compare_files,
        show_comparison,
    )
    from napari_dinoprompt._cli.loading import load_backbone_of
    from napari_dinoprompt._cli.messages import results_console
    from napari_dinoprompt._cli.parsing import segment_options
    from napari_dinoprompt.core.references.reference import Reference

    options = segment_options(
        None, window, min_size=min_size, fill_holes=fill_holes, split=split
    )
    job = CompareJob(real, tuple(fakes), output, truth, input_image, draws, class_name)
    loaded = Reference.load(reference)
    backbone = load_backbone_of(
        loaded, checkpoint=checkpoint, device=device, precision=precision
    )
    found = compare_files(job, loaded, backbone, options)
    console = results_console()
    show_comparison(found, console)
    console.print(f"Written to {output.resolve()}", soft_wrap=True)
