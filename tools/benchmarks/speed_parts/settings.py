"""What is asked for on the command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from napari_dinoprompt.core.errors import InputError
from speed_parts.networks import RANDOM, NetworkChoice

if TYPE_CHECKING:
    from collections.abc import Sequence


PARTS = ("extraction", "click", "apply", "cache", "memory", "large", "half")
_Kind = TypeVar("_Kind", int, float)
_USUAL = PARTS[:5]
_LARGE = ("filterbank:8000", "filterbank:14000", "filterbank:20000")


@dataclass(frozen=True)
class Settings:
    """The options of the program; the help of each says what it is.

    Attributes
    ----------
    parts : tuple of str
    sizes : tuple of int
    upscales : tuple of float
    precisions : tuple of str or None
    click_size, repeats, most_tiles, limit : int
    peak_side : int or None
    peer, profile : bool
    network : NetworkChoice
    large : tuple of (str, int)
    large_folder, data : Path or None
    threads : int or None
    output : Path
    document : Path or None
    """

    parts: tuple[str, ...]
    sizes: tuple[int, ...]
    upscales: tuple[float, ...]
    precisions: tuple[str, ...] | None
    click_size: int
    repeats: int
    most_tiles: int
    limit: int
    peak_side: int | None
    peer: bool
    profile: bool
    network: NetworkChoice
    large: tuple[tuple[str, int], ...]
    large_folder: Path | None
    data: Path | None
    threads: int | None
    output: Path
    document: Path | None


def read_settings(words: Sequence[str] | None, description: str) -> Settings:
    """Read the command line.

    Parameters
    ----------
    words : sequence of str or None
        None takes those of the process.
    description : str
        For the help.

    Returns
    -------
    Settings

    Raises
    ------
    InputError
        If something does not exist or is out of range.
    """
    options = _parser(description).parse_args(words)
    settings = Settings(
        parts=tuple(options.only or _USUAL),
        sizes=tuple(_number(word, int) for word in options.sizes.split(",")),
        upscales=tuple(_number(word, float) for word in options.upscales.split(",")),
        precisions=tuple(options.precision) if options.precision else None,
        click_size=options.click_size,
        repeats=options.repeats,
        most_tiles=options.most_tiles,
        limit=options.limit,
        peak_side=options.peak_side,
        peer=options.peer,
        profile=options.profile,
        network=NetworkChoice(
            options.backbone, options.checkpoint, options.block, options.device
        ),
        large=tuple(_large(word) for word in options.large or _LARGE),
        large_folder=options.large_folder,
        data=options.data,
        threads=options.threads,
        output=options.output,
        document=options.document,
    )
    least = min(*settings.sizes, settings.click_size, settings.repeats, settings.limit)
    if least < 1 or min(settings.upscales) <= 0:
        msg = "Sizes, upscales, --repeats and --limit must be above 0."
        raise InputError(msg)
    return settings


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", action="append", choices=PARTS, help="a part; may be repeated")
    add("--output", type=Path, default=Path("speed"), help="folder for the results")
    add("--document", type=Path, help="a Markdown file whose tables are replaced")
    add("--peer", action="store_true", help="napari-dinosim in turn, in the same run")
    add("--sizes", default="512,1036", help="sides of square images, with commas")
    add("--upscales", default="1,2,4", help="with commas; 2 and 4 on the least size")
    add("--precision", action="append", choices=("fp32", "half"), help="repeatable")
    add("--repeats", type=int, default=5, help="rounds; fewer with an upscale")
    add("--most-tiles", type=int, default=40, help="longer extractions are left out")
    add("--click-size", type=int, default=2048, help="side of the image clicked on")
    add("--peak-side", type=int, help="of the matrices that the peak is taken from")
    add("--profile", action="store_true", help="what the time goes into, by torch")
    add("--backbone", default=RANDOM, help="'random', or as dinoprompt takes it")
    add("--checkpoint", type=Path, help="its weights")
    add("--block", type=int, help="transformer block, else the last")
    add("--device", default="auto", help="auto, cuda, mps or cpu")
    add("--threads", type=int, help="for torch; else all cores")
    add("--large", action="append", metavar="NAME:SIDE", help="repeatable")
    add("--large-folder", type=Path, help="where planes for --only large stay")
    add("--data", type=Path, help="measuring data for --only half")
    add("--limit", type=int, default=4, help="planes of each set for --only half")
    return parser


def _number(word: str, kind: type[_Kind]) -> _Kind:
    try:
        return kind(word)
    except ValueError:
        msg = f"{word!r} is no number; give several with commas between."
        raise InputError(msg) from None


def _large(word: str) -> tuple[str, int]:
    name, _, side = word.rpartition(":")
    if name not in ("filterbank", RANDOM) or not side.isdigit() or int(side) < 256:
        msg = f"--large takes filterbank:SIDE or {RANDOM}:SIDE, not {word!r}."
        raise InputError(msg)
    return name, int(side)
