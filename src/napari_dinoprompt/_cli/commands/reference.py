"""The options of `dinoprompt reference`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from napari_dinoprompt._cli.options import (
    Checkpoint,
    Device,
    ImageFile,
    PointsFile,
    Precision,
    SourceWindow,
)

__all__ = ["reference"]


def reference(
    image: ImageFile,
    points: PointsFile,
    output: Annotated[
        Path,
        typer.Option(
            help="The file to write; .reference.safetensors is added if missing."
        ),
    ],
    backbone: Annotated[
        str | None,
        typer.Option(
            help="dinov2-small, -base, -large, -giant, filterbank or timm:NAME. "
            "(default: dinov2-small if its weights are here, else filterbank)",
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    upscale: Annotated[
        float,
        typer.Option(
            help="Enlarge the image before the backbone: small objects need it. "
            "A cell of DINOv2 is 14 pixels / upscale.",
        ),
    ] = 1.0,
    block: Annotated[
        int | None,
        typer.Option(
            help="Transformer block, from 0, or negative from the end. "
            "(default: the last)",
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    window: SourceWindow = "auto",
) -> None:
    """Make a reference from an image and prompts placed on it."""
    from napari_dinoprompt._cli.loading import load_named
    from napari_dinoprompt._cli.messages import results_console
    from napari_dinoprompt._cli.parsing import parse_source_window
    from napari_dinoprompt._cli.reference import (
        ReferenceJob,
        describe_reference,
        write_reference,
    )

    job = ReferenceJob(
        image=image,
        points=points,
        output=output,
        upscale=upscale,
        window=parse_source_window(window),
    )

    load = partial(
        load_named,
        backbone,
        checkpoint=checkpoint,
        device=device,
        precision=precision,
        block=block,
    )
    written = write_reference(job, load)
    results_console().print(describe_reference(written), soft_wrap=True)
