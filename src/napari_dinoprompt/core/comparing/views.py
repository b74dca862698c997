"""The images of a comparison on one grid, and a reference applied to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.auto_threshold import threshold_elsewhere
from napari_dinoprompt.core.cell_lengths import CellLengths
from napari_dinoprompt.core.comparing.greys import as_grey
from napari_dinoprompt.core.comparing.grids import match_plane
from napari_dinoprompt.core.comparing.measures import Side
from napari_dinoprompt.core.comparing.ranges import match_range
from napari_dinoprompt.core.extraction import iter_features
from napari_dinoprompt.core.histograms import match_histogram
from napari_dinoprompt.core.masks import finish
from napari_dinoprompt.core.planes import as_plane, plane_shape, shows_nothing
from napari_dinoprompt.core.segmentation import cut
from napari_dinoprompt.core.similarities import spread
from napari_dinoprompt.core.similarity import score_plane
from napari_dinoprompt.core.target_images import target_window

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features import FeatureMap
    from napari_dinoprompt.core.masks import Cleaning
    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation import Segmentation, SegmentOptions

__all__ = ["Applied", "FakePlane", "View", "apply_reference", "iter_view", "place_fake"]


@dataclass(frozen=True, eq=False)
class FakePlane:
    """A fake on the grid of the real.

    Attributes
    ----------
    plane : (H, W) or (H, W, 3) ndarray
    nothing : bool
        As it came it was constant or white noise. Once it is resampled, noise can no
        longer be told.
    """

    plane: NDArray[np.generic]
    nothing: bool


@dataclass(frozen=True, eq=False)
class View:
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
    """

    segmentation: Segmentation
    side: Side
    own_threshold: float


def place_fake(
    image: ArrayLike, real: NDArray[np.generic], options: SegmentOptions
) -> FakePlane:
    """Bring a fake to the range and the grid of the real.

    Parameters
    ----------
    image : (h, w) or (h, w, 3 or 4) array_like
    real : (H, W) or (H, W, 3) ndarray
    options : SegmentOptions
        Whose window may ask for the histogram of the real.

    Returns
    -------
    FakePlane

    Raises
    ------
    InputError
        If the fake is no image plane or has another aspect ratio.
    """
    original = as_plane(image)
    plane = match_plane(match_range(original, real), plane_shape(real))
    if isinstance(options.window, str) and options.window == "histogram":
        plane = match_histogram(plane, real)
    return FakePlane(plane, shows_nothing(original))


def iter_view(
    plane: FakePlane,
    reference: Reference,
    backbone: Backbone,
    options: SegmentOptions,
) -> Generator[Progress | Notice, None, View]:
    """Compute what of an image does not depend on the prompts.

    Parameters
    ----------
    plane : FakePlane
        Or the real as its own fake.
    reference : Reference
    backbone : Backbone
    options : SegmentOptions

    Yields
    ------
    Progress
        In tiles.

    Returns
    -------
    View
    """
    features = yield from iter_features(
        plane.plane,
        backbone,
        upscale=reference.upscale,
        window=target_window(reference, options.window),
    )
    features = replace(features, featureless=plane.nothing or features.featureless)
    return View(
        grey=as_grey(features.window.apply(plane.plane)),
        features=features,
        lengths=CellLengths.of(features, reference.statistics, reference.scoring),
    )


def apply_reference(
    view: View,
    reference: Reference,
    thresholds: Mapping[str, float],
    cleaning: Cleaning,
    name: str,
    distinct: Reference | None = None,
) -> Applied:
    """Segment a view, at given thresholds and at its own.

    Parameters
    ----------
    view : View
    reference : Reference
    thresholds : mapping of str to float
        By object class.
    cleaning : Cleaning
    name : str
        The object class that is compared.
    distinct : Reference, optional
        The same without copies of prompts, if it holds any.

    Returns
    -------
    Applied
    """
    with torch.inference_mode():
        scored = score_plane(view.features, reference, view.lengths)
    similarities = spread(scored, reference)
    no_data = view.features.no_data
    segmentation = cut(similarities, thresholds, cleaning)
    mask, instances = segmentation.mask, segmentation.instances
    own = threshold_elsewhere(distinct or reference, scored, name)
    # Only the pixels of this mask are compared: it need not be split into objects.
    own_mask, _ = finish(
        similarities.mask({**thresholds, name: own}),
        replace(cleaning, split=False),
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
    return Applied(segmentation, side, own)
