"""A reference applied to an image plane: similarity, mask and instances.

The dock, the Python API and the command all come through here, so that they give
the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from napari_dinoprompt.core.backbones import load_backbone
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.estimate import fits_whole
from napari_dinoprompt.core.extraction import iter_features
from napari_dinoprompt.core.histograms import match_histogram
from napari_dinoprompt.core.intensity import IntensityWindow
from napari_dinoprompt.core.lazy_planes import LazyPlane
from napari_dinoprompt.core.masks import (
    Cleaning,
    class_mask,
    clean_mask,
    split_instances,
)
from napari_dinoprompt.core.progress import run_through
from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.similarity import as_map, score_plane
from napari_dinoprompt.core.streaming.segmentation import (
    LargeSegmentation,
    iter_segment_large,
)
from napari_dinoprompt.core.thresholds import resolve_thresholds

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.cell_lengths import CellLengths
    from napari_dinoprompt.core.features import FeatureMap
    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.reference import Reference
    from napari_dinoprompt.core.similarity import ScoredPlane

__all__ = [
    "SegmentOptions",
    "Segmentation",
    "Similarities",
    "WindowPolicy",
    "cut",
    "finish",
    "fitting_backbone",
    "iter_segment",
    "score",
    "segment",
    "spread",
    "target_plane",
    "target_window",
]

WindowPolicy = Literal["reference", "image", "histogram"]
"""How an image's grey values become black and white.

*reference*: as those of the reference's source, so that nothing is forgiven.
*image*: by the image's own percentiles, which forgives brightness and contrast.
*histogram*: they are first exchanged for those of a real image, rank by rank, which
forgives any curve between the two; only their order counts."""


@dataclass(frozen=True)
class SegmentOptions:
    """How a reference is applied.

    Attributes
    ----------
    window : "reference", "image", "histogram", IntensityWindow or (low, high)
        Which grey values the backbone sees as 0 and 1, see `WindowPolicy`.
    threshold : float or None
        In [-1, 1], for all classes; None leaves it to the reference.
    cleaning : Cleaning
        Smallest object, holes, touching objects.
    objects_3d : bool
        Of a stack: objects go through the planes, and are cleaned and numbered in
        3-D. Otherwise in each plane.
    spacing : (float, float, float) or None
        Distance of the voxels along z, y and x, in any one unit, for objects in 3-D;
        None is what the file of a stack says, and else the same along all three.
    """

    window: WindowPolicy | IntensityWindow | tuple[float, float] = "reference"
    threshold: float | None = None
    cleaning: Cleaning = field(default_factory=Cleaning)
    objects_3d: bool = False
    spacing: tuple[float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Similarities:
    """Similarity with every class at every pixel; no threshold has been applied.

    Attributes
    ----------
    names : tuple of K str
        Object classes; class number k + 1 is ``names[k]``.
    objects : (K, H, W) tensor of float32
        Along the edges of the image.
    rivals : (1 + K, H, W) tensor of float32 or None
        By which background and classes compete, see `class_mask`.
    window : IntensityWindow
        The grey values that the backbone saw as 0 and 1.
    no_data : (H, W) ndarray of bool or None
    nothing : bool
        The plane is constant or white noise: whatever the similarity, there is no
        object.
    """

    names: tuple[str, ...]
    objects: torch.Tensor
    rivals: torch.Tensor | None
    window: IntensityWindow
    no_data: NDArray[np.bool_] | None
    nothing: bool

    def of(self, name: str) -> NDArray[np.float32]:
        """Return the similarity map of one class.

        Returns
        -------
        (H, W) ndarray of float32
            NaN where the image holds no data.
        """
        if name == BACKGROUND and self.rivals is not None:
            return as_map(self.rivals[0], self.no_data)
        return as_map(self.objects[self.names.index(name)], self.no_data)

    def mask(self, thresholds: Mapping[str, float]) -> NDArray[np.uint8]:
        """Return the plain mask.

        Parameters
        ----------
        thresholds : mapping of str to float
            One per object class.

        Returns
        -------
        (H, W) ndarray of uint8
            Class numbers; 0 where the image holds no data.
        """
        if self.nothing:
            return np.zeros(tuple(self.objects.shape[1:]), dtype=np.uint8)
        limits = [thresholds[name] for name in self.names]
        mask = class_mask(self.objects, limits, self.rivals)
        if self.no_data is not None:
            mask[self.no_data] = 0
        return mask


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The result of `segment`.

    Attributes
    ----------
    similarity : (H, W) ndarray of float32
        Of the first object class; `similarities` has all.
    mask : (H, W) ndarray of uint8
        Class numbers after cleaning.
    instances : (H, W) ndarray of int32
        Object numbers.
    thresholds : mapping of str to float
        What was used, by class.
    similarities : Similarities
    """

    similarity: NDArray[np.float32]
    mask: NDArray[np.uint8]
    instances: NDArray[np.int32]
    thresholds: Mapping[str, float]
    similarities: Similarities

    @property
    def names(self) -> tuple[str, ...]:
        """Object classes; class number k + 1 is ``names[k]``."""
        return self.similarities.names

    @property
    def window(self) -> IntensityWindow:
        """The grey values that the backbone saw as 0 and 1."""
        return self.similarities.window

    @property
    def objects(self) -> int:
        """How many objects there are, of all classes."""
        return int(self.instances.max(initial=0))

    @property
    def maps(self) -> NDArray[np.float32]:
        """(K, H, W) ndarray of float32: similarities with the object classes."""
        return np.stack([self.similarities.of(name) for name in self.names])

    @property
    def threshold(self) -> float:
        """The threshold of the first object class."""
        return self.thresholds[self.names[0]]


