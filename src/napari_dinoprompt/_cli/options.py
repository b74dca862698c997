"""From what is typed on the command line to what `core` takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from napari_dinoprompt._cli.messages import say
from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from napari_dinoprompt.core.intensity import IntensityWindow
    from napari_dinoprompt.core.segmentation import SegmentOptions
    from napari_dinoprompt.core.target_images import WindowPolicy

__all__ = [
    "Checkpoint",
    "Device",
    "FillHoles",
    "MinSize",
    "Precision",
    "ReferenceFile",
    "Split",
    "Window",
    "default_backbone",
    "parse_spacing",
    "parse_threshold",
    "parse_window",
    "segment_options",
]

Word = TypeVar("Word", bound=str)

# Options that several commands have.
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
MinSize = Annotated[int, typer.Option(help="Remove objects of fewer pixels.", min=0)]
FillHoles = Annotated[bool, typer.Option("--fill-holes", help="Fill holes in objects.")]
Split = Annotated[bool, typer.Option("--split", help="Separate objects that touch.")]


def parse_window(text: str, words: tuple[Word, ...]) -> IntensityWindow | Word:
    """Read an intensity window.

    Parameters
    ----------
    text : str
        One of `words`, or two numbers ``LOW,HIGH``.
    words : tuple of str
        What may be said instead of numbers.

    Returns
    -------
    IntensityWindow or str

    Raises
    ------
    InputError
        If it is neither.
    """
    from napari_dinoprompt.core.intensity import IntensityWindow

    for word in words:
        if text == word:
            return word
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        msg = f"--window must be {', '.join(words)} or LOW,HIGH, not {text!r}."
        raise InputError(msg) from None
    return IntensityWindow(low, high)


def parse_threshold(text: str | None) -> float | None:
    """Read a threshold.

    Parameters
    ----------
    text : str or None
        ``"auto"``, a number in [-1, 1], or nothing.

    Returns
    -------
    float or None
        None where the reference decides.

    Raises
    ------
    InputError
        If it is something else.
    """
    if text is None or text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # NaN fails the comparison.
    if not -1 <= value <= 1:
        msg = f"--threshold must be auto or a number in [-1, 1], not {text!r}."
        raise InputError(msg)
    return value


def parse_spacing(text: str | None) -> tuple[float, float, float] | None:
    """Read how far the voxels of a stack are apart.

    Parameters
    ----------
    text : str or None
        ``Z,Y,X``, three numbers above 0; or nothing.

    Returns
    -------
    (float, float, float) or None

    Raises
    ------
    InputError
        If it is something else.
    """
    if text is None:
        return None
    try:
        z, y, x = (float(part) for part in text.split(","))
    except ValueError:
        z = y = x = math.nan
    if not all(0 < step < math.inf for step in (z, y, x)):
        msg = f"--pixel-size must be three numbers above 0 as Z,Y,X, not {text!r}."
        raise InputError(msg)
    return z, y, x


def segment_options(
    threshold: str | None,
    window: str,
    *,
    min_size: int,
    fill_holes: bool,
    split: bool,
    objects_3d: bool = False,
    pixel_size: str | None = None,
) -> SegmentOptions:
    """Collect how a reference is applied.

    Parameters
    ----------
    threshold : str or None
        As `parse_threshold`.
    window : str
        ``"reference"``, ``"image"``, ``"histogram"`` or ``LOW,HIGH``.
    min_size : int
    fill_holes, split : bool
        As `Cleaning`.
    objects_3d : bool
        As `SegmentOptions`.
    pixel_size : str or None
        As `parse_spacing`.

    Returns
    -------
    SegmentOptions

    Raises
    ------
    InputError
        If an option cannot be used.
    """
    # Before torch is loaded for nothing.
    cut = parse_threshold(threshold)
    policies: tuple[WindowPolicy, ...] = ("reference", "image", "histogram")
    seen = parse_window(window, policies)
    spacing = parse_spacing(pixel_size)
    from napari_dinoprompt.core.masks import Cleaning
    from napari_dinoprompt.core.segmentation import SegmentOptions

    return SegmentOptions(
        window=seen,
        threshold=cut,
        cleaning=Cleaning(min_size=min_size, fill_holes=fill_holes, split=split),
        objects_3d=objects_3d,
        spacing=spacing,
    )


def default_backbone(checkpoint: Path | None = None) -> str:
    """Choose a backbone for a user who named none, and say so if it is not DINOv2.

    Parameters
    ----------
    checkpoint : Path, optional
        Weights that the user gave; taken for DINOv2's.

    Returns
    -------
    str
        ``"dinov2-small"`` if its weights are here, else ``"filterbank"``.
    """
    from napari_dinoprompt.core import backbones

    if checkpoint is not None:
        return backbones.CHOICE
    chosen = backbones.default_backbone()
    if chosen != backbones.CHOICE:
        say(
            f"the weights of {backbones.CHOICE} are not on this machine; using "
            f"{chosen!r}, which needs none (see 'dinoprompt models')."
        )
    return chosen
