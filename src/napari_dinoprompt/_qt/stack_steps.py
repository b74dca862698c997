"""What runs in the thread for all planes of a stack: calls into `core`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from napari_dinoprompt import layers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt._qt.job_work import BackboneShelf
    from napari_dinoprompt.core.backbones import BackboneChoice
    from napari_dinoprompt.core.features import FeatureMap
    from napari_dinoprompt.core.live import LiveResult
    from napari_dinoprompt.core.masks import Cleaning
    from napari_dinoprompt.core.progress import Progress
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.stacking.plain_masks import PlainMasks
    from napari_dinoprompt.session import ImageState

__all__ = [
    "FoundPlane",
    "FoundVolume",
    "StackTask",
    "find_planes",
    "find_volumes",
    "task_of",
]

# Of the progress of one plane.
_STEPS = 100


@dataclass(frozen=True, eq=False)
class StackTask:
    """A stack, and what is to be found in it.

    Attributes
    ----------
    lengths : tuple of int
        Of the axes before the plane.
    size : (int, int)
        Of the planes.
    read : callable from plane index to (H, W) or (H, W, C) array_like
    reference : Reference
    shelf : BackboneShelf
    choice : BackboneChoice
    features : mapping of plane index to FeatureMap
        As far as they are known.
    cleaning : Cleaning
    """

    lengths: tuple[int, ...]
    size: tuple[int, int]
    read: Callable[[PlaneIndex], ArrayLike]
    reference: Reference
    shelf: BackboneShelf
    choice: BackboneChoice
    features: Mapping[PlaneIndex, FeatureMap]
    cleaning: Cleaning


def task_of(
    state: ImageState,
    reference: Reference,
    choice: BackboneChoice,
    cleaning: Cleaning,
    shelf: BackboneShelf,
) -> StackTask:
    """Put together what is to be done for the stack of a state."""
    return StackTask(
        lengths=layers.stack_shape(state.image),
        size=layers.plane_shape(state.image),
        read=partial(layers.read_plane, state.image),
        reference=reference,
        shelf=shelf,
        choice=choice,
        features={
            index: state.planes[index].whole
            for index in state.planes
            if not state.planes[index].large
        },
        cleaning=cleaning,
    )


@dataclass(frozen=True, eq=False)
class FoundPlane:
    """A plane that is finished.

    Attributes
    ----------
    index : plane index
    result : LiveResult or None
        With the plain mask; None if that was known before.
    numbers : (H, W) ndarray of integers
        What is shown: classes, or objects where touching ones are split.
    objects : int
    """

    index: PlaneIndex
    result: LiveResult | None
    numbers: NDArray[np.integer]
    objects: int


@dataclass(frozen=True, eq=False)
class FoundVolume:
    """A volume whose objects go through the planes.

    Attributes
    ----------
    at : tuple of int
        Along the axes before the last of the stack.
    instances : (Z, H, W) ndarray of int32
    objects : int
    """

    at: PlaneIndex
    instances: NDArray[np.int32]
    objects: int


def find_planes(
    task: StackTask,
    masks: PlainMasks,
    known: frozenset[PlaneIndex],
    objects: Mapping[PlaneIndex, int],
    *,
    only_known: bool,
) -> Generator[Progress | FoundPlane, None, int]:
    """Finish all planes, or those whose plain masks are known, in their order.

    Parameters
    ----------
    task : StackTask
    masks : PlainMasks
        It is read only.
    known : frozenset of plane index
        Those that are in it.
    objects : mapping of plane index to int
        Of planes that are finished already, how many they hold.
    only_known : bool

    Yields
    ------
    Progress
    FoundPlane

    Returns
    -------
    int
        How many planes were finished.
    """
    import numpy as np

    from napari_dinoprompt.core.masks import finish
    from napari_dinoprompt.core.progress import Progress

    yield Progress(0, 0)
    wanted = [
        index for index in np.ndindex(task.lengths) if index in known or not only_known
    ]
    todo = len([index for index in wanted if index not in objects])
    used = done = 0
    for index in wanted:
        if index in objects:
            used += objects[index]
            continue
        result = None
        if index in known:
            plain, missing = masks.get(index)
        else:
            result = yield from _find(task, index, done, todo)
            plain, missing = result.mask, result.scores.no_data
        mask, instances = finish(plain, task.cleaning, missing)
        count = int(instances.max(initial=0))
        numbers: NDArray[np.integer] = mask
        if task.cleaning.split:
            numbers = np.where(instances > 0, instances + used, 0)
        used += count
        done += 1
        yield FoundPlane(index, result, numbers, count)
        yield Progress(_STEPS * done, _STEPS * todo)
    return done


def _find(
    task: StackTask, index: PlaneIndex, done: int, todo: int
) -> Generator[Progress, None, LiveResult]:
    """Find the plain mask of a plane."""
    from napari_dinoprompt.core.errors import InputError
    from napari_dinoprompt.core.live import LiveResult
    from napari_dinoprompt.core.masks import Cleaning
    from napari_dinoprompt.core.progress import Progress
    from napari_dinoprompt.core.segmentation import Segmentation, SegmentOptions
    from napari_dinoprompt.core.stacking.stacks import (
        Stack,
        StackPlane,
        iter_segment_stack,
    )

    steps = iter_segment_stack(
        Stack(task.lengths, task.size, task.read),
        task.reference,
        task.shelf.get(task.choice),
        SegmentOptions(cleaning=Cleaning()),
        planes=[index],
        features=task.features,
    )
    for said in steps:
        if isinstance(said, StackPlane):
            found = said.segmentation
            if not isinstance(found, Segmentation):
                break
            return LiveResult(
                plane=index,
                reference=task.reference,
                scores=found.similarities,
                thresholds=found.thresholds,
                masks=[found.mask],
            )
        if isinstance(said, Progress) and said.total:
            share = _STEPS * said.done // said.total
            yield Progress(_STEPS * done + share, _STEPS * todo)
    msg = (
        "The planes are too large to be held; segment the stack with the command "
        "dinoprompt segment, or take a part of it."
    )
    raise InputError(msg)


def find_volumes(
    masks: PlainMasks,
    lengths: tuple[int, ...],
    cleaning: Cleaning,
    spacing: tuple[float, float, float],
) -> Generator[Progress | FoundVolume, None, int]:
    """Clean and number through the planes, as `core.volumes.finish_volume`.

    Parameters
    ----------
    masks : PlainMasks
        Of all planes.
    lengths : tuple of int
        Of the axes before the plane.
    cleaning : Cleaning
    spacing : (float, float, float)
        Of the voxels along z, y and x.

    Yields
    ------
    Progress
    FoundVolume

    Returns
    -------
    int
        How many objects there are.
    """
    import numpy as np

    from napari_dinoprompt.core.stacking.volumes import iter_finish_volume

    used = 0
    for at in np.ndindex(lengths[:-1]):
        mask, missing = masks.volume(at, lengths[-1])
        _, instances = yield from iter_finish_volume(mask, cleaning, spacing, missing)
        count = int(instances.max(initial=0))
        if used:
            instances[instances > 0] += used
        used += count
        yield FoundVolume(at, instances, count)
    return used
