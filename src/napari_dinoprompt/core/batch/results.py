"""Results as files: names, TIFFs, tables and the summary of a batch."""

from __future__ import annotations

import errno
import os
from collections import Counter
from typing import TYPE_CHECKING

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.atomic import (
    as_csv,
    csv_lines,
    explaining_writes,
    open_atomically,
)
from napari_dinoprompt.core.io.read import write_tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_dinoprompt.core.segmentation.large import LargeSegmentation
    from napari_dinoprompt.core.segmentation.segment import Segmentation


_KINDS = ("similarity", "mask", "instances")

_NAMERS: tuple[Callable[[Path], str], ...] = (
    lambda path: path.stem,
    lambda path: f"{path.parent.name}_{path.stem}",
    lambda path: f"{path.stem}_{path.suffix[1:]}",
    lambda path: f"{path.parent.name}_{path.stem}_{path.suffix[1:]}",
)


def result_paths(folder: Path, name: str) -> dict[str, Path]:
    """Name the files of one image's results.

    By ``similarity``, ``mask`` and ``instances``.
    """
    return {kind: folder / f"{name}_{kind}.tif" for kind in _KINDS}


def write_segmentation(
    folder: Path, name: str, result: Segmentation | LargeSegmentation
) -> None:
    """Write similarity, mask and instances of one image."""
    paths = result_paths(folder, name)
    several = len(result.names) > 1
    maps = result.maps if several else result.similarity
    write_tiff(paths["similarity"], maps, f"similarity ({result.kind})")
    write_tiff(paths["mask"], result.mask)
    write_tiff(paths["instances"], result.instances)


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows that have the same keys as CSV."""
    with open_atomically(path) as file:
        file.write(as_csv(rows))


def append_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows to a table of `write_table`."""
    lines = csv_lines([row.values() for row in rows])
    # Unbuffered: the lines arrive in one piece.
    with explaining_writes(path), path.open("ab", buffering=0) as file:
        end = file.tell()
        if file.write(lines) != len(lines):
            # What a disk does that has room for some of them.
            file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def name_results(images: Sequence[Path], folder: Path) -> dict[Path, str]:
    """Give each image a name for its results.

    The stem where it is the only one of its kind. Images of the same stem, as the
    real and the fake stain of one field often are, get their folder's name in front
    or their suffix behind.

    In the order given.
    """
    given = {path.resolve(): path for path in images}
    names = _tell_apart(list(given))
    target = folder.resolve()
    for path, name in names.items():
        for result in result_paths(target, name).values():
            if result in given:
                raise InputError(
                    f"The results of {given[path]} would overwrite {given[result]}; "
                    "choose another folder for them."
                )
    return {given[path]: name for path, name in names.items()}


def _tell_apart(paths: Sequence[Path]) -> dict[Path, str]:
    stems = Counter(_fold(path.stem) for path in paths)
    for namer in _NAMERS:
        names = {
            path: path.stem if stems[_fold(path.stem)] == 1 else namer(path)
            for path in paths
        }
        if len(set(map(_fold, names.values()))) == len(paths):
            return names
    double = next(path for path in paths if stems[_fold(path.stem)] > 1)
    raise InputError(
        f"Several images are called {double.name!r} and so are their folders; "
        "segment them one after the other, each into a folder of its own."
    )


def _fold(name: str) -> str:
    """Some file systems do not tell upper case from lower."""
    return name.casefold()
