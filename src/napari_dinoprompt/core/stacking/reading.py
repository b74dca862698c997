"""Stacks in files: their axes, how far their planes are apart, plane by plane."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.files.images import open_array
from napari_dinoprompt.core.files.tiff_series import tiff_file
from napari_dinoprompt.core.lazy_planes import read_part
from napari_dinoprompt.core.planes import check_kind
from napari_dinoprompt.core.stacking.stacks import Stack

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex

__all__ = ["StackFile", "is_stack_file", "open_stack_file"]

# Little and big endian, classic and BigTIFF. The name of a file may lie.
_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
# Micrometres in what ImageJ calls its unit.
_UNITS = {"micron": 1.0, "um": 1.0, "µm": 1.0, "\\u00B5m": 1.0, "nm": 1e-3, "mm": 1e3}


@dataclass(frozen=True, eq=False)
class StackFile:
    """A stack in a file.

    Attributes
    ----------
    path : Path
    stack : Stack
        Read from the file; z comes last of the axes before the plane.
    axes : str
        Of the results, one letter each as tifffile has them, such as ``TZYX``.
    spacing : (float, float, float) or None
        Distance of the voxels along z, y and x in one unit, if the file says so.
    """

    path: Path
    stack: Stack
    axes: str
    spacing: tuple[float, float, float] | None

    @property
    def deep(self) -> bool:
        """Whether the last axis before the plane can be depth."""
        return self.axes[-3] not in "TC"


def is_stack_file(path: Path) -> bool:
    """Tell whether a file is a TIFF or a zarr that holds a stack of planes.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bool
        False too for what is no image or is damaged: reading it says so.
    """
    # Decoders raise whatever they stumble over in a damaged file.
    with suppress(Exception):
        if path.is_dir():
            array, axes = open_array(path)
            return _is_stack(axes, array.shape)
        with path.open("rb") as file:
            if file.read(4) not in _MAGIC:
                return False
        # No pixel is read for this.
        with tiff_file(path) as tiff:
            series = tiff.series
            return len(series) == 1 and _is_stack(series[0].axes, series[0].shape)
    return False


def _is_stack(axes: str, shape: tuple[int, ...]) -> bool:
    leading = [n for axis, n in zip(axes, shape, strict=True) if axis not in "YXS"]
    return "Y" in axes and "X" in axes and math.prod(leading) > 1


def open_stack_file(path: Path) -> StackFile:
    """Open a stack; its planes are read when they are asked for.

    Parameters
    ----------
    path : Path
        A TIFF or zarr with more than one plane.

    Returns
    -------
    StackFile

    Raises
    ------
    InputError
        If it is none, or its planes cannot be used.
    """
    array, axes = open_array(path)
    shape = tuple(int(length) for length in array.shape)
    if not _is_stack(axes, shape):
        msg = f"{path} holds no stack of planes."
        raise InputError(msg)
    lengths = dict(zip(axes, shape, strict=True))
    check_kind(
        tuple(lengths[axis] for axis in "YXS" if axis in lengths), np.dtype(array.dtype)
    )
    ahead = [at for at, axis in enumerate(axes) if axis not in "YXS"]
    # Of axes of one there may be many, and they mean nothing; z comes last.
    ahead = [at for at in ahead if shape[at] > 1]
    ahead.sort(key=lambda at: axes[at] == "Z")
    return StackFile(
        path,
        Stack(
            tuple(shape[at] for at in ahead),
            (lengths["Y"], lengths["X"]),
            partial(_read, array, axes, ahead),
        ),
        "".join(axes[at] for at in ahead) + "YX",
        _spacing_of(path),
    )


def _read(
    array: Any, axes: str, ahead: list[int], index: PlaneIndex
) -> NDArray[np.generic]:
    key: list[int | slice] = [slice(None) if axis in "YXS" else 0 for axis in axes]
    for at, where in zip(ahead, index, strict=True):
        key[at] = where
    plane = read_part(array, tuple(key))
    kept = "".join(axis for axis in axes if axis in "YXS")
    # Colours may be stored one after the other.
    return np.moveaxis(plane, kept.index("S"), -1) if "S" in kept else plane


def _spacing_of(path: Path) -> tuple[float, float, float] | None:
    """Read how far voxels are apart, where OME or ImageJ has written it."""
    # Metadata is written by many programs, and is only a convenience here.
    with suppress(Exception), tiff_file(path) as tiff:
        found = _ome_spacing(tiff) if tiff.is_ome else _imagej_spacing(tiff)
        if found is not None and all(math.isfinite(one) and one > 0 for one in found):
            return found
    return None


def _ome_spacing(tiff: tifffile.TiffFile) -> tuple[float, float, float] | None:
    image = tifffile.xml2dict(tiff.ome_metadata or "")["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    units = [pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX"]
    z, y, x = (
        float(pixels[f"PhysicalSize{axis}"]) * _UNITS.get(unit, 1.0)
        for axis, unit in zip("ZYX", units, strict=True)
    )
    return z, y, x


def _imagej_spacing(tiff: tifffile.TiffFile) -> tuple[float, float, float] | None:
    said = tiff.imagej_metadata or {}
    if "spacing" not in said:
        return None
    tags = tiff.pages.first.tags
    steps = []
    for name in ("YResolution", "XResolution"):
        pixels, units = tags[name].value
        steps.append(units / pixels)
    return float(said["spacing"]), steps[0], steps[1]
