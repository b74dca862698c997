"""A reference applied to the planes of a stack, one after the other.

Each plane is segmented for itself, but all with the same reference, the same
thresholds and the same grey values for black and white.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.fingerprint import hash_plane
from napari_dinoprompt.core.images.intensity import (
    GreyCurve,
    iter_sample,
    measure_stack_window,
    sample_planes,
)
from napari_dinoprompt.core.images.lazy_plane import LazyArray
from napari_dinoprompt.core.images.plane import as_plane, check_kind, holds_data
from napari_dinoprompt.core.io.atomic import explaining_writes, software_version
from napari_dinoprompt.core.masks.cleaning import Cleaning, clean_and_label
from napari_dinoprompt.core.masks.volumes import (
    check_spacing,
    check_volume_memory,
    iter_volumes,
)
from napari_dinoprompt.core.progress import (
    Progress,
    run_to_end,
    scaled_progress,
    without_repeats,
)
from napari_dinoprompt.core.references.file import encode_reference
from napari_dinoprompt.core.references.reference import Reference, resolve_thresholds
from napari_dinoprompt.core.validation import as_array

from .segment import (
    SegmentOptions,
    check_like,
    fitting_backbone,
    iter_segment,
    target_window,
    threshold_and_clean,
)
from .similarities import Similarities, score_classes
from .stack_results import StackPlane, StackSegmentation, open_arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from contextlib import AbstractContextManager

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.images.intensity import IntensityWindow
    from napari_dinoprompt.core.progress import Notice
    from napari_dinoprompt.core.prompts import PlaneIndex

    from .large import LargeSegmentation
    from .segment import Segmentation
    from .stack_results import PlainMask, StackArrays


# Of the progress of one plane.
_STEPS = 100


@dataclass(frozen=True, eq=False)
class Stack:
    """Planes that are read one at a time.

    Attributes
    ----------
    lengths : tuple of int
        Of the axes before the plane; none for a single plane.
    size : (int, int)
        Height and width of the planes in pixels.
    read : callable from plane index to (H, W) or (H, W, C) array_like
        Called where the work is done.
    """

    lengths: tuple[int, ...]
    size: tuple[int, int]
    read: Callable[[PlaneIndex], ArrayLike]

    def indices(self) -> list[PlaneIndex]:
        """Return all planes in their order: the last axis moves first."""
        return list(np.ndindex(self.lengths))

    def array(self) -> LazyArray:
        """See all planes as one array, read plane by plane as it is sliced."""
        first = np.asarray(self.read((0,) * len(self.lengths)))
        shape = (*self.lengths, *first.shape)
        return LazyArray(shape, first.dtype, partial(_read_planes, self))


def _read_planes(stack: Stack, key: tuple[Any, ...]) -> NDArray[np.generic]:
    before, part = key[: len(stack.lengths)], key[len(stack.lengths) :]
    places = np.arange(math.prod(stack.lengths)).reshape(stack.lengths)[before]
    planes = [
        np.asarray(stack.read(np.unravel_index(at, stack.lengths)))[part]
        for at in places.ravel().tolist()
    ]
    return np.stack(planes).reshape(*places.shape, *planes[0].shape)


def as_stack(stack: Any, *, rgb: bool | None = None) -> Stack:
    """See anything that can be sliced as a stack of planes, as `segment_stack` does."""
    if not hasattr(stack, "shape") or isinstance(stack, np.ma.MaskedArray):
        stack = as_array(stack)
    shape = tuple(int(length) for length in stack.shape)
    if rgb is None:
        rgb = len(shape) > 3 and shape[-1] in (3, 4)
    axes = 3 if rgb else 2
    if len(shape) <= axes:
        raise InputError(
            f"An array of shape {shape} is not a stack of planes; (..., H, W), or "
            "(..., H, W, 3 or 4) in colour, is needed. Use segment for one plane."
        )
    if 0 in shape:
        raise InputError(f"The stack is empty (shape {shape}).")
    check_kind(shape[-axes:], np.dtype(stack.dtype))
    height, width = shape[-axes : len(shape) - axes + 2]
    return Stack(shape[:-axes], (height, width), lambda index: np.asarray(stack[index]))


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
    return run_to_end(
        follow_stack(
            as_stack(stack, rgb=rgb),
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
    """Do what `segment_stack` does, step by step: tiles, then regions in 3-D."""
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
    for said in iter_segment_stack(
        stack,
        reference,
        backbone,
        options,
        planes=planes,
        done=arrays.finished(),
        like=like,
    ):
        if isinstance(said, StackPlane):
            with _writing_to(store):
                arrays.put(said)
        else:
            yield said
    if objects_3d:
        yield from _through_the_planes(arrays, store, stack, cleaning, spacing)
    return StackSegmentation(
        similarities=dict(zip(names, arrays.similarities, strict=True)),
        mask=arrays.mask,
        instances=arrays.instances,
        thresholds=dict(thresholds),
        objects_3d=objects_3d,
    )


def _through_the_planes(
    arrays: StackArrays,
    store: Any,
    stack: Stack,
    cleaning: Cleaning,
    spacing: tuple[float, float, float],
) -> Generator[Progress, None, None]:
    """Clean and number volume by volume; nothing is noted, so it is done anew."""
    for said in iter_volumes(
        stack.lengths[:-1], arrays.plain_volume, cleaning, spacing
    ):
        if isinstance(said, Progress):
            yield said
            continue
        with _writing_to(store):
            for z, (mask, instances) in enumerate(
                zip(said.mask, said.instances, strict=True)
            ):
                arrays.mask[(*said.at, z)] = mask
                arrays.instances[(*said.at, z)] = instances


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


def describe_settings(
    reference: Reference,
    backbone: Backbone,
    options: SegmentOptions,
    like: ArrayLike | None = None,
) -> str:
    """Hash all that a result depends on beside its image: SHA-256 in hex."""
    how = {
        "software": software_version(),
        "backbone": asdict(backbone.info),
        "device": backbone.device.type,
        # The filter bank has one number format only.
        "dtype": str(getattr(backbone, "dtype", "")),
        "options": {one.name: getattr(options, one.name) for one in fields(options)},
        "like": None if like is None else hash_plane(np.asarray(like)),
    }
    found = hashlib.sha256(encode_reference(reference))
    found.update(json.dumps(how, sort_keys=True, default=_as_json).encode())
    return found.hexdigest()


def _as_json(value: Any) -> Any:
    # Results on disk are known by the hash: these classes keep their names.
    if isinstance(value, np.generic):
        return value.item()
    return [type(value).__name__, asdict(value)]


def iter_segment_stack(
    stack: Stack,
    reference: Reference,
    backbone: Backbone | None = None,
    options: SegmentOptions | None = None,
    *,
    planes: Iterable[PlaneIndex] | None = None,
    done: Mapping[PlaneIndex, int] | None = None,
    features: Mapping[PlaneIndex, FeatureMap] | None = None,
    masks: Mapping[PlaneIndex, PlainMask] | None = None,
    like: ArrayLike | None = None,
) -> Generator[Progress | Notice | StackPlane, None, int]:
    """Segment the planes of a stack, and say so after each; returns how many.

    Never more than one plane is in memory; what becomes of the results is the
    caller's choice.

    Parameters
    ----------
    stack : Stack
    reference : Reference
        One for all planes, with its statistics and thresholds unchanged.
    backbone : Backbone, optional
        The one of the reference; loaded by its name where it is needed.
    options : SegmentOptions, optional
        The window "image" is measured once for the stack, on eight planes at most that
        are evenly spread, and the window "histogram" is one curve for all, measured
        on the same planes.
    planes : iterable of plane index, optional
        Those that are wanted, in this order; all if not given.
    done : mapping of plane index to int, optional
        Those that are finished and are passed over, with their numbers of objects.
    features : mapping of plane index to FeatureMap, optional
        As far as they are known, made of this stack with this window.
    masks : mapping of plane index to plain mask, optional
        As far as they are known: these planes are cleaned and numbered only.
    like : (h, w) or (h, w, 3 or 4) array_like, optional
        For the window "histogram".

    Yields
    ------
    Progress
        Of all planes; with a total of 0 before the first.
    Notice
        As `iter_segment`, each once for the stack.
    StackPlane
        Each plane when it is finished. One without data is blank, and no error.
    """
    options = options or SegmentOptions()
    reference.check_objects()
    thresholds = resolve_thresholds(reference, options.threshold)
    done, features, masks = done or {}, features or {}, masks or {}
    todo = [at for at in _wanted(stack, planes) if at not in done]
    if not todo:
        return 0
    yield Progress(0, 0)
    window, curve = reference.window, None
    if any(index not in masks for index in todo):
        backbone = fitting_backbone(reference, backbone)
        window, curve = yield from _greys(stack, reference, options, like)
        options = replace(options, window=window)
    said: set[str] = set()
    used = sum(done.values())
    for count, index in enumerate(todo):
        found: Segmentation | LargeSegmentation | None = None
        if index in masks:
            plain, missing = masks[index]
            mask, instances = clean_and_label(plain, options.cleaning, missing)
            objects = int(instances.max(initial=0))
        else:
            if index in features:
                found = threshold_and_clean(
                    score_classes(features[index], reference), thresholds, options
                )
            elif holds_data(pixels := np.asarray(stack.read(index))):
                seen = pixels if curve is None else curve.apply(pixels)
                steps = iter_segment(seen, reference, backbone, options)
                part = scaled_progress(
                    steps, _STEPS * count, _STEPS, _STEPS * len(todo)
                )
                found = yield from without_repeats(part, said)
            else:
                blank = _blank(stack.size, reference, window)
                found = threshold_and_clean(blank, thresholds, options)
            mask, instances, objects = found.mask, found.instances, found.objects
        yield StackPlane(index, mask, instances, objects, used, found)
        used += objects
        yield Progress(_STEPS * (count + 1), _STEPS * len(todo))
    return len(todo)


def _wanted(stack: Stack, planes: Iterable[PlaneIndex] | None) -> Iterable[PlaneIndex]:
    if planes is None:
        return stack.indices()
    # Each once: its objects are numbered once.
    wanted = list(dict.fromkeys(tuple(int(at) for at in index) for index in planes))
    for index in wanted:
        inside = len(index) == len(stack.lengths) and all(
            0 <= at < length for at, length in zip(index, stack.lengths, strict=True)
        )
        if not inside:
            msg = f"There is no plane {index} in a stack of {stack.lengths} planes."
            raise InputError(msg)
    return wanted


def _greys(
    stack: Stack, reference: Reference, options: SegmentOptions, like: ArrayLike | None
) -> Generator[Progress, None, tuple[IntensityWindow, GreyCurve | None]]:
    """Settle once which grey values all planes are seen with."""
    check_like(options.window, like)
    window = target_window(reference, options.window)
    if window is not None and like is None:
        return window, None
    sample = yield from iter_sample(stack.read, stack.lengths)
    if like is not None:
        return reference.window, GreyCurve.between(sample, like)
    return measure_stack_window(sample), None


def _blank(
    size: tuple[int, int], reference: Reference, window: IntensityWindow
) -> Similarities:
    """Return what is found where there is no data: nothing."""
    names = reference.object_classes
    return Similarities(
        names=names,
        objects=torch.zeros((len(names), *size)),
        competing_scores=None,
        window=window,
        no_data=np.ones(size, dtype=bool),
        nothing=True,
    )
