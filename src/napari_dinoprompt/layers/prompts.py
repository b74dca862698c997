"""The Points layer that holds prompts, and what it remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Points

from napari_dinoprompt.core.errors import ReferenceFileError
from napari_dinoprompt.layers.coordinates import CLASS_COLUMN
from napari_dinoprompt.layers.ownership import OWNER, is_ours, noted_in, owned
from napari_dinoprompt.layers.planes import plane_shape, spatial_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.references.reference import Reference

# Pixels of the image, and of the screen, where the whole of a slide is in view.
_LARGEST_POINT = 30.0
_POINT_ON_SCREEN = (5, 10_000)


def make_prompt_layer(image: Image, colours: Mapping[str, str], current: str) -> Points:
    """Make the empty Points layer for an image's prompts, coloured by class.

    Its feature column ``class`` lets napari save it as a prompt file; `current` is the
    class of the next click.
    """
    return Points(
        ndim=image.ndim,
        name=f"{image.name} prompts",
        features={CLASS_COLUMN: np.empty(0, dtype=object)},
        feature_defaults={CLASS_COLUMN: current},
        face_color=CLASS_COLUMN,
        face_color_cycle=dict(colours),
        border_color="white",
        border_width=0.15,
        # Of a slide of thousands of pixels a sixtieth would cover what it marks.
        size=float(np.clip(min(plane_shape(image)) / 60, 2, _LARGEST_POINT)),
        canvas_size_limits=_POINT_ON_SCREEN,
        metadata=owned(image, "prompts"),
        **spatial_metadata(image),
    )


def set_prompts(points: Points, where: ArrayLike, classes: Sequence[str]) -> None:
    """Replace all points of a prompt layer by (N, ndim) ones in its own coordinates."""
    # napari takes the class of the next click from the last of these, or from none.
    following = points.feature_defaults.copy()
    points.selected_data = set()
    points.data = np.asarray(where, dtype=np.float64).reshape(-1, points.ndim)
    points.features = {CLASS_COLUMN: np.array(classes, dtype=object)}
    points.feature_defaults = following


def remember_thresholds(
    points: Points | None, backbone: str, thresholds: Mapping[str, float]
) -> None:
    """Keep the thresholds that the user set with our prompt layer, for a later dock."""
    if points is not None and is_ours(points):
        points.metadata[OWNER]["thresholds"] = (backbone, dict(thresholds))


def recall_thresholds(points: Points | None, backbone: str) -> dict[str, float]:
    """Return the thresholds that were kept with a prompt layer for this backbone."""
    if points is None or not is_ours(points):
        return {}
    kept_for, kept = points.metadata[OWNER].get("thresholds", ("", {}))
    return dict(kept) if kept_for == backbone else {}


def remember_reference(
    points: Points | None,
    where: NDArray[np.float64],
    classes: Sequence[str],
    reference: Reference,
) -> None:
    """Keep the reference of the prompts with our layer, for the writer.

    `where` is the data of the layer that the reference was made of, (N, ndim). A layer
    of the user's own is left as it is.
    """
    if points is not None and is_ours(points):
        points.metadata[OWNER]["reference"] = (where, tuple(classes), reference)


def recall_reference(
    metadata: Mapping[str, Any], data: ArrayLike, classes: Sequence[str]
) -> Reference | None:
    """Return the reference that was kept with the prompt layer of these metadata.

    None if the (N, ndim) points and their classes have changed since, or nothing was
    found with them yet. Raises `ReferenceFileError` if it is no prompt layer of ours
    (no ValueError: napari takes those of writers for its own).
    """
    mark = noted_in(metadata)
    if mark.get("role") != "prompts":
        raise ReferenceFileError(
            "Only the prompts layer of the dock Prompt segmentation can be saved as a "
            "reference. Save other points as .csv."
        )
    kept = mark.get("reference")
    if not isinstance(kept, tuple) or len(kept) != 3:
        return None
    where, names, reference = kept
    same = np.array_equal(where, np.asarray(data)) and tuple(classes) == names
    return reference if same else None
