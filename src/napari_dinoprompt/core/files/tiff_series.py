"""The one image of a TIFF, and nothing of what the file only names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tifffile

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_shape", "only_series", "tiff_file"]


def tiff_file(path: Path) -> tifffile.TiffFile:
    """Open a TIFF alone: other files that it names, wherever they lie, stay closed.

    Of an image that is spread over several files, as OME-TIFF and Micro-Manager write
    them, this is the part in this file.

    To be closed.
    """
    return tifffile.TiffFile(path, _multifile=False, is_ndtiff=False, is_mmstack=False)


def only_series(file: tifffile.TiffFile, path: Path) -> tifffile.TiffPageSeries:
    """Return the image of a file.

    Of a pyramid that is the largest level; of a scanned slide the slide itself, not its
    label or thumbnail.
    """
    series = file.series
    if len(series) > 1 and series[0].name != "Baseline":
        shapes = ", ".join(str(tuple(one.shape)) for one in series[:4])
        msg = f"{path} holds {len(series)} images ({shapes}); one is needed."
        raise InputError(msg)
    return series[0]


def check_shape(path: Path, shape: tuple[int, ...], axes: int) -> None:
    """Refuse a damaged file whose description contradicts itself."""
    if len(shape) != axes:
        msg = f"The image {path} cannot be read: it does not hold what it declares."
        raise InputError(msg)
