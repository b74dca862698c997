"""What is asked for on the command line."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dinoprompt.core.errors import InputError
from quality_parts.data import ALL_SETS
from quality_parts.protocols import AUTO, PROTOCOLS
from quality_parts.variants import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Settings:
    """The options of the program; the help of each says what it is.

    Attributes
    ----------
    backbone, checkpoint, block, device, precision
        As `load_backbone` takes them.
    upscale : float, "auto" or None
    variant : str or None
    data : Path or None
    output : Path
    sets, protocols, methods : tuple of str
    prompts : tuple of int
    peer : bool
    limit : int or None
    draws : int or None
    """

    backbone: str
    checkpoint: Path | None
    block: int | None
    device: str
    precision: str
    upscale: float | str | None
    variant: str | None
    data: Path | None
    output: Path
    sets: tuple[str, ...]
    protocols: tuple[str, ...]
    methods: tuple[str, ...]
    prompts: tuple[int, ...]
    peer: bool
    limit: int | None
    draws: int | None


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
        If a set does not exist or a number is out of range.
    """
    options = _parser(description).parse_args(words)
    settings = Settings(
        backbone=options.backbone,
        checkpoint=options.checkpoint,
        block=options.block,
        device=options.device,
        precision=options.precision,
        upscale=options.upscale,
        variant=options.variant,
        data=options.data,
        output=options.output,
        sets=_names(options.sets) or ALL_SETS,
        protocols=tuple(options.protocol or PROTOCOLS),
        methods=tuple(options.method or ("product", "plain", "centred")),
        prompts=_numbers(options.prompts),
        peer=options.peer,
        limit=options.limit,
        draws=options.draws,
    )
    for name in settings.sets:
        if name not in ALL_SETS:
            msg = f"Unknown set {name!r}; there are {', '.join(ALL_SETS)}."
            raise InputError(msg)
    if (settings.draws is not None and settings.draws < 1) or (
        settings.limit is not None and settings.limit < 1
    ):
        msg = "--draws and --limit must be 1 or more."
        raise InputError(msg)
    return settings


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--backbone", default="filterbank", help="name, as dinoprompt takes it")
    add("--checkpoint", type=Path, help="its weights, else looked for as always")
    add("--block", type=int, help="transformer block, else the last")
    add("--device", default="auto", help="auto, cuda, mps or cpu")
    add("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    add("--upscale", type=_upscale, help="of all planes, else as the protocol says")
    add("--variant", choices=VARIANTS, help="another way to features")
    add("--data", type=Path, help="else DINOPROMPT_DATA, else ../shared/data")
    add("--output", type=Path, default=Path("quality"), help="folder, used again")
    add("--protocol", action="append", choices=PROTOCOLS, help="repeatable")
    add("--method", action="append", help="repeatable; else product, plain, centred")
    add("--peer", action="store_true", help="napari-dinosim on the same tokens, too")
    add("--sets", help="comma-separated, else all: " + ", ".join(ALL_SETS))
    add("--prompts", default="1,3,5,10", help="numbers of prompts of the self protocol")
    add("--limit", type=int, help="so many planes of each set, spread over it")
    add("--draws", type=int, help="the first so many draws of prompts, else all")
    return parser


def _upscale(text: str) -> float | str:
    return text if text == AUTO else float(text)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(re.findall(r"[^,\s]+", text or ""))


def _numbers(text: str) -> tuple[int, ...]:
    words = _names(text)
    if not words or not all(word.isdecimal() and int(word) for word in words):
        msg = f"--prompts takes numbers such as 1,3,5,10, not {text!r}."
        raise InputError(msg)
    return tuple(sorted({int(word) for word in words}))
