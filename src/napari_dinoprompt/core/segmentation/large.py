"""A plane that is too large to hold: scored by region onto the disk, and cut there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import numpy as np
import torch
import zarr

from napari_dinoprompt.core.errors import CannotWriteError
from napari_dinoprompt.core.features.source import iter_lazy_features
from napari_dinoprompt.core.images.intensity import IntensityWindow, notice_of_window
from napari_dinoprompt.core.images.lazy_plane import LazyArray, LazyPlane, level_shapes
from napari_dinoprompt.core.io.atomic import explaining_writes
from napari_dinoprompt.core.io.scratch import free_bytes, scratch_store
from napari_dinoprompt.core.masks.large import finish_streamed, make_array
from napari_dinoprompt.core.progress import Notice, Progress
from napari_dinoprompt.core.scoring.similarity import as_map, score_plane, to_pixels
from napari_dinoprompt.core.tiling.cache import default_cache_folder

from .similarities import Cleaned, MapKind, Segmented

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features.large import LazyFeatures
    from napari_dinoprompt.core.features.regions import Region, RegionPlan
    from napari_dinoprompt.core.masks.cleaning import Cleaning
    from napari_dinoprompt.core.references.reference import Reference


# All levels of a pyramid together, in pixels of the finest.
_PYRAMID = 4 / 3
# Bytes of a pixel's class and object once they are cleaned.
_CLEANED = 5


class ResultStore:
    """Similarities and claims of a plane, filled region by region.

    Parameters
    ----------
    plan : RegionPlan
    names : tuple of K str
    window : IntensityWindow
    gaps : bool
        Whether the plane may hold pixels without data.
    plain : bool
        Whether there is room for plain maps too.

    Attributes
    ----------
    names : tuple of K str
        Object classes.
    window : IntensityWindow
        The grey values that the backbone saw as 0 and 1.
    similarity : list of (K, h, w) zarr.Array of float32
        Full resolution first, each level half the one before; NaN where nothing has
        been found yet or the plane holds no data.
    plain : list of (K, h, w) zarr.Array of float32
        Plain maps, likewise; none if there is no room for them.
    winning_class : list of (h, w) zarr.Array of uint8
        Which class may claim a pixel, see `RegionScores`; the same levels.
    nothing : bool
        Never known of a large plane as a whole: each region is looked at.
    complete : bool
        Whether all regions are there.
    folder : Path
        Removed with the last of the arrays.
    group : zarr.Group
        In that folder; further results may go there.

    Raises
    ------
    CannotWriteError
        If the disk is too full.
    """

    nothing: ClassVar[bool] = False

    def __init__(
        self,
        plan: RegionPlan,
        names: tuple[str, ...],
        window: IntensityWindow,
        *,
        gaps: bool = True,
        plain: bool = True,
    ) -> None:
        self.names = names
        self.window = window
        self.complete = False
        self._gaps = gaps
        disk = scratch_store(default_cache_folder())
        self.folder: Path = disk.root
        height, width = plan.shape
        values = (1 + plain) * len(names)
        needed = height * width * _PYRAMID * (4 * values + 1 + _CLEANED)
        if needed > free_bytes(self.folder):
            raise CannotWriteError(
                f"The results would need up to {needed / 1e9:.1f} GB on the disk "
                f"of {self.folder}, more than is free. Make room there, or name "
                "another folder in the environment variable DINOPROMPT_CACHE."
            )
        self.group = zarr.open_group(disk, mode="w")
        side = plan.side
        self.similarity: list[Any] = []
        self.plain: list[Any] = []
        self.winning_class: list[Any] = []
        kinds = {"similarity": self.similarity}
        if plain:
            kinds["plain"] = self.plain
        for level, shape in enumerate(level_shapes(plan.shape)):
            maps, chunks = (len(names), *shape), (1, side, side)
            for kind, arrays in kinds.items():
                name = f"{kind}/{level}"
                arrays.append(
                    make_array(self.group, name, maps, chunks, np.float32, np.nan)
                )
            self.winning_class.append(
                make_array(self.group, f"claims/{level}", shape, (side, side), np.uint8)
            )

    @classmethod
    def of(
        cls, features: LazyFeatures, reference: Reference, *, plain: bool = True
    ) -> ResultStore:
        """Make room for what a reference will find in a plane."""
        return cls(
            features.regions,
            reference.object_classes,
            features.window,
            gaps=features.plane.dtype.kind == "f",
            plain=plain,
        )

    def iter_fill(
        self, features: LazyFeatures, reference: Reference, regions: Sequence[Region]
    ) -> Generator[Progress | Notice, None, None]:
        """Score all regions of the plane in the order given, and say so after each."""
        done = 0
        for said in iter_scores(features, reference, regions):
            if isinstance(said, Notice):
                yield said
                continue
            self.put(said)
            done += 1
            yield Progress(done, len(regions))
        self.complete = True

    def put(self, scores: RegionScores) -> None:
        """Write what was found in a region, at all levels; a full disk is explained."""
        similarity, plain = scores.similarity, scores.plain
        winning_class = scores.winning_class
        rows, columns = scores.region.rows, scores.region.columns
        with explaining_writes(self.folder):
            for level, claimed in enumerate(self.winning_class):
                if level:
                    similarity, plain = _halve(similarity), _halve(plain)
                    winning_class = winning_class[::2, ::2]
                y, x = rows.start // 2**level, columns.start // 2**level
                here = (
                    slice(y, y + winning_class.shape[0]),
                    slice(x, x + winning_class.shape[1]),
                )
                self.similarity[level][(slice(None), *here)] = similarity
                if self.plain:
                    self.plain[level][(slice(None), *here)] = plain
                claimed[here] = winning_class

    @property
    def no_data(self) -> LazyArray | None:
        """Which pixels hold no data, once all regions are there."""
        if not self._gaps:
            return None
        first = page(self.similarity[0], 0)
        return LazyArray(first.shape, np.dtype(bool), partial(_read_nan, first))

    def levels(self, name: str, kind: MapKind = "fitted") -> list[LazyArray]:
        """Return the map of a class, read when sliced; for background the first's."""
        number = self.names.index(name) if name in self.names else 0
        found = self.plain if kind == "plain" else self.similarity
        return [page(maps, number) for maps in found]

    def masks(self, thresholds: Mapping[str, float]) -> list[LazyArray]:
        """Return the plain mask, cut as it is looked at."""
        limits = np.array([thresholds[name] for name in self.names], dtype=np.float32)
        return [
            LazyArray(
                winning_class.shape,
                winning_class.dtype,
                partial(_read_mask, maps, winning_class, limits),
            )
            for maps, winning_class in zip(
                self.similarity, self.winning_class, strict=True
            )
        ]

    def iter_finish(
        self, plain: Any, cleaning: Cleaning, group: zarr.Group
    ) -> Generator[Progress, None, tuple[Any, Any]]:
        """Clean a plain (H, W) mask and number its objects, in arrays of a group."""
        with explaining_writes(self.folder):
            return (yield from finish_streamed(plain, cleaning, group, self.no_data))

    def iter_clean(
        self, plain: Any, cleaning: Cleaning
    ) -> Generator[Progress, None, Cleaned]:
        """Clean a plain mask; its levels go when the next ones come, or with this."""
        # Outdated work may still be writing, and the layer reading, what was before.
        name = f"cleaned-{uuid4().hex}"
        with explaining_writes(self.folder):
            group = self.group.create_group(name)
            cleaned, instances = yield from self.iter_finish(plain, cleaning, group)
            masks = yield from self.iter_levels(cleaned, group, "masks")
            objects = yield from self.iter_levels(instances, group, "objects")
            for one in list(self.group.group_keys()):
                if one.startswith("cleaned-") and one != name:
                    del self.group[one]
        return masks, objects

    def iter_levels(
        self, finest: Any, group: zarr.Group, name: str
    ) -> Generator[Progress, None, list[Any]]:
        """Make the coarser levels of an (H, W) zarr.Array of integers in a group."""
        side = self.winning_class[0].chunks[0]
        levels = [
            make_array(group, f"{name}/{level}", one.shape, (side, side), finest.dtype)
            for level, one in enumerate(self.winning_class[1:], start=1)
        ]
        height, width = finest.shape
        corners = list(product(range(0, height, side), range(0, width, side)))
        for done, (y, x) in enumerate(corners, start=1):
            part = np.asarray(finest[y : y + side, x : x + side])
            for level, array in enumerate(levels, start=1):
                thin = part[:: 2**level, :: 2**level]
                top, left = y // 2**level, x // 2**level
                array[top : top + thin.shape[0], left : left + thin.shape[1]] = thin
            yield Progress(done, len(corners))
        return [finest, *levels]


