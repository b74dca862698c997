"""Stacks in files: read plane by plane, and their results written as TIFF stacks."""

from __future__ import annotations

import glob
import hashlib
import math
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.lazy_plane import read_part
from napari_dinoprompt.core.images.plane import check_kind, describe_odd_planes
from napari_dinoprompt.core.io.atomic import (
    explaining_writes,
    open_atomically,
    software_version,
)
from napari_dinoprompt.core.io.pick import EVERYTHING, Pick
from napari_dinoprompt.core.io.read import open_array
from napari_dinoprompt.core.io.spacing import Spacing, read_spacing
from napari_dinoprompt.core.io.tiff import TIFF_MAGIC, tiff_file, with_colours_of
from napari_dinoprompt.core.progress import Notice, Progress
from napari_dinoprompt.core.segmentation.stack import (
    Stack,
    describe_settings,
    follow_stack,
)

from .objects import MASKS_ONLY, BatchFiles
from .records import Job, open_record, result_paths, summarise

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation.segment import SegmentOptions
    from napari_dinoprompt.core.segmentation.stack_results import StackSegmentation


# Above this, offsets of a classic TIFF may not reach.
_CLASSIC_BYTES = 3_900_000_000


@dataclass(frozen=True, eq=False)
class StackFile:
    """A stack in a file.

    Attributes
    ----------
    stack : Stack
        Read from the file; z comes last of the axes before the plane.
    axes : str
        Of the results, one letter each as tifffile has them, such as ``TZYX``.
    spacing : (float, float, float) or None
        Distance of the voxels along z, y and x in micrometres, if the file says so.
    """

    stack: Stack
    axes: str
    spacing: Spacing | None

    @property
    def deep(self) -> bool:
        """Whether the last axis before the plane can be depth."""
        return self.axes[-3] not in "TC"


def is_stack_file(path: Path, pick: Pick = EVERYTHING) -> bool:
    """Tell whether a file is a TIFF or a zarr that holds a stack of planes.

    False too for what is no image or is damaged: reading it says so.
    """
    # Decoders raise whatever they stumble over in a damaged file.
    with suppress(Exception):
        if path.is_dir() or pick != EVERYTHING:
            array, axes = open_array(path, pick, in_memory=0)
            return _is_stack(axes, array.shape)
        if not path.is_file():
            return False
        with path.open("rb") as file:
            if file.read(4) not in TIFF_MAGIC:
                return False
        # No pixel is read for this.
        with tiff_file(path) as tiff:
            series = tiff.series
            axes, shape = str(series[0].axes), tuple(series[0].shape)
            axes = with_colours_of(axes, tiff, shape)
            return len(series) == 1 and _is_stack(axes, shape)
    return False


def _is_stack(axes: str, shape: tuple[int, ...]) -> bool:
    leading = [n for axis, n in zip(axes, shape, strict=True) if axis not in "YXS"]
    return "Y" in axes and "X" in axes and math.prod(leading) > 1


