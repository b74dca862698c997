"""A reference applied to the planes of a stack, one after the other.

Each plane is segmented for itself, but all with the same reference, the same
thresholds and the same grey values for black and white.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.given import as_array
from napari_dinoprompt.core.planes import check_kind, holds_data
from napari_dinoprompt.core.progress import Progress, along, once
from napari_dinoprompt.core.segmentation import (
    SegmentOptions,
    cut,
    fitting_backbone,
    iter_segment,
)
from napari_dinoprompt.core.similarities import Similarities, score
from napari_dinoprompt.core.stacking.greys import measure_curve, measure_window_of
from napari_dinoprompt.core.target_images import target_window
from napari_dinoprompt.core.thresholds import resolve_thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features import FeatureMap
    from napari_dinoprompt.core.intensity import IntensityWindow
    from napari_dinoprompt.core.progress import Notice
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation import Segmentation
    from napari_dinoprompt.core.stacking.greys import GreyCurve
    from napari_dinoprompt.core.streaming.segmentation import LargeSegmentation

__all__ = ["Stack", "StackPlane", "as_stack", "iter_segment_stack"]

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


@dataclass(frozen=True, eq=False)
class StackPlane:
    """One plane that is finished.

    Attributes
    ----------
    index : tuple of int
        Which one.
    segmentation : Segmentation
        Its objects are numbered from 1 on. A plane without data has NaN for
        similarity and no objects.
    """

    index: PlaneIndex
    segmentation: Segmentation | LargeSegmentation


def as_stack(stack: Any, *, rgb: bool | None = None) -> Stack:
    """See anything that can be sliced as a stack of planes.

    Parameters
    ----------
    stack : (..., H, W) or (..., H, W, C) array
        numpy, dask, zarr, or whatever has `shape`, `dtype` and slices; C = 3 (RGB) or
        4 (RGBA).
    rgb : bool, optional
        Whether the last axis is colour. If not given, it is where it has a length of
        3 or 4 and there are more than three axes.

    Returns
    -------
    Stack

    Raises
    ------
    InputError
        If it holds no planes, or these are no images.
    """
    if not hasattr(stack, "shape") or isinstance(stack, np.ma.MaskedArray):
        stack = as_array(stack)
    shape = tuple(int(length) for length in stack.shape)
    if rgb is None:
        rgb = len(shape) > 3 and shape[-1] in (3, 4)
    axes = 3 if rgb else 2
    if len(shape) <= axes:
        msg = (
            f"An array of shape {shape} is not a stack of planes; (..., H, W), or "
            "(..., H, W, 3 or 4) in colour, is needed. Use segment for one plane."
        )
        raise InputError(msg)
    if 0 in shape:
        msg = f"The stack is empty (shape {shape})."
        raise InputError(msg)
    check_kind(shape[-axes:], np.dtype(stack.dtype))
    height, width = shape[-axes : len(shape) - axes + 2]
    return Stack(shape[:-axes], (height, width), partial(_slice, stack))


def _slice(stack: Any, index: PlaneIndex) -> NDArray[np.generic]:
    return np.asarray(stack[index])


def iter_segment_stack(
    stack: Any,
    reference: Reference,
    backbone: Backbone | None = None,
    options: SegmentOptions | None = None,
    *,
    planes: Iterable[PlaneIndex] | None = None,
    done: Collection[PlaneIndex] = frozenset(),
    features: Mapping[PlaneIndex, FeatureMap] | None = None,
    like: ArrayLike | None = None,
    rgb: bool | None = None,
) -> Generator[Progress | Notice | StackPlane, None, int]:
    """Segment the planes of a stack, and say so after each.

    Never more than one plane is in memory; what becomes of the results is the
    caller's choice.

    Parameters
    ----------
    stack : Stack or (..., H, W) or (..., H, W, C) array
        As `as_stack`.
    reference : Reference
        One for all planes, with its statistics and thresholds unchanged.
    backbone : Backbone, optional
        The one of the reference; loaded by its name if not given.
    options : SegmentOptions, optional
        The window "image" is measured once for the stack, on eight planes at most that
        are evenly spread, and the window "histogram" is one curve for all, measured
        on the same planes.
    planes : iterable of plane index, optional
        Those that are wanted, in this order; all if not given.
    done : collection of plane index
        Those that are finished and are passed over.
    features : mapping of plane index to FeatureMap, optional
        As far as they are known, made of this stack with this window.
    like : (h, w) or (h, w, 3 or 4) array_like, optional
        For the window "histogram".
    rgb : bool, optional
        As `as_stack`.

    Yields
    ------
    Progress
        Of all planes; with a total of 0 before the first.
    Notice
        As `iter_segment`, each once for the stack.
    StackPlane
        Each plane when it is finished.

    Returns
    -------
    int
        How many planes were finished.

    Raises
    ------
    InputError
        If stack, planes or options cannot be used. A plane without data is blank, and
        no error.
    DinopromptError
        As `segment`.
    """
    whole = stack if isinstance(stack, Stack) else as_stack(stack, rgb=rgb)
    options = options or SegmentOptions()
    reference.check_objects()
    thresholds = resolve_thresholds(reference, options.threshold)
    todo = [at for at in _wanted(whole, planes) if at not in done]
    if not todo:
        return 0
    yield Progress(0, 0)
    backbone = fitting_backbone(reference, backbone)
    window, curve = yield from _greys(whole, reference, options, like)
    options = replace(options, window=window)
    known = features or {}
    said: set[str] = set()
    for count, index in enumerate(todo):
        found: Segmentation | LargeSegmentation
        if index in known:
            found = cut(score(known[index], reference), thresholds, options.cleaning)
        else:
            pixels = np.asarray(whole.read(index))
            if holds_data(pixels):
                tiles = iter_segment(
                    pixels if curve is None else curve.apply(pixels),
                    reference,
                    backbone,
                    options,
                )
                first = _STEPS * count
                part = along(tiles, first, _STEPS, _STEPS * len(todo))
                found = yield from once(part, said)
            else:
                blank = _blank(whole.size, reference, window)
                found = cut(blank, thresholds, options.cleaning)
        yield StackPlane(index, found)
        yield Progress(_STEPS * (count + 1), _STEPS * len(todo))
    return len(todo)


def _wanted(stack: Stack, planes: Iterable[PlaneIndex] | None) -> Iterable[PlaneIndex]:
    if planes is None:
        return stack.indices()
    wanted = [tuple(int(at) for at in index) for index in planes]
    for index in wanted:
        inside = len(index) == len(stack.lengths) and all(
            0 <= at < length for at, length in zip(index, stack.lengths, strict=True)
        )
        if not inside:
            msg = f"There is no plane {index} in a stack of {stack.lengths} planes."
            raise InputError(msg)
    return wanted


def _greys(
    stack: Stack,
    reference: Reference,
    options: SegmentOptions,
    like: ArrayLike | None,
) -> Generator[Progress, None, tuple[IntensityWindow, GreyCurve | None]]:
    """Settle once which grey values all planes are seen with."""
    matching = isinstance(options.window, str) and options.window == "histogram"
    if matching == (like is None):
        msg = "The window 'histogram' and the real image to match go together: " + (
            "give the image too." if matching else "give no image to match."
        )
        raise InputError(msg)
    window = target_window(reference, options.window)
    if like is not None:
        curve = yield from measure_curve(stack.read, stack.lengths, like)
        return reference.window, curve
    if window is None:
        window = yield from measure_window_of(stack.read, stack.lengths)
    return window, None


def _blank(
    size: tuple[int, int], reference: Reference, window: IntensityWindow
) -> Similarities:
    """Return what is found where there is no data: nothing."""
    names = reference.object_classes
    return Similarities(
        names=names,
        objects=torch.zeros((len(names), *size)),
        rivals=torch.zeros((1 + len(names), *size)),
        window=window,
        no_data=np.ones(size, dtype=bool),
        nothing=True,
    )
