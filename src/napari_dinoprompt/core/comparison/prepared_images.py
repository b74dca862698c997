"""The images of a comparison on one grid, and a reference applied to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.features.extraction import iter_features
from napari_dinoprompt.core.features.feature_map import CellLengths, FeatureMap
from napari_dinoprompt.core.images.alignment import match_plane, match_range
from napari_dinoprompt.core.images.intensity import match_histogram
from napari_dinoprompt.core.images.plane import as_plane, plane_shape
from napari_dinoprompt.core.masks.cleaning import clean_and_label
from napari_dinoprompt.core.references.reference import Reference, resolve_thresholds
from napari_dinoprompt.core.scoring.places import find_matches, threshold_elsewhere
from napari_dinoprompt.core.scoring.similarity import score_plane
from napari_dinoprompt.core.segmentation.segment import (
    target_window,
    tell_of_window,
    threshold_and_clean,
)
from napari_dinoprompt.core.segmentation.similarities import scores_to_pixels

from .intensity import as_grey
from .measures import Side

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.scoring.places import Place
    from napari_dinoprompt.core.segmentation.segment import Segmentation, SegmentOptions


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """What of an image does not depend on the prompts.

    Attributes
    ----------
    grey : (H, W) ndarray of float32
        Windowed to [0, 1].
    features : FeatureMap
    lengths : CellLengths
        Of the features, with the statistics of the reference.
    """

    grey: NDArray[np.float32]
    features: FeatureMap
    lengths: CellLengths


@dataclass(frozen=True, eq=False)
class Applied:
    """A reference applied to a view.

    Attributes
    ----------
    segmentation : Segmentation
    side : Side
        Of one class.
    own_threshold : float
        Where the image itself would be cut.
    matches : tuple of Place
        By which that was chosen.
    """

    segmentation: Segmentation
    side: Side
    own_threshold: float
    matches: tuple[Place, ...]


def place_fake(
    image: ArrayLike, real: NDArray[np.generic], options: SegmentOptions
) -> NDArray[np.generic]:
    """Bring a fake to the range and the grid of the real.

    Takes image (h, w) or (h, w, 3 or 4), real (H, W) or (H, W, 3).
    """
    plane: NDArray[np.generic] = as_plane(image)
    plane = match_plane(match_range(plane, real), plane_shape(real))
    if isinstance(options.window, str) and options.window == "histogram":
        plane = match_histogram(plane, real)
    return plane


def iter_prepared_image(
    plane: NDArray[np.generic],
    reference: Reference,
    backbone: Backbone,
    options: SegmentOptions,
    *,
    nothing: bool,
    name: str = "",
) -> Generator[Progress | Notice, None, PreparedImage]:
    """Compute what of an image does not depend on the prompts.

    Takes plane (H, W) or (H, W, 3), on the grid of the real; its name is for what is to
    be said of its grey values. `nothing` tells that as it
    came it was constant or white noise: once it is resampled, noise can no longer be
    told.
    """
    window = target_window(reference, options.window)
    features = yield from iter_features(
        plane, backbone, upscale=reference.upscale, window=window
    )
    features = replace(features, featureless=nothing or features.featureless)
    yield from tell_of_window(plane, features, window, reference, name)
    return PreparedImage(
        grey=as_grey(features.window.apply(plane)),
        features=features,
        lengths=CellLengths.of(features, reference.statistics, reference.scoring),
    )


def apply_reference(
    view: PreparedImage,
    reference: Reference,
    options: SegmentOptions,
    name: str,
    matches: tuple[Place, ...] | None = None,
) -> Applied:
    """Segment a view, at the threshold of the options and at its own.

    One object class is compared; `matches` are its best ones in the view, if they are
    known from other prompts.
    """
    thresholds = resolve_thresholds(reference, options.threshold)
    with torch.inference_mode():
        scored = score_plane(view.features, reference, view.lengths)
    similarities = scores_to_pixels(scored, reference)
    no_data = view.features.no_data
    segmentation = threshold_and_clean(similarities, thresholds, options)
    mask, instances = segmentation.mask, segmentation.instances
    if matches is None:
        matches = find_matches(reference, scored, name)
    own = reference.auto_thresholds[name]
    if matches:
        own = threshold_elsewhere(reference, name, matches)
    # Only the pixels of this mask are compared: it need not be split into objects.
    own_mask, _ = clean_and_label(
        similarities.mask({**thresholds, name: own}),
        replace(options.cleaning, split=False),
        no_data,
    )
    number = similarities.names.index(name) + 1
    side = Side(
        mask=mask == number,
        instances=np.where(mask == number, instances, np.int32(0)),
        grey=view.grey,
        similarity=similarities.of(name),
        own_mask=own_mask == number,
        features=view.features,
        affine=reference.affine(),
        no_data=no_data,
    )
    return Applied(segmentation, side, own, matches)