def open_stack_file(path: Path, pick: Pick = EVERYTHING) -> StackFile:
    """Open a TIFF or zarr of several planes, which are read when they are asked for.

    An InputError if it is none, or its planes cannot be used.
    """
    array, axes = open_array(path, pick)
    shape = tuple(int(length) for length in array.shape)
    if not _is_stack(axes, shape):
        raise InputError(f"{path} holds no stack of planes.")
    lengths = dict(zip(axes, shape, strict=True))
    check_kind(
        tuple(lengths[axis] for axis in "YXS" if axis in lengths), np.dtype(array.dtype)
    )
    ahead = [at for at, axis in enumerate(axes) if axis not in "YXS"]
    # Of axes of one there may be many, and they mean nothing; z comes last.
    ahead = [at for at in ahead if shape[at] > 1]
    ahead.sort(key=lambda at: axes[at] == "Z")
    return StackFile(
        Stack(
            tuple(shape[at] for at in ahead),
            (lengths["Y"], lengths["X"]),
            partial(_read, array, axes, ahead),
        ),
        "".join(axes[at] for at in ahead) + "YX",
        read_spacing(path, pick.series or 0),
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


def iter_segment_stack_file(
    path: Path,
    shown: str,
    folder: Path,
    name: str,
    reference: Reference,
    backbone: Backbone,
    options: SegmentOptions,
    *,
    like: ArrayLike | None = None,
    objects: BatchFiles = MASKS_ONLY,
) -> Generator[Progress | Notice, None, list[dict[str, Any]]]:
    """Segment a stack and write similarity, mask and instances as stacks.

    Planes that are finished are kept in a hidden folder beside the results until all
    are: the next run goes on from there, whatever stopped the last.

    The file at `path` is called `shown` in the summary, and its results `name`. Objects
    that do not go through the planes are numbered on from plane to plane. Returns the
    stack's part of the summary, one row for each object class. InputError if it cannot
    be used, or results cannot be written.
    """
    source = open_stack_file(path, objects.pick)
    if options.objects_3d and not source.deep:
        raise InputError(
            f"{path} has no depth (axes {source.axes}), so its objects cannot go "
            "through the planes; leave out --objects-3d."
        )
    if objects.given is not None:
        raise InputError(
            f"{path} is a stack; objects can be given for single planes only. Save its "
            "planes as files of their own."
        )
    spacing = options.spacing or source.spacing
    if options.objects_3d and options.spacing is None:
        yield Notice(f"{shown}: {_describe_spacing(source.spacing)}")
    odd = describe_odd_planes(shown, source.stack.lengths, source.stack.size)
    if odd:
        yield Notice(odd)
    options = replace(options, spacing=spacing)
    settings = describe_settings(reference, backbone, options, like)
    job = Job.of(path, settings)
    # Another stack or other settings would be another folder; by the text of a job, so
    # that its class and fields are called what they are called.
    key = hashlib.sha256(str(job).encode()).hexdigest()[:16]
    begun = folder / f".{name}_{key}_planes.zarr"
    for stale in folder.glob(f".{glob.escape(name)}_{'[0-9a-f]' * 16}_planes.zarr"):
        if stale != begun:
            shutil.rmtree(stale)
    with explaining_writes(folder):
        folder.mkdir(parents=True, exist_ok=True)
    found = yield from follow_stack(
        source.stack, reference, backbone, options, store=begun, like=like
    )
    rows = summarise(shown, name, found)
    open_record(folder, name)
    shown = f"similarity ({options.map})"
    _write_results(folder, name, found, replace(source, spacing=spacing), shown)
    objects.export_stack(folder, name, found, source.stack, spacing)
    shutil.rmtree(begun)
    return rows


def _describe_spacing(spacing: Spacing | None) -> str:
    """Say how far voxels are taken to be apart, for objects through the planes."""
    if spacing is None:
        return (
            "the file does not say how far its voxels are apart; they are taken for "
            "cubes. Give --pixel-size Z,Y,X if they are none."
        )
    z, y, x = (f"{step:g}" for step in spacing)
    return f"voxels are {z} × {y} × {x} µm, as the file says."


def _write_results(
    folder: Path, name: str, found: StackSegmentation, source: StackFile, shown: str
) -> None:
    """Write all results of a stack; `shown` names its similarity maps."""
    axes, maps = source.axes, tuple(found.similarities.values())
    # A letter that is free, for the classes.
    letter = "" if len(maps) == 1 else "C" if "C" not in axes else "Q"
    largest = max(int(np.max(found.instances[at])) for at in source.stack.indices())
    # More programs open 16 bits.
    numbers = np.uint16 if largest <= np.iinfo(np.uint16).max else np.int32
    paths = result_paths(folder, name)
    for kind, arrays, letters, dtype, title in (
        ("similarity", maps, letter + axes, np.float32, shown),
        ("mask", (found.mask,), axes, np.uint8, "mask"),
        ("instances", (found.instances,), axes, numbers, "instances"),
    ):
        write_stack(paths[kind], arrays, letters, dtype, source.spacing, title)


def write_stack(
    path: Path,
    arrays: Sequence[Any],
    axes: str,
    dtype: DTypeLike,
    spacing: tuple[float, float, float] | None,
    name: str = "",
) -> None:
    """Write (..., H, W) arrays plane by plane into one compressed TIFF.

    With more than one, they are the first axis. `axes` has one letter for each, written
    as OME metadata where OME knows them; `spacing` is that of the voxels along z, y and
    x, in micrometres; a name goes with them.
    """
    stack = tuple(int(n) for n in arrays[0].shape)
    shape = stack if len(arrays) == 1 else (len(arrays), *stack)
    planes = (
        np.ascontiguousarray(array[index], dtype=dtype)
        for array in arrays
        for index in np.ndindex(stack[:-2])
    )
    ome = set(axes) <= set("TCZYX") and len(set(axes)) == len(axes)
    metadata: dict[str, Any] = {"axes": axes, **({"Name": name} if name else {})}
    if ome and spacing is not None:
        for axis, step in zip("ZYX", spacing, strict=True):
            metadata[f"PhysicalSize{axis}"] = step
            metadata[f"PhysicalSize{axis}Unit"] = "µm"
    size = int(np.prod(shape, dtype=np.float64)) * np.dtype(dtype).itemsize
    with open_atomically(path) as file:
        tifffile.imwrite(
            file,
            planes,
            shape=shape,
            dtype=np.dtype(dtype),
            ome=ome,
            bigtiff=size > _CLASSIC_BYTES,
            photometric="minisblack",
            compression="zlib",
            metadata=metadata,
            software=f"napari-dinoprompt {software_version()}",
        )
