"""Results as files: the TIFFs of one image, and tables as CSV."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from napari_dinoprompt.core.files.atomic import explaining_writes, open_atomically
from napari_dinoprompt.core.files.images import write_tiff
from napari_dinoprompt.core.files.tables import as_csv, csv_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_dinoprompt.core.segmentation import Segmentation
    from napari_dinoprompt.core.streaming.segmentation import LargeSegmentation

__all__ = [
    "append_table",
    "result_paths",
    "write_segmentation",
    "write_table",
]

_KINDS = ("similarity", "mask", "instances")


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
    write_tiff(paths["similarity"], result.maps if several else result.similarity)
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
