"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Checkpoint",
    "Device",
    "FillHoles",
    "ImageFile",
    "MinSize",
    "OutputFolder",
    "PointsFile",
    "Precision",
    "ReferenceFile",
    "SourceWindow",
    "Split",
    "Window",
]

ImageFile = Annotated[
    Path, typer.Argument(help="The image that the prompts were placed on.")
]
PointsFile = Annotated[Path, typer.Option(help="The prompts: a points CSV of napari.")]
OutputFolder = Annotated[
    Path, typer.Option(help="Folder for the results; made if it is not there.")
]
SourceWindow = Annotated[
    str,
    typer.Option(
        help="Grey values that become black and white: auto takes percentiles of "
        "the image, LOW,HIGH sets them.",
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        help="Weights of the backbone, a .safetensors or .pth file or a folder with "
        "it. By default they are looked for on this machine, see 'dinoprompt models'.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cuda, cuda:1, mps or cpu.")]
Precision = Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")]
ReferenceFile = Annotated[Path, typer.Option(help="A file *.reference.safetensors.")]
Window = Annotated[
    str,
    typer.Option(
        help="Grey values that become black and white: those of the reference, "
        "percentiles of each image (forgives brightness and contrast), histogram: "
        "those of the reference once the grey values are exchanged, rank by rank, for "
        "those of the real image (forgives any curve between the two), or LOW,HIGH.",
        metavar="reference|image|histogram|LOW,HIGH",
    ),
]
MinSize = Annotated[
    int,
    typer.Option(
        help="Remove objects of fewer pixels; without it specks count as objects.",
        min=0,
    ),
]
FillHoles = Annotated[bool, typer.Option("--fill-holes", help="Fill holes in objects.")]
Split = Annotated[bool, typer.Option("--split", help="Separate objects that touch.")]
