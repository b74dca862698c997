"""A reference applied to a whole stack: similarity, mask and objects of all planes."""

from __future__ import annotations

import hashlib
import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.batching.records import describe_settings
from napari_dinoprompt.core.content_hash import hash_plane
from napari_dinoprompt.core.files.atomic import explaining_writes
from napari_dinoprompt.core.masks import Cleaning
from napari_dinoprompt.core.plane_samples import sample_planes
from napari_dinoprompt.core.planes import as_plane
from napari_dinoprompt.core.progress import Progress, run_through
from napari_dinoprompt.core.segmentation import SegmentOptions, fitting_backbone
from napari_dinoprompt.core.stacking.results import StackSegmentation, open_arrays
from napari_dinoprompt.core.stacking.stacks import (
    Stack,
    StackPlane,
    as_stack,
    iter_segment_stack,
)
from napari_dinoprompt.core.stacking.volume_checks import (
    check_spacing,
    check_volume_memory,
)
from napari_dinoprompt.core.stacking.volumes import iter_finish_volume
from napari_dinoprompt.core.thresholds import resolve_thresholds

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from contextlib import AbstractContextManager

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.progress import Notice
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.stacking.results import StackArrays

__all__ = ["follow_stack", "segment_stack"]


def segment_stack(
    stack: Any,
    reference: Reference,
    backbone: Backbone | None = None,
    options: SegmentOptions | None = None,
    *,
    planes: Iterable[PlaneIndex] | None = None,
    store: Any = None,
    like: ArrayLike | None = None,
    rgb: bool | None = None,
) -> StackSegmentation:
    """Find in all planes of a stack what resembles the prompts of a reference.

    The features are those of single planes: each plane is segmented for itself, with
    the same reference, thresholds and intensity window as all others.

    Parameters
    ----------
    stack : (..., H, W) or (..., H, W, C) array
        numpy, dask, zarr, or whatever has `shape`, `dtype` and slices; read plane by
        plane. C = 3 (RGB) or 4 (RGBA).
    reference : Reference
        Its statistics are used unchanged.
    backbone : Backbone, optional
        The one of the reference; loaded by its name if not given.
    options : SegmentOptions, optional
        The window "image" is measured once for the whole stack. Objects in 3-D go
        along the last axis before the plane; other axes make volumes of their own.
    planes : iterable of plane index, optional
        Those that are wanted; all if not given. The others have NaN for similarity
        and no objects.
    store : path or zarr.Group, optional
        Where the results go as zarr arrays, plane by plane. If it holds the
        finished planes of an earlier run of the same stack, reference and options,
        they are kept. If not given, results are numpy arrays up to 1 GB, and zarr
        arrays in memory above.
    like : (h, w) or (h, w, 3 or 4) array_like, optional
        For the window "histogram": the real image whose grey values are wanted.
    rgb : bool, optional
        Whether the last axis is colour. If not given, it is where it has a length of
        3 or 4 and there are more than three axes.

    Returns
    -------
    StackSegmentation

    Raises
    ------
    InputError
        If stack, options or store cannot be used, or objects in 3-D do not fit into
        memory: about 21 bytes for each voxel of one volume.
    IncompatibleReferenceError
        If the backbone is not the reference's.
    WeightsNotFoundError
        If the backbone has to be loaded and its weights are not here.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> features = dp.extract_features(image, backbone)
    >>> points = [(20, 60), (20, 100), (60, 60)]
    >>> reference = dp.Reference.from_prompts(features, points)
    >>> stack = np.stack([image, np.zeros_like(image), image])
    >>> result = dp.segment_stack(stack, reference, backbone)
    >>> [bool(plane.any()) for plane in result.mask]
    [True, False, True]
    """
    whole = as_stack(stack, rgb=rgb)
    return run_through(
        follow_stack(
            whole,
            reference,
            fitting_backbone(reference, backbone),
            options or SegmentOptions(),
            planes=planes,
            store=store,
            like=like,
        )
    )


