"""Truth as people have it: whole numbers that say which object a pixel belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.validation import as_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


# Of the marked pixels of a picture of a mask, and of greys between black and white.
_MOSTLY, _FEW_GREYS = 0.5, 3
_MOST = np.iinfo(np.int32).max


def as_labels(truth: ArrayLike) -> NDArray[np.int32]:
    """Return labels as whole numbers, 0 where nothing is.

    Parameters
    ----------
    truth : (H, W) or (H, W, 3 or 4) array_like
        Booleans, integers, or floats that are whole numbers; of colours all channels
        have to be equal, an alpha channel is dropped.

    Returns
    -------
    (H, W) ndarray of int32

    Raises
    ------
    InputError
        If the numbers are none of these, are negative, or are the greys of a picture
        of a mask.
    """
    given = as_array(truth)
    labels = _one_channel(given)
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in "buif":
        raise InputError(
            f"The truth must be labels, (H, W) whole numbers, not {given.shape} of "
            f"{given.dtype}."
        )
    if labels.dtype.kind == "f" and not (np.floor(labels) == labels).all():
        raise InputError(
            "The truth holds fractions: it is no label image. Save labels, or a mask "
            "of two values."
        )
    if labels.dtype.kind in "if" and labels.min() < 0:
        raise InputError("The truth holds negative labels; 0 is the background.")
    if labels.all():
        raise InputError(
            "The truth has no background: no pixel is 0. Give objects numbers from 1 "
            "on, and 0 to all else."
        )
    if labels.max() > _MOST:
        msg = f"The truth holds labels above {_MOST}. Number the objects from 1."
        raise InputError(msg)
    _refuse_greys(labels)
    return np.asarray(labels, dtype=np.int32)


def as_objects(labels: ArrayLike) -> NDArray[np.int32]:
    """Return objects by number; of a mask of one value its connected regions.

    As `as_labels`.
    """
    given = as_labels(labels)
    if (given == 0).all() or (given[given > 0] != given.max()).any():
        return given
    from skimage.measure import label

    return np.asarray(label(given > 0), dtype=np.int32)


def _one_channel(given: NDArray[Any]) -> NDArray[Any]:
    """Take the channel of a picture whose colours are all grey."""
    if given.ndim != 3 or given.shape[2] not in (1, 3, 4):
        return given
    first = given[:, :, 0]
    if any((given[:, :, at] != first).any() for at in range(1, min(3, given.shape[2]))):
        raise InputError(
            "The truth has colours. Save labels, whole numbers of one channel, or a "
            "mask of two values."
        )
    return first


def _refuse_greys(labels: NDArray[Any]) -> None:
    """Refuse a mask with soft or lossy edges: its greys would pass for objects."""
    most = labels.max()
    if labels.dtype.kind == "b" or most not in (255, 65535):
        return
    white, between = labels == most, (labels > 0) & (labels < most)
    greys = len(np.unique(labels[between]))
    mostly_white = white.sum() > _MOSTLY * (white.sum() + between.sum())
    # Of labels most pixels have one of their kind beside them.
    beside = labels[:, 1:] == labels[:, :-1]
    alone = (between[:, 1:] & ~beside).sum() > _MOSTLY * between[:, 1:].sum()
    if greys >= _FEW_GREYS and (mostly_white or alone):
        raise InputError(
            f"The truth is a picture of a mask with {greys} greys between black and "
            "white, as JPEG or smooth edges make them. Save it with two values, or as "
            "labels."
        )
