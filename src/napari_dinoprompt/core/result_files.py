"""Results as files: the TIFFs of one image, and tables as CSV."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.atomic import open_atomically
from napari_dinoprompt.core.image_files import write_tiff
from napari_dinoprompt.core.metrics import measure_extent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from napari_dinoprompt.core.segmentation import Segmentation

__all__ = ["COLUMNS", "result_paths", "summarise", "write_segmentation", "write_table"]

COLUMNS: dict[str, type] = {
    "image": str,
    "results": str,
    "class": str,
    "class_number": int,
    "threshold": float,
    "objects": int,
    "pixels": int,
    "area_fraction": float,
}
"""What the summary says of each image and class."""
_KINDS = ("similarity", "mask", "instances")


def result_paths(folder: Path, name: str) -> dict[str, Path]:
    """Name the files of one image's results.

    Parameters
    ----------
    folder : Path
    name : str
        Of the image, without suffix.

    Returns
    -------
    dict of str to Path
        By ``similarity``, ``mask`` and ``instances``.
    """
    return {kind: folder / f"{name}_{kind}.tif" for kind in _KINDS}


def write_segmentation(folder: Path, name: str, result: Segmentation) -> None:
    """Write similarity, mask and instances of one image.

    Parameters
    ----------
    folder : Path
    name : str
        Of the image, without suffix.
    result : Segmentation
        With several classes, the similarity has one page per class, in the order of
        the class numbers in the mask.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    paths = result_paths(folder, name)
    maps = [result.similarities.of(one) for one in result.similarities.names]
    write_tiff(paths["similarity"], maps[0] if len(maps) == 1 else np.stack(maps))
    write_tiff(paths["mask"], result.mask)
    write_tiff(paths["instances"], result.instances)


def summarise(path: Path, name: str, result: Segmentation) -> list[dict[str, Any]]:
    """Describe the mask of an image.

    Parameters
    ----------
    path : Path
    name : str
        Of its results.
    result : Segmentation

    Returns
    -------
    list of dict
        One per object class, with all `COLUMNS`.
    """
    rows = []
    for number, one in enumerate(result.similarities.names, start=1):
        extent = measure_extent(result.mask, result.instances, number)
        rows.append(
            {
                "image": str(path),
                "results": name,
                "class": one,
                "class_number": number,
                "threshold": result.thresholds[one],
                "objects": extent.objects,
                "pixels": extent.pixels,
                "area_fraction": extent.fraction,
            }
        )
    return rows


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows that have the same keys as CSV.

    Parameters
    ----------
    path : Path
    rows : sequence of mappings
        At least one; a number that is NaN becomes an empty cell.

    Raises
    ------
    OSError
        If it cannot be written; an older file of that name is kept.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow([_cell(value) for value in row.values()])
    with open_atomically(path) as file:
        file.write(text.getvalue().encode())


def _cell(value: object) -> object:
    return "" if isinstance(value, float) and math.isnan(value) else value