def page(maps: Any, number: int) -> LazyArray:
    """Return one of the maps in a (K, H, W) array, read when it is looked at."""
    shape = (int(maps.shape[1]), int(maps.shape[2]))
    return LazyArray(shape, np.dtype(maps.dtype), partial(_read_page, maps, number))


def _read_page(maps: Any, number: int, part: tuple[Any, ...]) -> NDArray[Any]:
    return np.asarray(maps[(number, *part)])


def _read_nan(maps: LazyArray, part: tuple[Any, ...]) -> NDArray[np.bool_]:
    return np.asarray(np.isnan(maps[part]))


def _read_mask(
    similarity: Any,
    winning_class: Any,
    limits: NDArray[np.float32],
    part: tuple[Any, ...],
) -> NDArray[np.uint8]:
    """Cut a part of a (K, H, W) similarity where a class claims it and is above."""
    claimed = np.asarray(winning_class[part])
    mask = np.zeros_like(claimed)
    for number, limit in enumerate(limits, start=1):
        above = np.asarray(similarity[(number - 1, *part)]) > limit
        mask[(claimed == number) & above] = number
    return mask


def _halve(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average over 2 x 2 pixels; the last repeat where there is an odd one."""
    padded = np.pad(
        maps, ((0, 0), (0, maps.shape[1] % 2), (0, maps.shape[2] % 2)), mode="edge"
    )
    sums = padded[:, ::2] + padded[:, 1::2]
    return np.asarray((sums[:, :, ::2] + sums[:, :, 1::2]) / np.float32(4))


@dataclass(frozen=True, eq=False)
class RegionScores:
    """What a reference finds in a region.

    Attributes
    ----------
    region : Region
    similarity : (K, h, w) ndarray of float32
        With each object class; NaN where the plane holds no data.
    plain : (K, h, w) ndarray of float32
        The plain maps, likewise.
    winning_class : (h, w) ndarray of uint8
        The class that may claim a pixel, counted from 1, if its similarity is above
        the threshold; 0 for none: background, no data, or a region that is blank or
        nothing but noise.
    """

    region: Region
    similarity: NDArray[np.float32]
    plain: NDArray[np.float32]
    winning_class: NDArray[np.uint8]


def iter_scores(
    features: LazyFeatures, reference: Reference, regions: Sequence[Region]
) -> Generator[Notice | RegionScores, None, None]:
    """Score regions of a plane in the order given; raises what `score_plane` raises.

    A notice is given if the device was too small.
    """
    for region in regions:
        outer = features.regions.outer(region)
        part = yield from features.iter_part(outer)
        here = (slice(None), *region.within(outer))
        with torch.inference_mode():
            scored = score_plane(part, reference)
            objects = scored.object_pixels()[here].cpu()
            cosines = to_pixels(scored.plain, part.grid)[here].cpu()
            competing_scores = scored.competing_scores()
        missing = None if part.no_data is None else part.no_data[here[1:]]
        similarity = np.stack([as_map(one, missing) for one in objects])
        plain = np.stack([as_map(one, missing) for one in cosines])
        winning_class: NDArray[np.uint8]
        if part.featureless:
            winning_class = np.zeros(similarity.shape[1:], dtype=np.uint8)
        elif competing_scores is None:
            winning_class = np.ones(similarity.shape[1:], dtype=np.uint8)
        else:
            winner = competing_scores[here].argmax(dim=0).byte().cpu().numpy()
            winning_class = winner + np.uint8(1)
        if missing is not None:
            winning_class[missing] = 0
        yield RegionScores(region, similarity, plain, winning_class)


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
