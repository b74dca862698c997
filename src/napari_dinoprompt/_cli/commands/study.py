"""The options of `dinoprompt study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_dinoprompt._cli.options import (
    Checkpoint,
    Device,
    ImageFile,
    OutputFolder,
    PointsFile,
    Precision,
    SourceWindow,
)

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones.base import Backbone

__all__ = ["study"]


def study(
    image: ImageFile,
    points: PointsFile,
    output: OutputFolder,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Labels of the objects that are really there, or a mask of them. "
            "Without, masks are compared with each other."
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            help="As of 'reference'. Give it again for others to try as resolutions. "
            "(default: dinov2-small if its weights are here, else filterbank)",
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    upscale: Annotated[
        list[float] | None,
        typer.Option(
            help="Enlarge the image before the backbone. Give it again for others to "
            "try. (default: 1, and 2 and 4 are tried)",
        ),
    ] = None,
    block: Annotated[
        int | None,
        typer.Option(
            help="Transformer block of the first backbone, from 0, or negative from "
            "the end. (default: the last)",
        ),
    ] = None,
    other: Annotated[
        list[Path] | None,
        typer.Option(
            help="The same field with another number of pixels, such as an enlarged "
            "image; it is tried as a resolution. Can be given again.",
        ),
    ] = None,
    orders: Annotated[
        int,
        typer.Option(help="In how many random orders prompts are added.", min=1),
    ] = 200,
    parts: Annotated[
        str,
        typer.Option(
            help="Of convergence, influence, resolution and threshold, separated by "
            "commas.",
        ),
    ] = "all",
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class", help="Which class to study. (default: the first of the prompts)"
        ),
    ] = None,
    window: SourceWindow = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Study why one prompt is better than another.

    How many prompts are enough, what each of them does and which is an outlier, which
    resolution to take, and what the threshold does.
    """
    from napari_dinoprompt._cli.loading import load_named
    from napari_dinoprompt._cli.messages import results_console
    from napari_dinoprompt._cli.parsing import parse_source_window
    from napari_dinoprompt._cli.study import (
        StudyJob,
        show_study,
        split_parts,
        study_files,
    )

    job = StudyJob(
        image=image,
        points=points,
        output=output,
        truth=truth,
        upscales=tuple(upscale or (1.0,)),
        window=parse_source_window(window),
        others=tuple(other or ()),
        orders=orders,
        parts=split_parts(parts),
        class_name=class_name,
    )

    def load() -> list[Backbone]:
        names: list[str | None] = [*backbone] if backbone else [None]
        first, *others = names
        used = load_named(
            first,
            checkpoint=checkpoint,
            device=device,
            precision=precision,
            block=block,
        )
        tried = [
            load_named(name, device=device, precision=precision) for name in others
        ]
        return [used, *tried]

    console = results_console()
    show_study(study_files(job, load), console)
    console.print(f"Written to {output.resolve()}", soft_wrap=True)
