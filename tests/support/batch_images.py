"""Small images for batches, and a careful look at what a batch has written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import tifffile

if TYPE_CHECKING:
    from pathlib import Path


def write_images(folder: Path, picture: np.ndarray, count: int) -> list[Path]:
    """Write images of 80 x 90 pixels, each another one."""
    folder.mkdir()
    paths = [folder / f"field {number:02}.tif" for number in range(count)]
    for number, path in enumerate(paths):
        tifffile.imwrite(path, np.roll(picture[:80, :90], 7 * number, axis=1))
    return paths


def finished_images(output: Path) -> dict[str, int]:
    """Return when each finished image was finished, by its record."""
    return {
        path.name: path.stat().st_mtime_ns
        for path in output.glob("*_record.json")
        if "unfinished" not in json.loads(path.read_bytes())
    }


def differences(one: Path, other: Path) -> list[str]:
    """Name the files that are not in both folders with the same content."""
    names = {path.name for folder in (one, other) for path in folder.iterdir()}
    return sorted(
        name
        for name in names
        if not (one / name).exists()
        or not (other / name).exists()
        or (one / name).read_bytes() != (other / name).read_bytes()
    )
