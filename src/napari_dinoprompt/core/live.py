"""Scoring one image again and again while its prompts change.

What depends on the image alone is prepared once per plane; a change of the prompts
then costs one product with the feature map of the plane in view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.estimate import Estimate, available_memory, estimate
from napari_dinoprompt.core.extraction import iter_features
from napari_dinoprompt.core.intensity import measure_stack_window, measure_window
from napari_dinoprompt.core.planes import as_plane, plane_shape
from napari_dinoprompt.core.prepared import PreparedPlane, PreparedPlanes
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.segmentation import Similarities, score
from napari_dinoprompt.core.thresholds import resolve_thresholds

if TYPE_CHECKING:
    from napari_dinoprompt.core.reference import PlaneIndex, Prompts, Reference
    from collections.abc import Callable, Generator, Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.intensity import IntensityWindow

__all__ = [
    "LiveResult",
    "apply_thresholds",
    "prepare_planes",
    "sample_planes",
    "update",
]


@dataclass(frozen=True, eq=False)
class LiveResult:
    """What the current prompts find in the plane in view.

    Attributes
    ----------
    plane : tuple of int
        The plane.
    reference : Reference
        Of the prompts, with the thresholds that the user set.
    similarities : Similarities
    thresholds : mapping of str to float
        In use, by object class: set by the user, or auto.
    mask : (H, W) ndarray of uint8
        Plain class numbers, not cleaned.
    """

    plane: PlaneIndex
    reference: Reference
    similarities: Similarities
    thresholds: Mapping[str, float]
    mask: NDArray[np.uint8]


def prepare_planes(
    prepared: PreparedPlanes,
    read_plane: Callable[[PlaneIndex], ArrayLike],
    shape: tuple[int, ...],
    get_backbone: Callable[[], Backbone],
    upscale: float,
    wanted: Iterable[PlaneIndex],
) -> Generator[Progress | Estimate | tuple[PlaneIndex, PreparedPlane], None, None]:
    """Extract the features of some planes of an image, step by step.

    Parameters
    ----------
    prepared : PreparedPlanes
        Of the image; only its window is set here, planes are yielded.
    read_plane : callable from plane index to (H, W) or (H, W, 3 or 4) array_like
        Called where the work is done, so that a lazy image is read there.
    shape : tuple of int
        Of the axes before the plane; empty for a 2-D image.
    get_backbone : callable returning Backbone
    upscale : float
    wanted : iterable of plane index
        In the order in which they are wanted.

    Yields
    ------
    Progress
        Of the plane under way; with a total of 0 while it is read and the backbone
        is loaded.
    Estimate
        Before each plane's extraction.
    plane index, PreparedPlane
        Each plane when it is ready.

    Raises
    ------
    InputError
        If the image or the upscale cannot be used, or the features need more memory
        than there is; and what `load_backbone` raises.
    """
    for index in wanted:
        plane = as_plane(read_plane(index))
        yield Progress(0, 0)
        backbone = get_backbone()
        needed = estimate(plane_shape(plane), backbone, upscale)
        yield needed
        if needed.bytes > available_memory(backbone.device):
            msg = (
                f"The features would need about {needed.bytes / 1e9:.1f} GB, more than "
                "is free. Choose a lower upscale, a smaller backbone or a part of the "
                "image."
            )
            raise InputError(msg)
        if prepared.window is None:
            prepared.window = _measure_window(read_plane, shape, plane)
        features = yield from iter_features(
            plane, backbone, upscale=upscale, window=prepared.window
        )
        yield index, PreparedPlane(features)


def sample_planes(shape: tuple[int, ...]) -> list[PlaneIndex]:
    """Choose the planes of a stack that its window is measured on.

    They depend on the stack alone, not on what is in view, and are few, so that a
    stack that is read from afar need not be read whole.

    Parameters
    ----------
    shape : tuple of int
        Of the axes before the plane.

    Returns
    -------
    list of tuples of int
        At most three.
    """
    count = math.prod(shape)
    chosen = sorted({count * sixth // 6 for sixth in (1, 3, 5)})
    return [tuple(int(i) for i in np.unravel_index(at, shape)) for at in chosen]


def _measure_window(
    read_plane: Callable[[PlaneIndex], ArrayLike],
    shape: tuple[int, ...],
    plane: NDArray[np.generic],
) -> IntensityWindow:
    if not shape:
        return measure_window(plane)
    sampled = [np.asarray(read_plane(index)) for index in sample_planes(shape)]
    # A plane without data says nothing about the others.
    holding = [part for part in sampled if np.isfinite(part).any()]
    return measure_stack_window(holding or [plane])


def update(
    planes: PreparedPlanes,
    prompts: Prompts,
    view: PlaneIndex,
    chosen: Mapping[str, float],
    *,
    source: str,
) -> LiveResult:
    """Find what the prompts find, after they or the plane in view changed.

    Parameters
    ----------
    planes : PreparedPlanes
        With the plane in view and all planes that hold prompts.
    prompts : Prompts
        On all planes; at least one on an object.
    view : tuple of int
        The plane to score.
    chosen : mapping of str to float
        Thresholds that the user set; classes without one are on auto, and classes
        without prompts are passed over.
    source : str
        Name of the image.

    Returns
    -------
    LiveResult

    Raises
    ------
    InputError
        If no prompt is on an object, or one lies outside the image.
    """
    reference = planes.reference(prompts, source=source)
    shown = planes[view]
    lengths = shown.lengths(planes.measures(prompts.planes))
    similarities = score(shown.features, reference, lengths)
    return apply_thresholds(view, reference, similarities, chosen)


def apply_thresholds(
    plane: PlaneIndex,
    reference: Reference,
    similarities: Similarities,
    chosen: Mapping[str, float],
) -> LiveResult:
    """Cut similarities anew, after a threshold changed.

    Parameters
    ----------
    plane : tuple of int
        Where the similarities are of.
    reference : Reference
    similarities : Similarities
        Of this reference.
    chosen : mapping of str to float
        As `update`.

    Returns
    -------
    LiveResult
    """
    names = similarities.names
    known = {name: value for name, value in chosen.items() if name in names}
    reference = reference.with_thresholds(known)
    thresholds = resolve_thresholds(reference)
    return LiveResult(
        plane, reference, similarities, thresholds, similarities.mask(thresholds)
    )
