"""Which images are meant by what was given: files, folders and patterns."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dinoprompt.core.batching.records import results_in
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.files.zarr import is_zarr

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["find_images"]

_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")


def find_images(given: Sequence[Path]) -> list[Path]:
    """List the images that files, folders and patterns stand for.

    Parameters
    ----------
    given : sequence of Path
        A folder stands for the images in it, unless it is a zarr, a pattern such as
        ``fakes/*.png`` for the files that match; both without results that a batch has
        written there. Anything else stands for itself, whether it is there or not.

    Returns
    -------
    list of Path
        In the order given, those of a folder or pattern by name.

    Raises
    ------
    InputError
        If a folder holds no images, or nothing matches a pattern.
    """
    return [path for one in given for path in _images_of(one)]


def _images_of(path: Path) -> list[Path]:
    if is_zarr(path):
        return [path]
    if path.is_dir():
        found = _no_results(
            one
            for one in path.iterdir()
            if one.suffix.lower() in _SUFFIXES or is_zarr(one)
        )
    elif glob.has_magic(str(path)) and not path.exists():
        # A shell has a limit for the length of a command, which thousands of files
        # reach: there the pattern is given in quotes.
        found = _no_results(map(Path, glob.glob(str(path))))
    else:
        return [path]
    if not found:
        msg = f"There are no images in {path}."
        raise InputError(msg)
    return found


def _no_results(paths: Iterable[Path]) -> list[Path]:
    found = sorted(paths)
    results = {
        result
        for folder in {path.parent for path in found}
        for result in results_in(folder)
    }
    return [path for path in found if path not in results]
