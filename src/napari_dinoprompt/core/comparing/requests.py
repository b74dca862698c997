"""What a comparison is asked for, checked before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.comparing.draws import LEAST_PROMPTS
from napari_dinoprompt.core.comparing.grids import check_same_field, match_labels
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.given import as_array, check_seed
from napari_dinoprompt.core.planes import as_plane, plane_shape
from napari_dinoprompt.core.prompts import list_classes
from napari_dinoprompt.core.segmentation import SegmentOptions, fitting_backbone
from napari_dinoprompt.core.target_images import target_window
from napari_dinoprompt.core.thresholds import resolve_thresholds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.references.reference import Reference

__all__ = ["Request", "make_request", "read_truth"]


@dataclass(frozen=True, eq=False)
class Request:
    """What is compared, and how.

    Attributes
    ----------
    real : (H, W) or (H, W, 3) ndarray
    fakes : tuple of (h, w) or (h, w, 3) ndarray
        At least one.
    names : tuple of str
        Of the fakes, all different.
    truth : (H, W) ndarray of int32 or None
    reference : Reference
    backbone : Backbone
    options : SegmentOptions
    class_name : str
    draws, seed : int
    note : str
        Why nothing is drawn; empty if it is.
    """

    real: NDArray[np.generic]
    fakes: tuple[NDArray[np.generic], ...]
    names: tuple[str, ...]
    truth: NDArray[np.int32] | None
    reference: Reference
    backbone: Backbone
    options: SegmentOptions
    class_name: str
    draws: int
    seed: int
    note: str


def make_request(
    real: ArrayLike,
    fakes: ArrayLike | Sequence[ArrayLike],
    reference: Reference,
    *,
    backbone: Backbone | None,
    truth: ArrayLike | None,
    options: SegmentOptions | None,
    names: Sequence[str] | None,
    class_name: str | None,
    draws: int,
    seed: int,
) -> Request:
    """Check what `compare` is given."""
    options = options or SegmentOptions()
    name = _check_class(reference, class_name)
    plane = as_plane(real)
    planes = _planes(fakes)
    for one in planes:
        check_same_field(plane_shape(plane), plane_shape(one))
    check_seed(seed)
    if draws < 0 or draws == 1:
        msg = f"The number of draws must be 0 or at least 2, not {draws}."
        raise InputError(msg)
    # Both complain about what they cannot use.
    resolve_thresholds(reference, options.threshold)
    target_window(reference, options.window)
    note = _why_no_draws(reference, name, draws)
    return Request(
        real=plane,
        fakes=planes,
        names=_names(len(planes), names, truth is not None),
        truth=None if truth is None else read_truth(truth, plane_shape(plane)),
        reference=reference,
        backbone=fitting_backbone(reference, backbone),
        options=options,
        class_name=name,
        draws=0 if note else draws,
        seed=seed,
        note=note,
    )


def read_truth(truth: ArrayLike, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Read labels and bring them to the grid of the real.

    Takes truth (h, w); returns (H, W).
    """
    from skimage.measure import label
    from skimage.segmentation import relabel_sequential

    labels = as_array(truth)
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in "bui":
        msg = (
            f"The truth must be labels, (H, W) whole numbers, not {labels.shape} of "
            f"{labels.dtype}."
        )
        raise InputError(msg)
    if labels.dtype.kind == "i" and labels.min() < 0:
        msg = "The truth holds negative labels; 0 is the background."
        raise InputError(msg)
    matched: NDArray[Any] = match_labels(labels, shape)
    held = np.unique(matched[matched != 0])
    found = label(matched != 0) if len(held) == 1 else relabel_sequential(matched)[0]
    return np.asarray(found, dtype=np.int32)


def _check_class(reference: Reference, name: str | None) -> str:
    reference.check_objects()
    if name is None:
        return reference.object_classes[0]
    if name not in reference.object_classes:
        known = list_classes(reference.object_classes)
        msg = f"The reference has no object class {name!r}; it has {known}."
        raise InputError(msg)
    return name


def _planes(fakes: ArrayLike | Sequence[ArrayLike]) -> tuple[NDArray[np.generic], ...]:
    images: Sequence[Any] = [fakes]
    # A list of images, not an image that is written as a list.
    if isinstance(fakes, list | tuple) and (not fakes or as_array(fakes[0]).ndim > 1):
        images = fakes
    planes = tuple(as_plane(one) for one in images)
    if not planes:
        msg = "There is no fake to compare; give at least one."
        raise InputError(msg)
    return planes


def _names(
    count: int, names: Sequence[str] | None, with_truth: bool
) -> tuple[str, ...]:
    if names is None:
        return ("fake",) if count == 1 else tuple(f"fake {i + 1}" for i in range(count))
    if len(names) != count or len(set(names)) != count:
        msg = f"{count} fakes need as many names, all different, not {list(names)}."
        raise InputError(msg)
    # That is what the row of the real itself is called.
    taken = "real" if with_truth else None
    return tuple(f"{name} (fake)" if name == taken else name for name in names)


def _why_no_draws(reference: Reference, name: str, draws: int) -> str:
    count = int(reference.members(name).sum())
    if draws == 0:
        return "No intervals and no noise floor: the prompts were not drawn anew."
    if count < LEAST_PROMPTS:
        return (
            f"No intervals and no noise floor: they need at least {LEAST_PROMPTS} "
            f"prompts of {name}, there {'is' if count == 1 else 'are'} {count}."
        )
    return ""
