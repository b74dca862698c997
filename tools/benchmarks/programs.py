"""What the programs of this folder have in common: how they end, and options."""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from quality_parts.data import CLICKS, PLACED, find_data

from napari_dinoprompt.core.backbones.load import load_backbone
from napari_dinoprompt.core.errors import DinopromptError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_dinoprompt.core.backbones.base import Backbone


def exit_code(
    work: Callable[[Sequence[str] | None], object],
) -> Callable[..., int]:
    """Make a program's `main` of its work, which takes the words of the command line.

    Without words it takes those of the process. It returns 0, or 2 after one line that
    says what is wrong with what was asked for.
    """

    @functools.wraps(work)
    def main(words: Sequence[str] | None = None) -> int:
        try:
            work(words)
        except DinopromptError as error:
            print(error, file=sys.stderr)
            return 2
        return 0

    return main


def quality_parser(description: str | None, output: str) -> argparse.ArgumentParser:
    """Make the parser of a program that looks at the sample and the measuring data."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--backbone", default="filterbank", help="name, as dinoprompt takes it")
    add("--checkpoint", type=Path, help="its weights, else looked for as always")
    add("--block", type=int, help="transformer block, else the last")
    add("--data", type=Path, help="else DINOPROMPT_DATA, else ../shared/data")
    add("--sample-only", action="store_true", help="no measuring data are read")
    add("--placed", choices=PLACED, default=CLICKS, help="how prompts are placed")
    add("--output", type=Path, default=Path(output))
    return parser


def data_of(options: argparse.Namespace) -> Path | None:
    """Find the measuring data, unless only the sample is asked for."""
    return None if options.sample_only else find_data(options.data)


def backbone_of(options: argparse.Namespace) -> Backbone:
    """Load the backbone that is asked for; features are computed, never remembered."""
    return load_backbone(
        options.backbone,
        checkpoint=options.checkpoint,
        block=options.block,
        cache_gigabytes=0,
    )
