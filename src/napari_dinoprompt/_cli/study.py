"""`dinoprompt study`: what prompts, place, resolution and threshold do to a result.

dinoprompt study real.tif --points prompts.csv --output study

dinoprompt study real.tif --points prompts.csv --output study --truth labels.tif \
--backbone filterbank --backbone dinov2-small --upscale 1 --upscale 2

dinoprompt study real.tif --points prompts.csv --output study --parts \
convergence,influence --orders 500

Written: convergence.csv, influence.csv, resolution.csv and threshold.csv, a figure \
.png of each, and study.json with all answers. The study takes the automatic \
threshold.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_dinoprompt.core.errors import InputError

from . import options
from .console import follow, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_dinoprompt.core.validation import Upscale


_TRIED = (1.0, 2.0, 4.0)


def study(
    image: options.ImageFile,
    points: options.PointsFile,
    output: options.OutputFolder,
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
            "(default: what --checkpoint holds, else dinov2-small if its weights are "
            "here, else filterbank)",
        ),
    ] = None,
    checkpoint: options.Checkpoint = None,
    upscale: Annotated[
        list[str] | None,
        typer.Option(
            help="As of 'reference'. Give it again with other numbers to try. "
            "(default: auto, and 1, 2 and 4 are tried)",
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
    points_only: options.PointsOnly = False,
    series: options.Series = None,
    channel: options.Channel = None,
    window: options.SourceWindow = "auto",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Study why one prompt is better than another.

    How many prompts are enough, what each of them does and which is an outlier, which
    resolution to take, and what the threshold does.
    """
    from napari_dinoprompt.core.io.atomic import check_place
    from napari_dinoprompt.core.io.pick import Pick
    from napari_dinoprompt.core.io.points import read_prompts
    from napari_dinoprompt.core.io.read import read_image, read_labels
    from napari_dinoprompt.core.prompt_study.report import PARTS, study_paths

    # A slip of the pen is told before torch and the backbones are loaded.
    seen = options.parse_source_window(window)
    chosen, tried = _parse_upscales(upscale or ["auto"])
    words = tuple(word.strip() for word in parts.split(",") if word.strip())
    wanted = PARTS if words in ((), ("all",)) else words
    others = other or []
    check_place(output)
    options.refuse_overwriting(
        study_paths(output.resolve(), wanted), (image, points, truth, *others)
    )
    prompts = read_prompts(points)
    plane = read_image(image, Pick(series, channel))
    labels = None if truth is None else read_labels(truth)
    fields = {path.name: read_image(path) for path in others}
    from napari_dinoprompt.core.prompt_study.study import iter_study

    first, *more = backbone or (None,)
    steps = iter_study(
        plane,
        prompts.points,
        prompts.classes,
        options.choose_backbone(first, checkpoint, device, precision, block).load(),
        truth=labels,
        upscale=chosen,
        window=seen,
        class_name=class_name,
        orders=orders,
        upscales=tried or _TRIED,
        points_only=points_only,
        backbones=[
            options.choose_backbone(name, None, device, precision).load()
            for name in more
        ],
        others=fields,
        parts=wanted,
    )
    found = follow(steps, f"studying {image.name}")
    found.save(output)
    for sentence in found.sentences:
        tell(sentence)
    tell(f"Written to {output.resolve()}")


def _parse_upscales(given: Sequence[str]) -> tuple[Upscale, list[float]]:
    """Read the upscale of the study, and others to try."""
    first, *others = map(options.parse_upscale, given)
    tried = [one for one in others if one != "auto"]
    if len(tried) < len(others):
        msg = "Only the first --upscale may be auto; the others are numbers to try."
        raise InputError(msg)
    return first, tried
