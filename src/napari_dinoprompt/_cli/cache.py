"""`dinoprompt cache`: what is kept of images that were seen before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .console import tell

if TYPE_CHECKING:
    from napari_dinoprompt.core.tiling.cache import TileCache


def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove all features that are kept.")
    ] = False,
) -> None:
    """Show what is kept on disk of images that were seen before, and how much.

    Features of networks are kept, so that an image opens at once the second time.
    What was not used for longest makes room for what is new.
    """
    from napari_dinoprompt.core.backbones.weights import describe_size
    from napari_dinoprompt.core.tiling.cache import (
        FOLDER_VARIABLE,
        LIMIT_VARIABLE,
        TileCache,
        cache_limit,
        default_cache_folder,
    )

    kept = TileCache(default_cache_folder(), cache_limit())
    if clear:
        removed = _contents(kept)
        kept.clear()
        tell(f"Removed from {kept.folder}: {removed}")
        return
    limit = describe_size(kept.limit) if kept.limit else "0, nothing new is kept"
    tell(f"folder: {kept.folder} ({FOLDER_VARIABLE} names another one)")
    tell(f"kept:   {_contents(kept)}")
    tell(
        f"limit:  {limit} ({LIMIT_VARIABLE} sets another one; that of the dock is in "
        "napari's preferences)"
    )


def _contents(kept: TileCache) -> str:
    from napari_dinoprompt.core.backbones.weights import describe_size

    count = len(kept)
    tiles = "1 tile" if count == 1 else f"{count} tiles"
    return f"{tiles}, {describe_size(kept.size())}"
