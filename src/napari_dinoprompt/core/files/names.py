"""Names that people give, as names of files on any system."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["clean_name", "free_name", "user_folder"]

_FORBIDDEN = re.compile(r'[/\\:*?"<>|]')
# What Windows keeps for devices, with or without a suffix.
_RESERVED = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE
)
# In bytes: file systems take 255, and a suffix and a number come behind.
_LONGEST = 180
_NAMELESS = "reference"


def user_folder(variable: str, name: str) -> Path:
    """Return a folder, which need not be there, of what the user keeps with us.

    It is where an environment variable says, or has a name in the user's data.
    """
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-dinoprompt", appauthor=False) / name


def clean_name(name: str) -> str:
    """Replace what a file cannot be called.

    Letters of all scripts and blanks stay; never empty, and never hidden.
    """
    composed = unicodedata.normalize("NFC", name)
    readable = "".join(
        " " if letter.isspace() else letter
        for letter in composed
        # Control and formatting characters, and halves of pairs.
        if letter.isspace() or unicodedata.category(letter)[0] != "C"
    )
    text = _FORBIDDEN.sub("-", readable).strip().lstrip(".").strip()
    text = text.encode()[:_LONGEST].decode(errors="ignore").rstrip(". ")
    if not text:
        return _NAMELESS
    return f"{text}_" if _RESERVED.fullmatch(text) else text


def free_name(name: str, taken: Iterable[str]) -> str:
    """Add a number to a name if it is taken.

    "nuclei", "nuclei 2", "nuclei 3" and so on; upper and lower case are one.
    """
    known = {_fold(one) for one in taken}
    free, number = name, 1
    while _fold(free) in known:
        number += 1
        free = f"{name} {number}"
    return free


def _fold(name: str) -> str:
    # File systems that tell neither case nor composed letters apart are common.
    return unicodedata.normalize("NFC", name.casefold())
