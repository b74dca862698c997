"""`dinoprompt reference`: from an image and its prompts to a reference file.

dinoprompt reference real.tif --points prompts.csv --output nuclei

dinoprompt reference real.tif --points prompts.csv --output nuclei \
--backbone dinov2-base --upscale 2

The points file is what napari saves from a Points layer: index,axis-0,axis-1 with y \
in axis-0 and x in axis-1, in pixels, and, if you like, a column class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .console import follow, tell


def reference(
    image: options.ImageFile,
    points: options.PointsFile,
    output: Annotated[
        Path,
        typer.Option(
            help="The file to write; .reference.safetensors is added if missing."
        ),
    ],
    backbone: Annotated[
        str | None,
        typer.Option(
            help="dinov2-small, -base, -large, -giant, dinov3-small, -base, -large, "
            "filterbank or timm:NAME. (default: what --checkpoint holds, else "
            "dinov2-small if its weights are here, else filterbank)",
        ),
    ] = None,
    checkpoint: options.Checkpoint = None,
    upscale: Annotated[
        str,
        typer.Option(
            help="Enlarge the image before the backbone: small objects need it. "
            "A cell of DINOv2 is 14 pixels / upscale. auto takes 1, 2 or 4, by the "
            "size of the prompted objects.",
        ),
    ] = "auto",
    block: Annotated[
        int | None,
        typer.Option(
            help="Transformer block, from 0, or negative from the end. "
            "(default: the last)",
        ),
    ] = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    series: options.Series = None,
    channel: options.Channel = None,
    window: options.SourceWindow = "auto",
    points_only: options.PointsOnly = False,
) -> None:
    """Make a reference from an image and prompts placed on it."""
    from napari_dinoprompt.core.io.atomic import check_place
    from napari_dinoprompt.core.io.pick import Pick
    from napari_dinoprompt.core.io.points import read_prompts
    from napari_dinoprompt.core.io.read import open_image

    # A slip of the pen is told before torch and the backbone are loaded.
    seen, enlarged = options.parse_source_window(window), options.parse_upscale(upscale)
    check_place(output.parent)
    prompts = read_prompts(points)
    plane = open_image(image, Pick(series, channel))
    from napari_dinoprompt.core.references.from_image import iter_prompted_image

    network = options.choose_backbone(
        backbone, checkpoint, device, precision, block
    ).load()
    steps = iter_prompted_image(
        plane,
        prompts,
        network,
        upscale=enlarged,
        window=seen,
        points_only=points_only,
        source=image.name,
    )
    made = follow(steps, f"features of {image.name}").reference
    tell(_describe(made.save(output)))


def _describe(path: Path) -> str:
    """Say in one line what a reference file holds."""
    from napari_dinoprompt.core.references.reference import (
        Reference,
        resolve_thresholds,
    )

    reference = Reference.load(path)
    counts = ", ".join(
        f"{reference.classes.count(name)} {name}" for name in reference.class_names
    )
    thresholds = ", ".join(
        f"{value:.3f}" for value in resolve_thresholds(reference).values()
    )
    text = (
        f"{path}: {reference.backbone}; upscale: {reference.upscale:g}; "
        f"prompts: {counts}"
    )
    return f"{text}; threshold: {thresholds}" if thresholds else text
