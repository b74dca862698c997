"""Scoring one image again and again while its prompts change.

What depends on the image alone is prepared once per plane; a change of the prompts
then costs one product with the feature map of the plane in view.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_dinoprompt.core.features.extraction import (
    Estimate,
    check_memory,
    estimate,
    iter_features,
)
from napari_dinoprompt.core.features.large import LazyFeatures
from napari_dinoprompt.core.features.source import (
    NoDataError,
    iter_lazy_features,
    sample_window,
)
from napari_dinoprompt.core.images.intensity import (
    iter_sample,
    measure_stack_window,
    sample_planes,
)
from napari_dinoprompt.core.images.plane import as_plane, holds_data
from napari_dinoprompt.core.objects.counts import ObjectCounts, iter_counts
from napari_dinoprompt.core.progress import Notice, Progress
from napari_dinoprompt.core.references.reference import Reference, resolve_thresholds
from napari_dinoprompt.core.scoring.auto_threshold import fit_threshold, judge_threshold

from .large import ResultStore
from .plane_features import ImageFeatures, PlaneFeatures
from .similarities import Cleaned, MapKind, Scores, score_classes, scores_to_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.images.lazy_plane import LazyPlane
    from napari_dinoprompt.core.masks.cleaning import Cleaning
    from napari_dinoprompt.core.prompts import PlaneIndex, Prompts
    from napari_dinoprompt.core.references.from_prompts import NewReference
    from napari_dinoprompt.core.scoring.places import ClassValues


# What is said while planes are prepared: an estimate before each, then the plane.
Prepared = Progress | Estimate | tuple["PlaneIndex", PlaneFeatures]

# Thresholds that make the same mask to the eye.
_SAME_THRESHOLD = 0.02


@dataclass(frozen=True, eq=False)
class LiveResult:
    """What the current prompts find in the plane in view, or have found so far.

    Attributes
    ----------
    plane : tuple of int
        The plane.
    reference : Reference
        Of the prompts, with the thresholds that the user set.
    scores : Scores
        Similarities; those of a large plane fill region by region.
    thresholds : mapping of str to float
        In use, by object class: set by the user, or auto.
    masks : sequence of (h, w) arrays of uint8
        Levels of the plain class numbers, not cleaned; full resolution first.
    clicked : mapping of str to ClassValues
        What the maps have at the clicked objects, by object class.
    fitting_upscale : float or None
        At which the clicked objects would be large enough; None if none was found.
    """

    plane: PlaneIndex
    reference: Reference
    scores: Scores
    thresholds: Mapping[str, float]
    masks: Sequence[Any]
    clicked: Mapping[str, ClassValues]
    fitting_upscale: float | None

    @classmethod
    def of(
        cls,
        plane: PlaneIndex,
        reference: Reference,
        scores: Scores,
        made: NewReference,
        chosen: Mapping[str, float],
    ) -> LiveResult:
        """Cut scores of a reference; classes without a chosen threshold are on auto."""
        return cls(
            plane, reference, scores, {}, (), made.values, made.fitting_upscale
        ).cut(chosen)

    def cut(self, chosen: Mapping[str, float]) -> LiveResult:
        """Cut the scores anew; classes without a chosen threshold are on auto."""
        names = self.scores.names
        known = {name: value for name, value in chosen.items() if name in names}
        reference = self.reference.with_thresholds(known)
        thresholds = resolve_thresholds(reference)
        masks = self.scores.masks(thresholds)
        return replace(self, reference=reference, thresholds=thresholds, masks=masks)

    def judge(self, name: str) -> str:
        """Say what the threshold of a class does to its clicked objects.

        As `judge_threshold`; nothing where another threshold would not be better.
        """
        if name not in self.clicked or self.nothing:
            return ""
        used = self.thresholds[name]
        fitted = self.fitted_threshold(name)
        close = abs(used - fitted) < _SAME_THRESHOLD
        return "" if close else judge_threshold(self.clicked[name].own, used)

    def fitted_threshold(self, name: str) -> float:
        """Return the threshold that parts the clicked objects of a class best."""
        return fit_threshold(self.clicked[name].own)

    @property
    def names(self) -> tuple[str, ...]:
        """Object classes; class number k + 1 is ``names[k]``."""
        return self.scores.names

    @property
    def nothing(self) -> bool:
        """Whether the plane is known to be constant or white noise."""
        return self.scores.nothing

    @property
    def large(self) -> bool:
        """Whether the plane is too large to hold."""
        return len(self.masks) > 1

    @property
    def mask(self) -> Any:
        """(H, W) array of uint8: the plain class numbers at full resolution."""
        return self.masks[0]

    def iter_cut(
        self, chosen: Mapping[str, float]
    ) -> Generator[Progress, None, LiveResult]:
        """Cut the scores anew, after a threshold changed."""
        yield Progress(0, 0)
        return self.cut(chosen)

    def iter_clean(
        self, cleaning: Cleaning
    ) -> Generator[Progress, None, tuple[Cleaned, ObjectCounts]]:
        """Clean the mask, number its objects and count them."""
        cleaned = yield from self.scores.iter_clean(self.mask, cleaning)
        masks, instances = cleaned
        counts = yield from iter_counts(instances[0], masks[0], self.names)
        return cleaned, counts


def prepare_planes(
    image_features: ImageFeatures,
    open_plane: Callable[[PlaneIndex], LazyPlane],
    stack: tuple[int, ...],
    plane_size: tuple[int, int],
    get_backbone: Callable[[], Backbone],
    upscale: float,
    wanted: Iterable[PlaneIndex],
) -> Generator[Prepared | Notice, None, None]:
    """Extract the features of some planes of an image, step by step.

    Parameters
    ----------
    image_features : ImageFeatures
        Of the image; its window and its planes without data are set here, planes are
        yielded.
    open_plane : callable from plane index to LazyPlane
        It is read where the work is done, a large one part by part.
    stack : tuple of int
        Lengths of the axes before the plane; empty for a 2-D image.
    plane_size : (int, int)
        Height and width of the planes in pixels.
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
    plane index, PlaneFeatures
        Each plane when it is ready.

    Raises
    ------
    InputError
        If the image or the upscale cannot be used, or the features need more memory
        than there is; and what `load_backbone` raises. A plane of a stack that holds
        no data is no error: the others can be used.
    """
    for index in wanted:
        yield Progress(0, 0)
        backbone = get_backbone()
        # Before anything is read: a pyramid's full resolution may be huge.
        needed = estimate(plane_size, backbone, upscale)
        yield needed
        check_memory(needed.bytes, backbone.device)
        if not needed.whole:
            yield from _prepare_large(
                image_features, open_plane, stack, backbone, upscale, index
            )
            continue
        pixels = open_plane(index).whole()
        if stack and not holds_data(pixels):
            image_features.empty.add(index)
            continue
        plane = as_plane(pixels)
        if image_features.window is None and stack:
            sample = yield from iter_sample(
                lambda at: open_plane(at).whole(), stack, plane
            )
            image_features.window = measure_stack_window(sample)
        features = yield from iter_features(
            plane, backbone, upscale=upscale, window=image_features.window
        )
        yield index, PlaneFeatures(features)


def _prepare_large(
    image_features: ImageFeatures,
    open_plane: Callable[[PlaneIndex], LazyPlane],
    stack: tuple[int, ...],
    backbone: Backbone,
    upscale: float,
    index: PlaneIndex,
) -> Generator[Prepared | Notice, None, None]:
    """Sample a plane that is too large to hold; its features come when asked for."""
    if image_features.window is None:
        planes = [open_plane(one) for one in (sample_planes(stack) if stack else [()])]
        image_features.window = yield from sample_window(planes, backbone, upscale)
    try:
        # Where the planes that stand for a stack hold no data, this one decides.
        features = yield from iter_lazy_features(
            open_plane(index), backbone, upscale=upscale, window=image_features.window
        )
    except NoDataError:
        if not stack:
            raise
        image_features.empty.add(index)
        return
    image_features.window = features.window
    yield from features.iter_measures()
    yield index, PlaneFeatures(features)


def score_prompts(
    planes: ImageFeatures,
    prompts: Prompts,
    view: PlaneIndex,
    chosen: Mapping[str, float],
    near: NDArray[np.float64],
    *,
    source: str,
    points_only: bool = False,
    pixel_size: tuple[float, float] | None = None,
    kind: MapKind = "fitted",
) -> Generator[Progress | Notice | LiveResult, None, None]:
    """Find what the prompts find, after they or the plane in view changed.

    Parameters
    ----------
    planes : ImageFeatures
        With the plane in view and all planes that hold prompts.
    prompts : Prompts
        On all planes; at least one on an object.
    view : tuple of int
        The plane to score.
    chosen : mapping of str to float
        Thresholds that the user set; classes without one are on auto, and classes
        without prompts are passed over.
    near : (N, 2) ndarray of float64
        Where the user looks and where prompts are, y and x in pixels: regions of a
        large plane come in this order.
    source : str
        Name of the image.
    points_only : bool
        Take the features at the prompts alone, not of the objects that they are on.
    pixel_size : (float, float), optional
        Height and width of a pixel.
    kind : {"fitted", "plain"}
        Of the map that will be shown.

    Yields
    ------
    Progress
        Of the regions of a large plane; with a total of 0 while the reference is made.
    LiveResult
        Once; of a large plane before its first region: it fills from then on.
    Notice
        If the device was too small.

    Raises
    ------
    InputError
        If no prompt is on an object, one lies outside the image, or the disk is too
        full for the results of a large plane.
    """
    made = yield from planes.iter_reference(
        prompts, source=source, points_only=points_only, pixel_size=pixel_size
    )
    reference, shown = Reference.of(made.fields), planes[view]
    reference.check_objects()
    if not shown.large:
        if view in made.scored:
            similarities = scores_to_pixels(made.scored[view], reference)
        else:
            lengths = shown.lengths(planes.measures(prompts.planes))
            similarities = score_classes(shown.whole, reference, lengths)
        if kind == "plain":
            # Here, and not where the window would wait for it.
            _ = similarities.plain
        yield LiveResult.of(view, reference, similarities, made, chosen)
        return
    features = shown.features
    assert isinstance(features, LazyFeatures)
    store = ResultStore.of(features, reference)
    yield LiveResult.of(view, reference, store, made, chosen)
    regions = features.regions.nearest_first(near)
    yield Progress(0, len(regions))
    yield from store.iter_fill(features, reference, regions)
