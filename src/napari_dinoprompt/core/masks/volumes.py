"""Objects in 3-D: cleaning and numbering of masks through the planes of a stack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.progress import Progress, runs_to_end

from .cleaning import (
    Cleaning,
    classes_in,
    clean_mask,
    count_sizes,
    label_regions,
    split_instances,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex

    # Mask and no-data voxels of a volume, by its place among the volumes.
    ReadVolume = Callable[
        [PlaneIndex], tuple[NDArray[np.uint8], NDArray[np.bool_] | None]
    ]


# As in a plane: maxima of the distance that differ by less, in pixels, are one object.
_MIN_DEPTH = 0.75
_SIGMA = 1.0
# What a voxel takes at most while it is worked on: mask, cleaned mask, a class, its
# regions, the numbers, and what is compared with them.
_BYTES_PER_VOXEL = 16
# While a region is split: scipy's distance transform alone takes half of this.
_BYTES_PER_SPLIT_VOXEL = 130
_REACH = 4
# Of the longest side of a voxel to its shortest.
_MOST_UNEVEN = 1e6


@dataclass(frozen=True, eq=False)
class FinishedVolume:
    """A volume whose objects go through the planes.

    Attributes
    ----------
    at : tuple of int
        Along the axes before the last of the stack.
    mask : (Z, H, W) ndarray of uint8
        Cleaned class numbers.
    instances : (Z, H, W) ndarray of int32
        Numbers go on after those of the volumes before.
    objects : int
        How many are in this volume.
    """

    at: PlaneIndex
    mask: NDArray[np.uint8]
    instances: NDArray[np.int32]
    objects: int


def iter_finish_volume(
    mask: NDArray[np.uint8],
    cleaning: Cleaning,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    no_data: NDArray[np.bool_] | None = None,
) -> Generator[Progress, None, tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    """Clean a stack of plain masks in 3-D and number its objects through the planes.

    As `cleaning.clean_and_label` does in a plane, but voxels that touch by a face, an
    edge or a corner are one object, and only what is enclosed on all sides is a hole.

    Parameters
    ----------
    mask : (..., Z, H, W) ndarray of uint8
        Class numbers. Each (Z, H, W) is a volume of its own; one of a single plane is
        treated as that plane.
    cleaning : Cleaning
        Its smallest object is in voxels.
    spacing : (float, float, float)
        Distance of the voxels along z, y and x, in any one unit. It decides where
        touching objects are separated, and nothing else.
    no_data : (..., Z, H, W) ndarray of bool, optional
        Voxels that stay 0, whatever is filled around them.

    Returns
    -------
    mask : (..., Z, H, W) ndarray of uint8
    instances : (..., Z, H, W) ndarray of int32
        Numbers from 1 on; none is used in two volumes.

    Raises
    ------
    InputError
        If the mask is no volume, the spacing is not positive, or more memory would be
        needed than is free: about 16 bytes for each voxel of a volume, and to separate
        touching objects 130 for each voxel of the box around the largest region.

    References
    ----------
    Meyer, "Topographic distance and watershed lines", Signal Processing 38, 1994.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> mask = np.zeros((5, 20, 20), np.uint8)
    >>> mask[1:4, 5:10, 5:10] = 1
    >>> mask[0, 0, 0] = 1  # a speck
    >>> cleaned, instances = dp.finish_volume(mask, dp.Cleaning(min_size=10))
    >>> int(cleaned.sum()), int(instances.max())
    (75, 1)
    """
    mask = _check_mask(mask, no_data)
    check_spacing(spacing)
    check_volume_memory(mask.shape)
    finished = np.empty_like(mask)
    instances = np.empty(mask.shape, dtype=np.int32)

    def read(at: PlaneIndex) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        return mask[at], None if no_data is None else no_data[at]

    for said in iter_volumes(mask.shape[:-3], read, cleaning, spacing):
        if isinstance(said, Progress):
            yield said
        else:
            finished[said.at], instances[said.at] = said.mask, said.instances
    return finished, instances


finish_volume = runs_to_end("finish_volume", iter_finish_volume)


def iter_volumes(
    lengths: tuple[int, ...],
    read: ReadVolume,
    cleaning: Cleaning,
    spacing: tuple[float, float, float],
) -> Generator[Progress | FinishedVolume, None, int]:
    """Clean and number volume by volume, `lengths` of them; returns how many objects.

    Yields regions that were looked at, with a total of 0 before; errors as
    `finish_volume`.
    """
    check_spacing(spacing)
    used = 0
    for at in np.ndindex(lengths):
        mask, no_data = read(at)
        check_volume_memory(mask.shape)
        cleaned, instances = yield from _finish_one(mask, cleaning, spacing, no_data)
        count = int(instances.max(initial=0))
        if used:
            instances[instances > 0] += used
        used += count
        yield FinishedVolume(at, cleaned, instances, count)
    return used


def _finish_one(
    mask: NDArray[np.uint8],
    cleaning: Cleaning,
    spacing: tuple[float, float, float],
    no_data: NDArray[np.bool_] | None,
) -> Generator[Progress, None, tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    yield Progress(0, 0)
    # In a lone plane everything touches the faces of the volume, and nothing is a hole.
    flat = len(mask) == 1
    cleaned = clean_mask(mask[0] if flat else mask, cleaning).reshape(mask.shape)
    if no_data is not None:
        cleaned[no_data] = 0
    yield Progress(0, 0)
    if flat:
        instances = split_instances(cleaned[0], cleaning)[None]
    else:
        instances = yield from _number(cleaned, cleaning, spacing)
    cleaned[instances == 0] = 0
    return cleaned, instances


def _number(
    mask: NDArray[np.uint8], cleaning: Cleaning, spacing: tuple[float, float, float]
) -> Generator[Progress, None, NDArray[np.int32]]:
    instances = np.zeros(mask.shape, dtype=np.int32)
    used = 0
    for number in classes_in(mask):
        labels, count = label_regions(mask == number)
        if cleaning.split:
            count = yield from _split(labels, count, spacing)
        keep = cleaning.keeps(count_sizes(labels, count))
        keep[0] = False
        numbers = np.where(keep, np.cumsum(keep) + used, 0).astype(np.int32)
        instances += numbers[labels]
        used += int(keep.sum())
        yield Progress(0, 0)
    return instances


def _split(
    labels: NDArray[np.int32], count: int, spacing: tuple[float, float, float]
) -> Generator[Progress, None, int]:
    """Separate touching objects in place, region by region, and count them anew.

    Distances within a region depend on no other region, so that only the box around
    one needs memory.
    """
    from scipy import ndimage as ndi

    boxes = ndi.find_objects(labels)
    sides = ([one.stop - one.start + 2 * _REACH for one in box] for box in boxes)
    largest = max(map(math.prod, sides), default=0)
    _check_free(
        largest * _BYTES_PER_SPLIT_VOXEL,
        "Separating objects that touch in 3-D",
        "Raise the threshold, so that less is connected, or do not split them",
    )
    following = count
    for at, box in enumerate(boxes, start=1):
        if at % 20 == 1:
            yield Progress(at - 1, count)
        wide = _widen(box, labels.shape)
        inside = labels[wide]
        parts = _watershed(inside == at, spacing)
        # The first part keeps the number of the region.
        others = parts > 1
        inside[others] = parts[others] + (following - 1)
        following += max(0, int(parts.max()) - 1)
    return following


def _watershed(
    region: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> NDArray[np.int32]:
    from scipy import ndimage as ndi
    from skimage.measure import label
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    # Pixels of the plane are the unit, as for a single plane.
    unit = min(spacing[1:])
    steps = [step / unit for step in spacing]
    distance = ndi.distance_transform_edt(region, sampling=steps)
    distance = ndi.gaussian_filter(distance, [_SIGMA / step for step in steps])
    distance[~region] = 0.0
    markers = label(h_maxima(distance, _MIN_DEPTH))
    parts: NDArray[np.int32] = watershed(-distance, markers, mask=region)
    # What is too thin to hold a marker is still an object.
    forgotten = label(region & (parts == 0))
    return np.where(forgotten > 0, forgotten + parts.max(), parts).astype(np.int32)


def _widen(
    box: tuple[slice, ...], shape: tuple[int, ...]
) -> tuple[slice, slice, slice]:
    """Take in as much around a region as smoothing looks at, inside the volume."""
    z, y, x = (
        slice(max(0, part.start - _REACH), min(length, part.stop + _REACH))
        for part, length in zip(box, shape, strict=True)
    )
    return z, y, x


def _check_mask(
    mask: NDArray[Any], no_data: NDArray[np.bool_] | None
) -> NDArray[np.uint8]:
    """Return a mask as class numbers, or refuse what is none."""
    mask = np.asarray(mask)
    if mask.ndim < 3 or mask.size == 0:
        msg = f"An array of shape {mask.shape} is no volume; (..., Z, H, W) is needed."
        raise InputError(msg)
    if mask.dtype.kind not in "bui" or mask.min() < 0 or mask.max() > 255:
        raise InputError(
            f"A mask holds class numbers of 0 to 255, which this {mask.dtype} does not."
        )
    if no_data is not None and np.shape(no_data) != mask.shape:
        shape = np.shape(no_data)
        msg = f"The pixels without data have shape {shape}, the mask {mask.shape}."
        raise InputError(msg)
    return mask.astype(np.uint8, copy=False)


def check_spacing(spacing: tuple[float, float, float]) -> None:
    """Refuse what cannot be the distance of voxels along z, y and x."""
    try:
        steps = [float(step) for step in spacing]
    except (TypeError, ValueError):
        steps = []
    if len(steps) != 3 or not all(math.isfinite(one) and one > 0 for one in steps):
        msg = f"The spacing is three distances above 0, for z, y and x, not {spacing}."
        raise InputError(msg)
    if max(steps) / min(steps) > _MOST_UNEVEN:
        msg = f"The voxels of a spacing of {spacing} are too uneven; check its units."
        raise InputError(msg)


def check_volume_memory(shape: tuple[int, ...]) -> None:
    """Complain before the work if the volumes of (..., Z, H, W) do not fit."""
    whole = 5 * int(np.prod(shape, dtype=np.float64))
    one = _BYTES_PER_VOXEL * int(np.prod(shape[-3:], dtype=np.float64))
    _check_free(whole + one, "Numbering objects in 3-D", "Number them in each plane")


def _check_free(needed: int, what: str, instead: str) -> None:
    """Complain about what takes more memory, in bytes, than is free."""
    if needed > psutil.virtual_memory().available:
        raise InputError(
            f"{what} would need about {needed / 1e9:.1f} GB of memory, more than is "
            f"free. {instead}, or take a part of the stack."
        )
