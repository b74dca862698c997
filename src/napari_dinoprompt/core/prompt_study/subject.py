"""What is studied: one plane with its features, prompts and, if known, the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.feature_map import CellLengths, FeatureMap
from napari_dinoprompt.core.images.labels import as_labels
from napari_dinoprompt.core.prompts import PlaneIndex, list_classes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.references.reference import Reference


@dataclass(frozen=True, eq=False)
class Subject:
    """One plane with its features, prompts and, if known, the truth.

    Attributes
    ----------
    features : FeatureMap
        Of the plane.
    reference : Reference
        Of all prompts; its statistics stay as they are, whichever prompts are left.
    lengths : CellLengths
        Of the features with these statistics.
    class_name : str
        The object class that is studied; the prompts of all others stay as they are.
    members : (n,) ndarray of int64
        Indices of this class's prompts in the reference.
    here : (N,) ndarray of bool
        Which prompts of the reference lie on this plane.
    truth : (H, W) ndarray of bool or None
        Where objects really are.
    """

    features: FeatureMap
    reference: Reference
    lengths: CellLengths
    class_name: str
    members: NDArray[np.int64]
    here: NDArray[np.bool_]
    truth: NDArray[np.bool_] | None


def make_subject(
    features: FeatureMap,
    reference: Reference,
    *,
    truth: ArrayLike | None = None,
    class_name: str | None = None,
    plane: PlaneIndex = (),
    lengths: CellLengths | None = None,
) -> Subject:
    """Check what is to be studied.

    Takes truth (H, W).
    """
    reference.check_backbone(features.backbone)
    reference.check_objects()
    name = class_name or reference.object_classes[0]
    if name not in reference.object_classes:
        known = list_classes(reference.object_classes)
        msg = f"There is no object class {name!r} to study; there is {known}."
        raise InputError(msg)
    if features.featureless:
        msg = "The plane is constant or white noise: there is nothing to study."
        raise InputError(msg)
    return Subject(
        features=features,
        reference=reference,
        lengths=lengths
        or CellLengths.of(features, reference.statistics, reference.scoring),
        class_name=name,
        members=np.flatnonzero(reference.members(name)),
        here=np.array([index == plane for index in reference.planes]),
        truth=_check_truth(truth, features),
    )


def _check_truth(
    truth: ArrayLike | None, features: FeatureMap
) -> NDArray[np.bool_] | None:
    if truth is None:
        return None
    labels = as_labels(truth)
    if labels.shape != features.grid.shape:
        height, width = features.grid.shape
        raise InputError(
            f"The truth must be labels of {height} x {width} pixels as the image, not "
            f"of shape {labels.shape}."
        )
    there = labels != 0
    if features.no_data is not None:
        there = there & ~features.no_data
    if not there.any():
        raise InputError("The truth is empty: it marks no pixel as an object.")
    return np.asarray(there)
