"""What prompts find in a large plane, as it is found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_dinoprompt.core.files.atomic import explaining_writes
from napari_dinoprompt.core.progress import Notice, Progress
from napari_dinoprompt.core.references.making import iter_reference
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.streaming.labels import finish_streamed
from napari_dinoprompt.core.streaming.lazy_features import LazyFeatures
from napari_dinoprompt.core.streaming.result_store import ResultStore
from napari_dinoprompt.core.streaming.scoring import iter_scores
from napari_dinoprompt.core.thresholds import resolve_thresholds

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from napari_dinoprompt.core.masks import Cleaning
    from napari_dinoprompt.core.prepared import PreparedPlanes
    from napari_dinoprompt.core.prompts import PlaneIndex, Prompts

__all__ = ["LargeResult", "iter_clean", "iter_large_result"]


@dataclass(frozen=True, eq=False)
class LargeResult:
    """What the current prompts find in a large plane; it fills region by region.

    Attributes
    ----------
    plane : tuple of int
        The plane.
    reference : Reference
        Of the prompts, with the thresholds that the user set.
    thresholds : mapping of str to float
        In use, by object class.
    store : ResultStore
        Similarities, as far as they are known.
    has_no_data : bool
        The plane may hold pixels without data.
    """

    plane: PlaneIndex
    reference: Reference
    thresholds: Mapping[str, float]
    store: ResultStore
    has_no_data: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Object classes; class number k + 1 is ``names[k]``."""
        return self.store.names

    @property
    def nothing(self) -> bool:
        """Never known of a large plane as a whole: each region is looked at."""
        return False

    def cut(self, chosen: Mapping[str, float]) -> LargeResult:
        """Apply other thresholds.

        Parameters
        ----------
        chosen : mapping of str to float
            Those that the user set; the rest is on auto.
        """
        known = {name: value for name, value in chosen.items() if name in self.names}
        reference = self.reference.with_thresholds(known)
        thresholds = resolve_thresholds(reference)
        return replace(self, reference=reference, thresholds=thresholds)


def iter_large_result(
    planes: PreparedPlanes,
    prompts: Prompts,
    view: PlaneIndex,
    chosen: Mapping[str, float],
    near: NDArray[np.float64],
    *,
    source: str,
    pixel_size: tuple[float, float] | None = None,
) -> Generator[Progress | Notice | LargeResult, None, None]:
    """Find what the prompts find, nearest first.

    Parameters
    ----------
    planes : PreparedPlanes
        With the plane in view and all planes that hold prompts.
    prompts : Prompts
        On all planes; at least one on an object.
    view : tuple of int
        The plane to score: a large one.
    chosen : mapping of str to float
        Thresholds that the user set.
    near : (N, 2) ndarray of float64
        Where the user looks and where prompts are, y and x in pixels.
    source : str
        Name of the image.
    pixel_size : (float, float), optional
        Height and width of a pixel.

    Yields
    ------
    Progress
        Of the regions; with a total of 0 while the reference is made.
    LargeResult
        Once, before the first region; its store fills from then on.
    Notice
        If the device was too small.

    Raises
    ------
    InputError
        If no prompt is on an object, or the disk is too full.
    """
    made = yield from iter_reference(
        {index: planes[index].features for index in set(prompts.planes)},
        prompts,
        planes.measures(prompts.planes),
        source=source,
        pixel_size=pixel_size,
    )
    reference = Reference.of(made.fields)
    reference.check_objects()
    features = planes[view].features
    assert isinstance(features, LazyFeatures)
    store = ResultStore(features.regions, reference.object_classes, features.window)
    empty = LargeResult(
        view, reference, {}, store, has_no_data=features.plane.dtype.kind == "f"
    )
    yield empty.cut(chosen)
    regions = features.regions.nearest_first(near)
    done = 0
    yield Progress(0, len(regions))
    for said in iter_scores(features, reference, regions):
        if isinstance(said, Notice):
            yield said
            continue
        store.put(said)
        done += 1
        yield Progress(done, len(regions))


def iter_clean(
    result: LargeResult, cleaning: Cleaning
) -> Generator[Progress, None, tuple[list[Any], list[Any]]]:
    """Clean the mask of a plane whose regions are all there.

    Parameters
    ----------
    result : LargeResult
    cleaning : Cleaning

    Yields
    ------
    Progress
        Of the blocks.

    Returns
    -------
    masks, instances : lists of (h, w) zarr.Array
        Levels of class numbers and of object numbers, full resolution first. They go
        when the next ones come, or with the result.
    """
    store = result.store
    # Outdated work may still be writing, and the layer reading, what was before.
    name = f"cleaned-{uuid4().hex}"
    (mask, *_), no_data = store.masks(result.thresholds), None
    if result.has_no_data:
        no_data = store.no_data()
    with explaining_writes(store.folder):
        group = store.new_group(name)
        cleaned, instances = yield from finish_streamed(mask, cleaning, group, no_data)
        masks = yield from store.iter_levels(cleaned, group, "masks")
        objects = yield from store.iter_levels(instances, group, "objects")
        store.remove_groups("cleaned-", but=name)
    return masks, objects
