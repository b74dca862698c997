"""A reference applied to an image plane: similarity, mask and instances.

The dock, the Python API and the command all come through here, so that they give
the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from napari_dinoprompt.core.backbones.load import BackboneChoice
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import fits_whole, iter_features
from napari_dinoprompt.core.images.intensity import (
    IntensityWindow,
    match_histogram,
    notice_of_window,
)
from napari_dinoprompt.core.images.lazy_plane import LazyPlane
from napari_dinoprompt.core.images.plane import as_plane
from napari_dinoprompt.core.masks.cleaning import Cleaning, clean_and_label
from napari_dinoprompt.core.progress import Notice, Progress, runs_to_end
from napari_dinoprompt.core.references.reference import Reference, resolve_thresholds

from .large import LargeSegmentation, iter_segment_large
from .similarities import MapKind, Segmented, Similarities, score_classes

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features.feature_map import FeatureMap


# How an image's grey values become black and white.
#
# *reference*: as those of the reference's source, so that nothing is forgiven.
# *image*: by the image's own percentiles, which forgives brightness and contrast.
# *histogram*: they are first exchanged for those of a real image, rank by rank, which
# forgives any curve between the two; only their order counts.
WindowPolicy = Literal["reference", "image", "histogram"]

# A policy, or the grey values that are seen as 0 and 1.
Window = WindowPolicy | IntensityWindow | tuple[float, float]


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
    map : {"fitted", "plain"}
        Which similarity is given out: the one that is cut, or the plain cosine of the
        cells, as `similarity_map` has it without fitting. Masks are the same.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> cleaning = dp.Cleaning(min_size=20, split=True)
    >>> options = dp.SegmentOptions(window="image", threshold=0.5, cleaning=cleaning)
    >>> options.threshold
    0.5
    """

    window: Window = "reference"
    threshold: float | None = None
    cleaning: Cleaning = field(default_factory=Cleaning)
    objects_3d: bool = False
    spacing: tuple[float, float, float] | None = None
    map: MapKind = "fitted"

    def __post_init__(self) -> None:
        if self.map not in get_args(MapKind):
            raise InputError(f"The map is 'fitted' or 'plain', not {self.map!r}.")


@dataclass(frozen=True, eq=False)
class Segmentation(Segmented):
    """The result of `segment`.

    Attributes
    ----------
    similarity : (H, W) ndarray of float32
        Of the first object class, of the kind below; `similarities` has all.
    mask : (H, W) ndarray of uint8
        Class numbers after cleaning.
    instances : (H, W) ndarray of int32
        Object numbers.
    thresholds : mapping of str to float
        What was used, by class.
    similarities : Similarities
    kind : {"fitted", "plain"}
        What `similarity` and `maps` are.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> features = dp.extract_features(image, backbone)
    >>> points = [(20, 60), (20, 100), (60, 60)]
    >>> reference = dp.Reference.from_prompts(features, points)
    >>> result = dp.segment(image, reference, backbone)
    >>> result.similarity.shape, result.mask.dtype, result.objects
    ((160, 160), dtype('uint8'), 16)
    """

    similarity: NDArray[np.float32]
    mask: NDArray[np.uint8]
    instances: NDArray[np.int32]
    thresholds: Mapping[str, float]
    similarities: Similarities
    kind: MapKind = "fitted"

    @property
    def scores(self) -> Similarities:
        """Similarities with all classes."""
        return self.similarities

    @property
    def maps(self) -> NDArray[np.float32]:
        """(K, H, W) ndarray of float32: similarities with the object classes."""
        return np.stack([self.similarities.of(name, self.kind) for name in self.names])

    def iter_levels(self) -> Generator[Progress, None, dict[str, list[Any]]]:
        """Return the only level of all results, as of a large plane all levels.

        Yields
        ------
        Progress
            Never: all is there.

        Returns
        -------
        dict of str to list of (H, W) ndarray
            By ``similarity`` (of the first class), ``mask`` and ``instances``.
        """
        yield from ()
        return {
            "similarity": [self.similarity],
            "mask": [self.mask],
            "instances": [self.instances],
        }