def follow_stack(
    stack: Stack,
    reference: Reference,
    backbone: Backbone,
    options: SegmentOptions,
    *,
    planes: Iterable[PlaneIndex] | None = None,
    store: Any = None,
    like: ArrayLike | None = None,
) -> Generator[Progress | Notice, None, StackSegmentation]:
    """Do what `segment_stack` does, step by step.

    Parameters
    ----------
    stack, reference, backbone, options, planes, store, like
        As `segment_stack`.

    Yields
    ------
    Progress
        Tiles of the planes that are left, then regions in 3-D.

    Returns
    -------
    StackSegmentation

    Raises
    ------
    DinopromptError
        As `segment_stack`.
    """
    reference.check_objects()
    if like is not None:
        as_plane(like)
    thresholds = resolve_thresholds(reference, options.threshold)
    cleaning, objects_3d = options.cleaning, options.objects_3d
    spacing = options.spacing or (1.0, 1.0, 1.0)
    # The planes do not depend on it.
    options = replace(options, spacing=None)
    if objects_3d:
        # Before hours of work, not after them.
        check_spacing(spacing)
        check_volume_memory((stack.lengths[-1], *stack.size))
        options = replace(options, cleaning=Cleaning())
    names = reference.object_classes
    settings = ""
    if store is not None:
        hashed = _fingerprint(stack)
        hashed.update(describe_settings(reference, backbone, options, like).encode())
        settings = hashed.hexdigest()
    with _writing_to(store):
        arrays = open_arrays(
            store,
            stack.lengths,
            stack.size,
            len(names),
            plain=objects_3d,
            settings=settings,
        )
    done = arrays.finished()
    steps = iter_segment_stack(
        stack, reference, backbone, options, planes=planes, done=done, like=like
    )
    yield from _store(steps, arrays, store, sum(done.values()))
    if objects_3d:
        yield from _through_the_planes(arrays, store, stack, cleaning, spacing)
    return StackSegmentation(
        similarities=dict(zip(names, arrays.similarities, strict=True)),
        mask=arrays.mask,
        instances=arrays.instances,
        thresholds=dict(thresholds),
    )


def _store(
    steps: Generator[Progress | Notice | StackPlane, None, int],
    arrays: StackArrays,
    store: Any,
    used: int,
) -> Generator[Progress | Notice, None, None]:
    for said in steps:
        if isinstance(said, StackPlane):
            with _writing_to(store):
                used += arrays.put(said, used)
        else:
            yield said


def _through_the_planes(
    arrays: StackArrays,
    store: Any,
    stack: Stack,
    cleaning: Cleaning,
    spacing: tuple[float, float, float],
) -> Generator[Progress, None, None]:
    """Clean and number volume by volume; nothing is noted, so it is done anew."""
    used = 0
    plain = arrays.plain
    assert plain is not None
    for at in np.ndindex(stack.lengths[:-1]):
        mask = np.asarray(plain[at] if at else plain[...])
        missing = np.empty(mask.shape, dtype=bool)
        for z in range(len(mask)):
            np.isnan(np.asarray(arrays.similarities[0][(*at, z)]), out=missing[z])
        cleaned, instances = yield from iter_finish_volume(
            mask, cleaning, spacing, missing if missing.any() else None
        )
        with _writing_to(store):
            for z in range(len(mask)):
                numbers = instances[z]
                arrays.mask[(*at, z)] = cleaned[z]
                arrays.instances[(*at, z)] = np.where(numbers > 0, numbers + used, 0)
        used += int(instances.max(initial=0))


def _writing_to(store: Any) -> AbstractContextManager[None]:
    """Put troubles of a disk into words, where the store is on one."""
    if isinstance(store, str | os.PathLike):
        return explaining_writes(Path(store))
    return nullcontext()


def _fingerprint(stack: Stack) -> Any:
    """Hash the shape of a stack and the planes that stand for it."""
    found = hashlib.sha256(f"{stack.lengths} {stack.size}".encode())
    for index in sample_planes(stack.lengths):
        found.update(hash_plane(np.asarray(stack.read(index))).encode())
    return found
