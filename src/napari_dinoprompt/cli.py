"""The command `dinoprompt`: the jobs of the dock without a viewer.

A command is a file of `_cli`, and `core` computes. Nothing heavy is imported before a
command runs: the help has to be there at once.
"""

from __future__ import annotations

import io
import logging
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from napari_dinoprompt._cli import (
    cache,
    compare,
    demo,
    models,
    reference,
    segment,
    study,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


_EXAMPLES = """Examples:

dinoprompt demo --no-viewer

dinoprompt reference real.tif --points prompts.csv --output nuclei

dinoprompt segment real.tif fake.tif --reference nuclei.reference.safetensors \
--output results --min-size 20 --fill-holes --split

dinoprompt compare real.tif fake.tif --reference nuclei.reference.safetensors \
--output comparison --min-size 20 --fill-holes --split

Prompts are points that napari saves from a Points layer (File > Save Selected \
Layers), with a column class for more than one kind: object, background or any name."""

# Whichever typer: older ones take it from click, newer ones carry their own.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="dinoprompt",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Place a few prompts on an image; everything that looks like them is "
    "segmented, with no training. The prompts become a reference that is used again "
    "on other images, above all on virtually stained ones.",
    epilog=_EXAMPLES,
)


def _show_version(asked: bool) -> None:
    if asked:
        from napari_dinoprompt.core.io.atomic import software_version

        print(f"dinoprompt {software_version()}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def _examples(module: ModuleType) -> str | None:
    """Take from the text above a module, behind its first line, how it is used."""
    text = (module.__doc__ or "").partition("\n\n")[2].strip()
    return f"Examples:\n\n{text}" if text else None


app.command()(demo.demo)
app.command()(models.models)
app.command()(cache.cache)
app.command(epilog=_examples(reference))(reference.reference)
app.command(epilog=_examples(segment))(segment.segment)
app.command(epilog=_examples(compare))(compare.compare)
app.command(epilog=_examples(study))(study.study)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        What was typed after ``dinoprompt``; from `sys.argv` by default.

    Raises
    ------
    SystemExit
        Always: 0 if all is done, 2 after wrong use or bad input, 130 if the user
        stopped it.
    """
    # What readers have to say about damaged files is in our own message.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    for stream in (sys.stdout, sys.stderr):
        # Where a terminal knows less letters than there are, a few are lost, not all.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = app(
            args=None if arguments is None else list(arguments),
            prog_name="dinoprompt",
            standalone_mode=False,
        )
    except Exception as error:
        reason = _explain(error)
        if reason is None:
            raise
        from napari_dinoprompt._cli.console import say

        say(reason)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> str | None:
    if isinstance(error, _UsageError):
        text = str(error.format_message())  # type: ignore[attr-defined]
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "dinoprompt"
        return f"{text.rstrip('.')}. See '{command} --help'."
    from napari_dinoprompt.core.errors import explain

    return explain(error)


if __name__ == "__main__":
    main()
