"""Objects in 3-D: cleaning and numbering of masks through the planes of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.masks import clean_mask, split_instances
from napari_dinoprompt.core.progress import Progress, run_through
from napari_dinoprompt.core.stacking.volume_checks import (
    check_free,
    check_mask,
    check_spacing,
    check_volume_memory,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_dinoprompt.core.masks import Cleaning

__all__ = ["finish_volume", "iter_finish_volume"]

# As in a plane: maxima of the distance that differ by less, in pixels, are one object.
_MIN_DEPTH = 0.75
_SIGMA = 1.0
# While a region is split: scipy's distance transform alone takes half of this.
_BYTES_PER_SPLIT_VOXEL = 130
_BLOCK = 16_000_000
_REACH = 4


def finish_volume(
    mask: NDArray[np.uint8],
    cleaning: Cleaning,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    no_data: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Clean a stack of plain masks in 3-D and number its objects through the planes.

    As `core.masks.finish` does in a plane, but voxels that touch by a face, an
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
    return run_through(iter_finish_volume(mask, cleaning, spacing, no_data))


def iter_finish_volume(
    mask: NDArray[np.uint8],
    cleaning: Cleaning,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    no_data: NDArray[np.bool_] | None = None,
) -> Generator[Progress, None, tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    """Do the same as `finish_volume`, step by step.

    Parameters
    ----------
    mask, cleaning, spacing, no_data
        As `finish_volume`.

    Yields
    ------
    Progress
        Regions that were looked at; with a total of 0 before.

    Returns
    -------
    mask, instances
        As `finish_volume`.

    Raises
    ------
    InputError
        As `finish_volume`.
    """
    mask = check_mask(mask, no_data)
    check_spacing(spacing)
    check_volume_memory(mask.shape)
    finished = np.empty_like(mask)
    instances = np.empty(mask.shape, dtype=np.int32)
    used = 0
    for index in np.ndindex(mask.shape[:-3]):
        held = None if no_data is None else no_data[index]
        cleaned, numbers = yield from _finish_one(mask[index], cleaning, spacing, held)
        count = int(numbers.max(initial=0))
        if used:
            numbers[numbers > 0] += used
        finished[index], instances[index] = cleaned, numbers
        used += count
    return finished, instances


def _finish_one(
    mask: NDArray[np.uint8],
    cleaning: Cleaning,
    spacing: tuple[float, float, float],
    no_data: NDArray[np.bool_] | None,
) -> Generator[Progress, None, tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    yield Progress(0, 0)
    # In a lone plane everything touches the faces of the volume, and nothing is a hole.
    flat = len(mask) == 1
    cleaned = clean_mask(mask[0], cleaning)[None] if flat else _clean(mask, cleaning)
    if no_data is not None:
        cleaned[no_data] = 0
    yield Progress(0, 0)
    if flat:
        instances = split_instances(cleaned[0], cleaning)[None]
    else:
        instances = yield from _number(cleaned, cleaning, spacing)
    cleaned[instances == 0] = 0
    return cleaned, instances


def _clean(mask: NDArray[np.uint8], cleaning: Cleaning) -> NDArray[np.uint8]:
    cleaned = mask.copy()
    if cleaning.fill_holes:
        _fill_holes(cleaned)
    if cleaning.min_size > 1:
        _remove_small(cleaned, cleaning.min_size)
        if cleaning.fill_holes:
            # A speck that is removed leaves no hole in what is around it.
            _fill_holes(cleaned)
    return cleaned


def _remove_small(mask: NDArray[np.uint8], min_size: int) -> None:
    for number in _classes(mask):
        labels, count = _regions(mask == number)
        small = _sizes(labels, count) < min_size
        small[0] = False
        mask[small[labels]] = 0


def _fill_holes(mask: NDArray[np.uint8]) -> None:
    """Fill what a class encloses; of several, the one that does so most closely."""
    from scipy import ndimage as ndi

    classes = _classes(mask)
    free = mask == 0
    smallest = np.full(mask.shape, mask.size, np.int64) if len(classes) > 1 else None
    filled: list[tuple[int, NDArray[np.bool_]]] = []
    for number in classes:
        labels, count = ndi.label(mask != number, output=np.int32)
        hole = np.ones(count + 1, dtype=bool)
        hole[0] = False
        hole[_on_the_faces(labels)] = False
        inside = hole[labels] & free
        if smallest is not None:
            sizes = _sizes(labels, count)
            inside &= sizes[labels] < smallest
            smallest[inside] = sizes[labels[inside]]
        filled.append((number, inside))
    for number, inside in filled:
        mask[inside] = number


def _on_the_faces(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    faces = [labels.take(at, axis).ravel() for axis in range(3) for at in (0, -1)]
    return np.unique(np.concatenate(faces))


def _number(
    mask: NDArray[np.uint8], cleaning: Cleaning, spacing: tuple[float, float, float]
) -> Generator[Progress, None, NDArray[np.int32]]:
    instances = np.zeros(mask.shape, dtype=np.int32)
    used = 0
    for number in _classes(mask):
        labels, count = _regions(mask == number)
        if cleaning.split:
            count = yield from _split(labels, count, spacing)
        keep = np.ones(count + 1, dtype=bool)
        if cleaning.split and cleaning.min_size > 1:
            keep = _sizes(labels, count) >= cleaning.min_size
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
    largest = max((_volume(box) for box in boxes), default=0)
    check_free(
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


def _regions(region: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Number what is connected by faces, edges or corners."""
    from scipy import ndimage as ndi

    # scikit-image's takes twice the memory: its numbers have 64 bits.
    labels, count = ndi.label(region, np.ones((3, 3, 3)), output=np.int32)
    return labels, int(count)


def _sizes(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Count the voxels of each number, without a copy of the whole."""
    sizes = np.zeros(count + 1, dtype=np.int64)
    planes = max(1, _BLOCK // max(1, labels[0].size))
    for start in range(0, len(labels), planes):
        block = labels[start : start + planes]
        sizes += np.bincount(block.ravel(), minlength=count + 1)
    return sizes


def _classes(mask: NDArray[np.uint8]) -> list[int]:
    present = np.zeros(256, dtype=bool)
    for plane in mask:
        present[np.unique(plane)] = True
    return [number for number in range(1, 256) if present[number]]


def _volume(box: tuple[slice, ...]) -> int:
    return int(np.prod([part.stop - part.start + 2 * _REACH for part in box]))


def _widen(
    box: tuple[slice, ...], shape: tuple[int, ...]
) -> tuple[slice, slice, slice]:
    """Take in as much around a region as smoothing looks at, inside the volume."""
    z, y, x = (
        slice(max(0, part.start - _REACH), min(length, part.stop + _REACH))
        for part, length in zip(box, shape, strict=True)
    )
    return z, y, x
