"""A reference applied to a stack in a file: results as TIFF stacks."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_dinoprompt.core.batching.records import Job, describe_settings, open_record
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.files.atomic import explaining_writes, open_atomically
from napari_dinoprompt.core.files.results import result_paths
from napari_dinoprompt.core.stacking.reading import open_stack_file
from napari_dinoprompt.core.stacking.segmentation import follow_stack
from napari_dinoprompt.core.version import software_version

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation import SegmentOptions
    from napari_dinoprompt.core.stacking.reading import StackFile
    from napari_dinoprompt.core.stacking.results import StackSegmentation

__all__ = ["iter_segment_stack_file", "write_stack"]

# Above this, offsets of a classic TIFF may not reach.
_CLASSIC_BYTES = 3_900_000_000


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
) -> Generator[Progress | Notice, None, list[dict[str, Any]]]:
    """Segment a stack and write similarity, mask and instances as stacks.

    Planes that are finished are kept in a hidden folder beside the results until all
    are: the next run goes on from there, whatever stopped the last.

    Parameters
    ----------
    path : Path
        A TIFF stack.
    shown : str
        What it is called in the summary.
    folder : Path
        For the results.
    name : str
        Of the results.
    reference : Reference
    backbone : Backbone
        The one of the reference.
    options : SegmentOptions
        Objects that do not go through the planes are numbered on from plane to plane.
    like : (h, w) or (h, w, 3 or 4) array_like, optional
        As `segment_stack`.

    Yields
    ------
    Progress

    Returns
    -------
    list of dict
        The stack's part of the summary: figures of the whole stack, one row for each
        object class.

    Raises
    ------
    InputError
        If the stack cannot be used, or results cannot be written.
    """
    source = open_stack_file(path)
    if options.objects_3d and not source.deep:
        msg = (
            f"{path} has no depth (axes {source.axes}), so its objects cannot go "
            "through the planes; leave out --objects-3d."
        )
        raise InputError(msg)
    spacing = options.spacing or source.spacing
    options = replace(options, spacing=spacing)
    settings = describe_settings(reference, backbone, options, like)
    job = Job.of(path, settings)
    # Another stack or other settings would be another folder.
    key = hashlib.sha256(str(job).encode()).hexdigest()[:16]
    begun = folder / f".{name}_{key}_planes.zarr"
    for stale in folder.glob(f".{_escape(name)}_{'[0-9a-f]' * 16}_planes.zarr"):
        if stale != begun:
            shutil.rmtree(stale)
    with explaining_writes(folder):
        folder.mkdir(parents=True, exist_ok=True)
    found = yield from follow_stack(
        source.stack,
        reference,
        backbone,
        options,
        store=begun,
        like=like,
    )
    rows = _summarise(found, source, shown, name)
    open_record(folder, name)
    _write_results(folder, name, found, replace(source, spacing=spacing))
    shutil.rmtree(begun)
    return rows


def _escape(name: str) -> str:
    return "".join(f"[{one}]" if one in "*?[" else one for one in name)


def _write_results(
    folder: Path, name: str, found: StackSegmentation, source: StackFile
) -> None:
    paths = result_paths(folder, name)
    maps = tuple(found.similarities.values())
    axes, lengths = source.axes, source.stack.lengths
    if len(maps) == 1:
        write_stack(
            paths["similarity"], maps, axes, lengths, np.float32, source.spacing
        )
    else:
        # A letter that is free, for the classes.
        letter = "C" if "C" not in axes else "Q"
        write_stack(
            paths["similarity"],
            maps,
            letter + axes,
            lengths,
            np.float32,
            source.spacing,
        )
    largest = max(int(np.max(found.instances[index])) for index in np.ndindex(lengths))
    # More programs open 16 bits.
    dtype = np.uint16 if largest <= np.iinfo(np.uint16).max else np.int32
    write_stack(paths["mask"], (found.mask,), axes, lengths, np.uint8, source.spacing)
    write_stack(
        paths["instances"], (found.instances,), axes, lengths, dtype, source.spacing
    )


def write_stack(
    path: Path,
    arrays: Sequence[Any],
    axes: str,
    lengths: tuple[int, ...],
    dtype: DTypeLike,
    spacing: tuple[float, float, float] | None,
) -> None:
    """Write stacks plane by plane into one compressed TIFF.

    Parameters
    ----------
    path : Path
    arrays : sequence of (..., H, W) arrays
        With more than one, they are the first axis.
    axes : str
        One letter for each axis. Written as OME metadata where OME knows them.
    lengths : tuple of int
        Of the axes before the plane, of one array.
    dtype : dtype
    spacing : (float, float, float) or None
        Of the voxels along z, y and x, in micrometres.

    Raises
    ------
    InputError
        If it cannot be written; an older file of that name is kept.
    """
    shape = tuple(int(n) for n in arrays[0].shape)
    if len(arrays) > 1:
        shape = (len(arrays), *shape)
    ome = set(axes) <= set("TCZYX") and len(set(axes)) == len(axes)
    metadata: dict[str, Any] = {"axes": axes}
    if ome and spacing is not None:
        for axis, step in zip("ZYX", spacing, strict=True):
            metadata[f"PhysicalSize{axis}"] = step
            metadata[f"PhysicalSize{axis}Unit"] = "µm"
    size = int(np.prod(shape, dtype=np.float64)) * np.dtype(dtype).itemsize
    with open_atomically(path) as file:
        tifffile.imwrite(
            file,
            _planes(arrays, lengths, dtype),
            shape=shape,
            dtype=np.dtype(dtype),
            ome=ome,
            bigtiff=size > _CLASSIC_BYTES,
            photometric="minisblack",
            compression="zlib",
            metadata=metadata,
            software=f"napari-dinoprompt {software_version()}",
        )


def _planes(
    arrays: Sequence[Any], lengths: tuple[int, ...], dtype: DTypeLike
) -> Iterator[NDArray[Any]]:
    for array in arrays:
        for index in np.ndindex(lengths):
            yield np.ascontiguousarray(array[index], dtype=dtype)


def _summarise(
    found: StackSegmentation, source: StackFile, shown: str, name: str
) -> list[dict[str, Any]]:
    """Describe the mask of all planes together."""
    indices = source.stack.indices()
    classes = len(found.similarities)
    pixels = np.zeros(classes + 1, dtype=np.int64)
    # An object through the planes counts once.
    numbers: list[set[int]] = [set() for _ in range(classes + 1)]
    for index in indices:
        mask, instances = found.mask[index], found.instances[index]
        pixels += np.bincount(np.ravel(mask), minlength=classes + 1)
        for number in range(1, classes + 1):
            numbers[number].update(np.unique(instances[mask == number]).tolist())
    return [
        {
            "image": shown,
            "results": name,
            "class": one,
            "class_number": number,
            "threshold": found.thresholds[one],
            "objects": len(numbers[number] - {0}),
            "pixels": int(pixels[number]),
            "area_fraction": float(pixels[number] / pixels.sum()),
        }
        for number, one in enumerate(found.similarities, start=1)
    ]
