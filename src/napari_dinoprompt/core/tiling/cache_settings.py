"""Where features are kept on disk, and how many."""

from __future__ import annotations

import math
import os
from pathlib import Path

from napari_dinoprompt.core.errors import InputError

__all__ = [
    "DEFAULT_GIGABYTES",
    "FOLDER_VARIABLE",
    "LARGEST_GIGABYTES",
    "LIMIT_VARIABLE",
    "cache_limit",
    "default_cache_folder",
]

FOLDER_VARIABLE = "DINOPROMPT_CACHE"
"""Environment variable that names the folder of the cache."""
LIMIT_VARIABLE = "DINOPROMPT_CACHE_GB"
"""Environment variable that limits its size, in units of 10^9 bytes."""
DEFAULT_GIGABYTES = 10.0
"""The limit where nobody says otherwise; napari.yaml says the same."""
LARGEST_GIGABYTES = 100_000.0
"""What is more is a slip of the hand; napari.yaml says the same."""


def default_cache_folder() -> Path:
    """Return where the cache is: where the environment says, or in the user's cache.

    It need not be there.
    """
    chosen = os.environ.get(FOLDER_VARIABLE, "").strip()
    if not chosen:
        from platformdirs import user_cache_path

        return user_cache_path("napari-dinoprompt", appauthor=False) / "features"
    try:
        folder = Path(chosen).expanduser()
    except RuntimeError as error:
        msg = f"{FOLDER_VARIABLE} names the home of an unknown user: {chosen}."
        raise InputError(msg) from error
    if not folder.is_absolute():
        msg = (
            f"{FOLDER_VARIABLE} has to be a whole path, from the root on, and not "
            f"{chosen}: each working folder would have a cache of its own."
        )
        raise InputError(msg)
    if folder.exists() and not folder.is_dir():
        msg = f"{FOLDER_VARIABLE} has to name a folder, but {folder} is none."
        raise InputError(msg)
    return folder


def cache_limit(gigabytes: float | None = None) -> int:
    """Return how large the cache may become.

    In bytes; 0 if nothing is to be kept.
    """
    chosen = os.environ.get(LIMIT_VARIABLE, "").strip()
    if chosen:
        try:
            gigabytes = float(chosen)
        except ValueError:
            gigabytes = math.nan
    if gigabytes is None:
        gigabytes = DEFAULT_GIGABYTES
    if not 0 <= gigabytes <= LARGEST_GIGABYTES:
        where = f"{LIMIT_VARIABLE} is {chosen!r}" if chosen else f"It is {gigabytes}"
        msg = (
            "The disk space for kept features has to be a number of GB, up to "
            f"{LARGEST_GIGABYTES:.0f}, or 0 to keep none. {where}."
        )
        raise InputError(msg)
    return int(gigabytes * 1e9)
