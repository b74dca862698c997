"""A reference applied to a plane that is too large to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_dinoprompt.core.features.source import iter_lazy_features
from napari_dinoprompt.core.images.intensity import IntensityWindow, notice_of_window
from napari_dinoprompt.core.segmentation.result_store import ResultStore, page
from napari_dinoprompt.core.segmentation.similarities import MapKind, Segmented

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.images.lazy_plane import LazyArray, LazyPlane
    from napari_dinoprompt.core.masks.cleaning import Cleaning
    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.references.reference import Reference


@dataclass(frozen=True, eq=False)
class LargeSegmentation(Segmented):
    """The result of `segment` for a plane that is too large to hold.

    Attributes
    ----------
    mask : (H, W) zarr.Array of uint8
        Class numbers after cleaning.
    instances : (H, W) zarr.Array of int32
        Object numbers.
    thresholds : mapping of str to float
        What was used, by class.
    store : ResultStore
        Similarities with all classes. All of this is in a folder on the disk, which
        is removed with the last of the arrays.
    kind : {"fitted", "plain"}
        What `similarity` and `maps` are.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> features = dp.lazy_features(image, backbone)
    >>> reference = dp.Reference.from_prompts(features, [(20, 60), (60, 60)])
    >>> result = dp.segment(image, reference, backbone)
    >>> isinstance(result, dp.LargeSegmentation)  # 160 x 160 pixels fit into memory
    False
    """

    mask: Any
    instances: Any
    thresholds: Mapping[str, float]
    store: ResultStore
    kind: MapKind = "fitted"

    @property
    def scores(self) -> ResultStore:
        """Similarities with all classes."""
        return self.store

    @property
    def similarity(self) -> LazyArray:
        """(H, W) array of float32, read as it is sliced: of the first object class."""
        return page(self.maps, 0)

    @property
    def maps(self) -> Any:
        """(K, H, W) zarr.Array of float32: similarities with the object classes."""
        store = self.store
        return (store.plain if self.kind == "plain" else store.similarity)[0]

    def iter_levels(self) -> Generator[Progress, None, dict[str, list[Any]]]:
        """Make pyramids of all results, for a viewer.

        Yields
        ------
        Progress

        Returns
        -------
        dict of str to list of (h, w) array
            By ``similarity`` (of the first class), ``mask`` and ``instances``; full
            resolution first.
        """
        store = self.store
        group = store.group.create_group("levels", overwrite=True)
        return {
            "similarity": store.levels(self.names[0], self.kind),
            "mask": (yield from store.iter_levels(self.mask, group, "mask")),
            "instances": (
                yield from store.iter_levels(self.instances, group, "instances")
            ),
        }


def iter_segment_large(
    plane: LazyPlane,
    reference: Reference,
    backbone: Backbone,
    window: IntensityWindow | None,
    thresholds: Mapping[str, float],
    cleaning: Cleaning,
    kind: MapKind = "fitted",
) -> Generator[Progress | Notice, None, LargeSegmentation]:
    """Segment a plane region by region, with the backbone of the reference.

    Without a window, that of a sample of the plane is taken.
    """
    features = yield from iter_lazy_features(
        plane, backbone, upscale=reference.upscale, window=window
    )
    if window is not None:
        parts = (plane.read(one.rows, one.columns) for one in features.sample)
        if notice := notice_of_window(parts, window):
            yield notice
    store = ResultStore.of(features, reference, plain=kind == "plain")
    yield from store.iter_fill(features, reference, features.regions.regions)
    mask, instances = yield from store.iter_finish(
        store.masks(thresholds)[0], cleaning, store.group
    )
    return LargeSegmentation(mask, instances, dict(thresholds), store, kind)
