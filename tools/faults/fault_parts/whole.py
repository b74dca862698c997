"""Whether files are whole, by reading them to their end."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import imageio.v3 as iio
import tifffile

from napari_dinoprompt.core.errors import DinopromptError
from napari_dinoprompt.core.references.file import load_reference
from napari_dinoprompt.core.tiling.cache import read_tile

if TYPE_CHECKING:
    from pathlib import Path


def broken_files(folder: Path) -> list[str]:
    """Name the files in a folder and below that are only a part of what they were.

    Hidden files are how work in progress is kept, and are not looked at.
    """
    return [
        f"half a file: {path.name}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _hidden(path, folder) and not _is_whole(path)
    ]


def leftovers(folder: Path) -> list[str]:
    """Name what should have been removed: temporary files and scratch folders."""
    found = [*folder.rglob(".dinoprompt-*.tmp"), *folder.rglob("scratch-*-*-*")]
    return [f"left behind: {path.name}" for path in found if path.parent.is_dir()]


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _is_whole(path: Path) -> bool:
    try:
        return _read(path)
    except (ValueError, OSError, DinopromptError):
        return False


def _read(path: Path) -> bool:
    if path.name.endswith(".reference.safetensors"):
        load_reference(path)
    elif path.suffix == ".tif":
        tifffile.imread(path)
    elif path.suffix == ".png":
        iio.imread(path)
    elif path.suffix == ".pdf":
        return path.read_bytes().rstrip().endswith(b"%%EOF")
    elif path.suffix == ".json":
        json.loads(path.read_bytes())
    elif path.suffix == ".tile":
        read_tile(path, path.stem)
    elif path.suffix == ".csv":
        text = path.read_text()
        rows = list(csv.reader(text.splitlines()))
        return text.endswith("\n") and len({len(row) for row in rows}) == 1
    return True
