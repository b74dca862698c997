"""The command `dinoprompt`: the jobs of the dock without a viewer.

`_cli/commands` reads options, `_cli` does the work, and `core` computes. Nothing heavy
is imported before a command runs: the help has to be there at once.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from napari_dinoprompt._cli.commands.cache import cache
from napari_dinoprompt._cli.commands.compare import compare
from napari_dinoprompt._cli.commands.demo import demo
from napari_dinoprompt._cli.commands.models import models
from napari_dinoprompt._cli.commands.reference import reference
from napari_dinoprompt._cli.commands.segment import segment
from napari_dinoprompt._cli.commands.study import study
from napari_dinoprompt._cli.examples import (
    COMPARE_EXAMPLES,
    EXAMPLES,
    REFERENCE_EXAMPLES,
    SEGMENT_EXAMPLES,
    STUDY_EXAMPLES,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main"]

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
    epilog=EXAMPLES,
)


def _show_version(asked: bool) -> None:
    if asked:
        from napari_dinoprompt.core.version import software_version

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


app.command()(demo)
app.command()(models)
app.command()(cache)
app.command(epilog=REFERENCE_EXAMPLES)(reference)
app.command(epilog=SEGMENT_EXAMPLES)(segment)
app.command(epilog=COMPARE_EXAMPLES)(compare)
app.command(epilog=STUDY_EXAMPLES)(study)


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
        from napari_dinoprompt._cli.messages import say

        say(reason)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> str | None:
    if isinstance(error, _UsageError):
        text = str(error.format_message())  # type: ignore[attr-defined]
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "dinoprompt"
        return f"{text.rstrip('.')}. See '{command} --help'."
    from napari_dinoprompt.core.explaining import explain

    return explain(error)


if __name__ == "__main__":
    main()
