"""The options of `dinoprompt cache`."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["cache"]


def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove all features that are kept.")
    ] = False,
) -> None:
    """Show what is kept on disk of images that were seen before, and how much.

    Features of networks are kept, so that an image opens at once the second time.
    What was not used for longest makes room for what is new.
    """
    from napari_dinoprompt._cli.cache import clear_cache, show_cache
    from napari_dinoprompt._cli.messages import results_console

    if clear:
        clear_cache(results_console())
    else:
        show_cache(results_console())
