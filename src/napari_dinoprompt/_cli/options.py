"""Options that several commands have, and what `core` takes for what is typed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from napari_dinoprompt.core.errors import InputError

from .console import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_dinoprompt.core.backbones.load import BackboneChoice
    from napari_dinoprompt.core.images.intensity import IntensityWindow
    from napari_dinoprompt.core.objects.export import ExportKind
    from napari_dinoprompt.core.segmentation.segment import WindowPolicy
    from napari_dinoprompt.core.validation import Upscale


ImageFile = Annotated[
    Path, typer.Argument(help="The image that the prompts were placed on.")
]
PointsFile = Annotated[
    Path,
    typer.Option(
        help="The prompts: points of napari or Fiji (.csv), ImageJ (.roi, .zip) or "
        "QuPath (.geojson); or a label image, of which each label is a prompt."
    ),
]
OutputFolder = Annotated[
    Path, typer.Option(help="Folder for the results; made if it is not there.")
]
Series = Annotated[
    int | None,
    typer.Option(
        help="Which image of a TIFF that holds several, from 0, such as fields or the "
        "slide beside its label.",
        min=0,
    ),
]
Channel = Annotated[
    str | None,
    typer.Option(
        help="One channel of the image, by its number, from 0, or its name.",
        metavar="N|NAME",
    ),
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
        "it; without --backbone it tells which. By default they are looked for on "
        "this machine, see 'dinoprompt models'.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cuda, cuda:1, mps or cpu.")]
Precision = Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")]
PointsOnly = Annotated[
    bool,
    typer.Option(
        "--points-only",
        help="Take the features at the prompts alone, not those of the objects that "
        "they are on.",
    ),
]
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
MaxSize = Annotated[
    int | None,
    typer.Option(help="Remove objects of more pixels. (default: none)", min=1),
]
FillHoles = Annotated[bool, typer.Option("--fill-holes", help="Fill holes in objects.")]
Split = Annotated[bool, typer.Option("--split", help="Separate objects that touch.")]

Word = TypeVar("Word", bound=str)


def choose_backbone(
    name: str | None = None,
    checkpoint: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    block: int | None = None,
) -> BackboneChoice:
    """Choose a backbone.

    Without a name, that of the checkpoint, or that of choice on this machine.
    """
    from napari_dinoprompt.core.backbones.load import BackboneChoice

    if name is None:
        name = _default_backbone() if checkpoint is None else _identify(checkpoint)
    weights = None if checkpoint is None else str(checkpoint)
    return BackboneChoice(name, weights, device, precision, block=block)


def _identify(checkpoint: Path) -> str:
    """Name the model of a checkpoint, and say it."""
    from napari_dinoprompt.core.backbones.identify import identify_checkpoint

    name = identify_checkpoint(checkpoint)
    say(f"{checkpoint} holds {name}.")
    return name


def _default_backbone() -> str:
    """Name DINOv2 if its weights are here, else say what is used."""
    from napari_dinoprompt.core.backbones.load import CHOICE, default_backbone

    chosen = default_backbone()
    if chosen != CHOICE:
        say(
            f"the weights of {CHOICE} are not on this machine; using "
            f"{chosen!r}, which needs none (see 'dinoprompt models')."
        )
    return chosen


def refuse_overwriting(written: Iterable[Path], inputs: Iterable[Path | None]) -> None:
    """Refuse to write results over one of the inputs."""
    places = set(written)
    for given in inputs:
        if given is not None and given.resolve() in places:
            raise InputError(
                f"The results would overwrite {given}; choose another folder with "
                "--output."
            )


def _parse_window(text: str, words: tuple[Word, ...]) -> IntensityWindow | Word:
    """Read an intensity window: one of the words, or two numbers ``LOW,HIGH``."""
    from napari_dinoprompt.core.images.intensity import IntensityWindow

    for word in words:
        if text == word:
            return word
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        msg = f"--window must be {', '.join(words)} or LOW,HIGH, not {text!r}."
        raise InputError(msg) from None
    return IntensityWindow(low, high)


def parse_source_window(text: str) -> IntensityWindow | None:
    """Read the window of the prompts' image; None (``"auto"``) takes it from there."""
    chosen = _parse_window(text, ("auto",))
    return None if isinstance(chosen, str) else chosen


def parse_target_window(text: str) -> IntensityWindow | WindowPolicy:
    """Read the window of images that a reference is applied to."""
    policies: tuple[WindowPolicy, ...] = ("reference", "image", "histogram")
    return _parse_window(text, policies)


def parse_upscale(text: str) -> Upscale:
    """Read an upscale: a number above 0, or ``"auto"``."""
    from napari_dinoprompt.core.validation import check_upscale

    try:
        given: float | str = float(text)
    except ValueError:
        given = text
    return check_upscale(given)


def parse_threshold(text: str | None) -> float | None:
    """Read a threshold in [-1, 1]; None where the reference decides."""
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


def parse_exports(text: str) -> tuple[ExportKind, ...]:
    """Take the kinds of files that objects are exported as."""
    from napari_dinoprompt.core.objects.export import ENDINGS

    known = {str(kind): kind for kind in ENDINGS}
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if unknown := [word for word in words if word not in known]:
        raise InputError(f"--export takes {', '.join(known)}, not {unknown[0]!r}.")
    return tuple(known[word] for word in dict.fromkeys(words))


def parse_spacing(text: str | None) -> tuple[float, float, float] | None:
    """Read how far the voxels of a stack are apart, ``Z,Y,X``; or nothing."""
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
