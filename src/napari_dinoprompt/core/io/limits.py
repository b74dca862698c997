"""Whether there is room for what a file declares, asked before any of it is taken."""

from __future__ import annotations

import shutil
import tempfile
from typing import TYPE_CHECKING

import psutil

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def check_fits(path: Path, needed: int, *, on_disk: bool = False) -> None:
    """Refuse an image that would not fit once it is unpacked.

    A small file may declare any number of pixels.
    """
    if on_disk:
        free = shutil.disk_usage(tempfile.gettempdir()).free
    else:
        free = psutil.virtual_memory().available
    if needed > free:
        where = "in the temporary folder" if on_disk else "of memory"
        raise InputError(
            f"The image {path} needs {needed / 1e9:.1f} GB {where} and "
            f"{free / 1e9:.1f} GB are free. Save it as a tiled TIFF or a zarr folder, "
            "which are read part by part, or take a part of it."
        )


def check_regular(path: Path) -> None:
    """Refuse a pipe or a device, of which nobody knows where it ends."""
    if not path.is_file():
        msg = f"{path} is no file but a pipe or a device; save it as a file."
        raise InputError(msg)


def check_size(path: Path, most: int, what: str) -> None:
    """Refuse a file that is far larger than any of its kind."""
    size = path.stat().st_size
    if size > most:
        raise InputError(f"With {size / 1e6:.0f} MB {path} is too large to be {what}.")
