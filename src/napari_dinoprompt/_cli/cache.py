"""`dinoprompt cache`: what is kept of images that were seen before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt.core.tiling.cache import TileCache
from napari_dinoprompt.core.tiling.cache_settings import (
    FOLDER_VARIABLE,
    LIMIT_VARIABLE,
    cache_limit,
    default_cache_folder,
)
from napari_dinoprompt.core.weights.search import describe_size

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["clear_cache", "show_cache"]


def show_cache(console: Console) -> None:
    """Print where features are kept, how many, and how many there may be.

    Raises
    ------
    InputError
        If the environment names no folder or no size.
    OSError
        If the folder cannot be read.
    """
    cache = TileCache(default_cache_folder(), cache_limit())
    limit = describe_size(cache.limit) if cache.limit else "0, nothing new is kept"
    for line in (
        f"folder: {cache.folder} ({FOLDER_VARIABLE} names another one)",
        f"kept:   {_contents(cache)}",
        f"limit:  {limit} ({LIMIT_VARIABLE} sets another one; that of the dock is in "
        "napari's preferences)",
    ):
        console.print(line, soft_wrap=True)


def clear_cache(console: Console) -> None:
    """Remove all that is kept, and tell how much it was.

    Raises
    ------
    InputError
        If the environment names no folder or no size.
    OSError
        If a file cannot be removed.
    """
    cache = TileCache(default_cache_folder(), cache_limit())
    removed = _contents(cache)
    cache.clear()
    console.print(f"Removed from {cache.folder}: {removed}", soft_wrap=True)


def _contents(cache: TileCache) -> str:
    count = len(cache)
    tiles = "1 tile" if count == 1 else f"{count} tiles"
    return f"{tiles}, {describe_size(cache.size())}"
