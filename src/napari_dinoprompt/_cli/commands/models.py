"""The options of `dinoprompt models`."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["models"]


def models(
    get: Annotated[
        str | None,
        typer.Option(
            help="Download the weights of dinov2-small, -base, -large or -giant into "
            "the Hugging Face cache. Ctrl-C stops; the same command goes on.",
            metavar="NAME",
        ),
    ] = None,
) -> None:
    """List the backbones, where their weights are, and what runs on this machine.

    Nothing is downloaded without --get.
    """
    from napari_dinoprompt._cli.messages import results_console
    from napari_dinoprompt._cli.models import get_model, show_models

    if get is not None:
        get_model(get)
        return
    show_models(results_console())