def score(
    features: FeatureMap, reference: Reference, lengths: CellLengths | None = None
) -> Similarities:
    """Compare a feature map with every class of a reference.

    Parameters
    ----------
    features : FeatureMap
    reference : Reference
        With at least one object class.
    lengths : CellLengths, optional
        Of these features under this reference's statistics, if kept from before.

    Returns
    -------
    Similarities

    Raises
    ------
    InputError
        If the reference has background prompts only.
    IncompatibleReferenceError
        If the features are of another backbone.
    """
    with torch.inference_mode():
        scored = score_plane(features, reference, lengths)
    return spread(scored, reference)


def spread(scored: ScoredPlane, reference: Reference) -> Similarities:
    """Bring the similarities of a plane's cells to its pixels.

    Parameters
    ----------
    scored : ScoredPlane
    reference : Reference
        What it was scored with.

    Returns
    -------
    Similarities
    """
    with torch.inference_mode():
        return Similarities(
            names=reference.object_classes,
            objects=scored.object_pixels(),
            rivals=scored.rivals(),
            window=scored.features.window,
            no_data=scored.features.no_data,
            nothing=scored.features.featureless,
        )


def finish(
    mask: NDArray[np.uint8],
    cleaning: Cleaning,
    no_data: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Clean a plain mask and number its objects.

    Parameters
    ----------
    mask : (H, W) ndarray of uint8
    cleaning : Cleaning
    no_data : (H, W) ndarray of bool, optional
        Pixels that stay 0, whatever is filled around them.

    Returns
    -------
    mask : (H, W) ndarray of uint8
        Where splitting dropped a fragment below the smallest size, it is 0 here too.
    instances : (H, W) ndarray of int32
    """
    cleaned = clean_mask(mask, cleaning)
    if no_data is not None:
        cleaned[no_data] = 0
    instances = split_instances(cleaned, cleaning)
    cleaned[instances == 0] = 0
    return cleaned, instances


def segment(
    image: ArrayLike | LazyPlane,
    reference: Reference,
    backbone: Backbone | None = None,
    options: SegmentOptions | None = None,
    *,
    like: ArrayLike | None = None,
) -> Segmentation | LargeSegmentation:
    """Find in an image plane what resembles the prompts of a reference.

    Parameters
    ----------
    image : LazyPlane, or (H, W) or (H, W, 3 or 4) array_like
        Any image; the reference's statistics are used unchanged. A large one is read
        part by part, so that dask and zarr arrays are never in memory as a whole.
    reference : Reference
    backbone : Backbone, optional
        The one of the reference; loaded by its name if not given.
    options : SegmentOptions, optional
    like : (h, w) or (h, w, 3 or 4) array_like, optional
        For the window "histogram": the real image whose grey values are wanted.

    Returns
    -------
    Segmentation or LargeSegmentation
        The latter for a plane that is too large to hold; its arrays are on the disk.

    Raises
    ------
    InputError
        If the image or an option cannot be used.
    IncompatibleReferenceError
        If the backbone is not the reference's.
    WeightsNotFoundError
        If the backbone has to be loaded and its weights are not here.
    """
    return run_through(iter_segment(image, reference, backbone, options, like=like))


def iter_segment(
    image: ArrayLike | LazyPlane,
    reference: Reference,
    backbone: Backbone | None = None,
    options: SegmentOptions | None = None,
    *,
    like: ArrayLike | None = None,
) -> Generator[Progress | Notice, None, Segmentation | LargeSegmentation]:
    """Segment as `segment` does, step by step.

    Parameters
    ----------
    image, reference, backbone, options, like
        As `segment`.

    Yields
    ------
    Progress
        After each batch of tiles.
    Notice
        If the device was too small.

    Returns
    -------
    Segmentation or LargeSegmentation

    Raises
    ------
    DinopromptError
        As `segment`.
    """
    options = options or SegmentOptions()
    # Before the work, not after it.
    backbone = fitting_backbone(reference, backbone)
    thresholds = resolve_thresholds(reference, options.threshold)
    window = target_window(reference, options.window)
    plane = LazyPlane.of(image)
    if not fits_whole(plane.shape, backbone, reference.upscale):
        if options.window == "histogram":
            msg = (
                "Matching histograms needs the whole image in memory, and this one is "
                "too large. Take another window."
            )
            raise InputError(msg)
        return (
            yield from iter_segment_large(
                plane, reference, backbone, window, thresholds, options.cleaning
            )
        )
    features = yield from iter_features(
        target_plane(plane.whole(), options.window, like),
        backbone,
        upscale=reference.upscale,
        window=window,
    )
    return cut(score(features, reference), thresholds, options.cleaning)


def cut(
    similarities: Similarities, thresholds: Mapping[str, float], cleaning: Cleaning
) -> Segmentation:
    """Cut similarities into a clean mask and objects.

    Parameters
    ----------
    similarities : Similarities
    thresholds : mapping of str to float
        One per object class.
    cleaning : Cleaning

    Returns
    -------
    Segmentation
    """
    plain = similarities.mask(thresholds)
    mask, instances = finish(plain, cleaning, similarities.no_data)
    return Segmentation(
        similarity=similarities.of(similarities.names[0]),
        mask=mask,
        instances=instances,
        thresholds=dict(thresholds),
        similarities=similarities,
    )


def fitting_backbone(
    reference: Reference, backbone: Backbone | None = None
) -> Backbone:
    """Return the backbone of a reference.

    Parameters
    ----------
    reference : Reference
    backbone : Backbone, optional
        The one to check; loaded by its name if not given.

    Returns
    -------
    Backbone

    Raises
    ------
    IncompatibleReferenceError
        If the backbone is not the reference's.
    WeightsNotFoundError
        If it has to be loaded and its weights are not here.
    """
    if backbone is None:
        info = reference.backbone
        backbone = load_backbone(
            info.name, block=info.block if info.block >= 0 else None
        )
    reference.check_backbone(backbone.info)
    return backbone


def target_plane(
    image: ArrayLike,
    policy: WindowPolicy | IntensityWindow | tuple[float, float],
    like: ArrayLike | None = None,
) -> ArrayLike:
    """Settle the grey values of an image that a reference is applied to.

    Parameters
    ----------
    image : (H, W) or (H, W, 3 or 4) array_like
    policy : WindowPolicy, IntensityWindow or (low, high)
    like : (h, w) or (h, w, 3 or 4) array_like, optional

    Returns
    -------
    array_like
        The image itself, except for the policy "histogram".

    Raises
    ------
    InputError
        If one of the policy "histogram" and `like` is given without the other.
    """
    matching = isinstance(policy, str) and policy == "histogram"
    if matching == (like is None):
        msg = "The window 'histogram' and the real image to match go together: " + (
            "give the image too (like=..., --like REAL)."
            if matching
            else "give window='histogram' (--window histogram) or no image to match."
        )
        raise InputError(msg)
    return image if like is None else match_histogram(image, like)


def target_window(
    reference: Reference,
    policy: WindowPolicy | IntensityWindow | tuple[float, float],
) -> IntensityWindow | None:
    """Settle the intensity window of an image that a reference is applied to.

    Returns
    -------
    IntensityWindow or None
        None where the image's own percentiles decide. Histograms are matched to
        images that are seen as the reference's source.
    """
    if policy in ("reference", "histogram"):
        return reference.window
    if policy == "image":
        return None
    if isinstance(policy, str):
        msg = (
            "The window is 'reference', 'image', 'histogram' or (low, high), not "
            f"{policy!r}."
        )
        raise InputError(msg)
    if not isinstance(policy, IntensityWindow):
        try:
            low, high = policy
        except (TypeError, ValueError):
            msg = f"A window is a pair (low, high), not {policy!r}."
            raise InputError(msg) from None
        return IntensityWindow(low, high)
    return policy