def iter_segment(
    image: ArrayLike | LazyPlane,
    reference: Reference,
    backbone: Backbone | None = None,
    options: SegmentOptions | None = None,
    *,
    like: ArrayLike | None = None,
) -> Generator[Progress | Notice, None, Segmentation | LargeSegmentation]:
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

    Yields
    ------
    Progress
        After each batch of tiles.
    Notice
        If the device was too small, or the image shows nothing in the window.

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

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> features = dp.extract_features(image, backbone)
    >>> points = [(20, 60), (20, 100), (60, 60)]
    >>> reference = dp.Reference.from_prompts(features, points)
    >>> result = dp.segment(np.roll(image, 15, axis=1), reference, backbone)
    >>> bool(result.mask[20, 75]), bool(result.mask[20, 60])
    (True, False)
    """
    options = options or SegmentOptions()
    # Before the work, not after it.
    backbone = fitting_backbone(reference, backbone)
    thresholds = resolve_thresholds(reference, options.threshold)
    window = target_window(reference, options.window)
    check_like(options.window, like)
    plane = LazyPlane.of(image)
    if not fits_whole(plane.shape, backbone, reference.upscale):
        if options.window == "histogram":
            raise InputError(
                "Matching histograms needs the whole image in memory, and this one is "
                "too large. Take another window."
            )
        chosen = options.cleaning, options.map
        return (
            yield from iter_segment_large(
                plane, reference, backbone, window, thresholds, *chosen
            )
        )
    whole = plane.whole()
    pixels = as_plane(whole if like is None else match_histogram(whole, like))
    features = yield from iter_features(
        pixels, backbone, upscale=reference.upscale, window=window
    )
    yield from tell_of_window(pixels, features, window, reference)
    return threshold_and_clean(score_classes(features, reference), thresholds, options)


segment = runs_to_end("segment", iter_segment)


def tell_of_window(
    plane: NDArray[np.generic],
    features: FeatureMap,
    window: IntensityWindow | None,
    reference: Reference,
    name: str = "",
) -> Generator[Notice, None, None]:
    """Say so if an image that is seen in the window of a reference hardly fits it."""
    if window is None or window != reference.window or features.featureless:
        return
    notice = notice_of_window([plane], window, name)
    if notice is not None:
        yield notice


def threshold_and_clean(
    similarities: Similarities, thresholds: Mapping[str, float], options: SegmentOptions
) -> Segmentation:
    """Cut similarities into a clean mask and objects; one threshold per class."""
    plain = similarities.mask(thresholds)
    mask, instances = clean_and_label(plain, options.cleaning, similarities.no_data)
    return Segmentation(
        similarity=similarities.of(similarities.names[0], options.map),
        mask=mask,
        instances=instances,
        thresholds=dict(thresholds),
        similarities=similarities,
        kind=options.map,
    )


def fitting_backbone(
    reference: Reference, backbone: Backbone | None = None
) -> Backbone:
    """Return the backbone of a reference: the one given, or loaded by its name.

    Raises IncompatibleReferenceError if the one given is another, and
    WeightsNotFoundError if its weights are not here.
    """
    if backbone is None:
        info = reference.backbone
        backbone = BackboneChoice(info.name).fitting(info).load()
    reference.check_backbone(backbone.info)
    return backbone


def check_like(policy: Window, like: ArrayLike | None) -> None:
    """Check that an image to match is given where it is needed, and only there."""
    matching = isinstance(policy, str) and policy == "histogram"
    if matching == (like is None):
        msg = "The window 'histogram' and the real image to match go together: " + (
            "give the image too (like=..., --like REAL)."
            if matching
            else "give window='histogram' (--window histogram) or no image to match."
        )
        raise InputError(msg)


def target_window(reference: Reference, policy: Window) -> IntensityWindow | None:
    """Settle the intensity window of an image that a reference is applied to.

    None where the image's own percentiles decide. Histograms are matched to images
    that are seen as the reference's source.
    """
    if policy in ("reference", "histogram"):
        return reference.window
    if policy == "image":
        return None
    if isinstance(policy, str):
        raise InputError(
            "The window is 'reference', 'image', 'histogram' or (low, high), not "
            f"{policy!r}."
        )
    if not isinstance(policy, IntensityWindow):
        try:
            low, high = policy
        except (TypeError, ValueError):
            msg = f"A window is a pair (low, high), not {policy!r}."
            raise InputError(msg) from None
        return IntensityWindow(low, high)
    return policy
