"""Planes whose features are there, with what scoring them needs but prompts.

Imports no torch: the dock holds these before torch is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt.core.features.statistics import SourceMeasures, pool_measures

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from napari_dinoprompt.core.features.extraction import Estimate
    from napari_dinoprompt.core.features.feature_map import CellLengths, FeatureMap
    from napari_dinoprompt.core.features.large import LazyFeatures
    from napari_dinoprompt.core.images.intensity import IntensityWindow
    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.prompts import PlaneIndex, Prompts
    from napari_dinoprompt.core.references.from_prompts import NewReference
    from napari_dinoprompt.core.scoring.places import Place, PlaceKey


# Features of planes that hold no prompt are kept up to this size, for scrolling back.
_KEPT_BYTES = 2_000_000_000


class PlaneFeatures:
    """The features of a plane with all that scoring them needs but prompts.

    Attributes
    ----------
    features : FeatureMap or LazyFeatures
        The latter of a plane that is too large to hold.
    """

    def __init__(self, features: FeatureMap | LazyFeatures) -> None:
        self.features = features
        self._lengths: tuple[SourceMeasures, CellLengths] | None = None

    @property
    def large(self) -> bool:
        """Whether the plane is too large to hold."""
        return not hasattr(self.features, "vectors")

    @property
    def whole(self) -> FeatureMap:
        """The feature map of a plane that is held as a whole."""
        from napari_dinoprompt.core.features.feature_map import FeatureMap

        assert isinstance(self.features, FeatureMap)
        return self.features

    def lengths(self, measures: SourceMeasures) -> CellLengths:
        """Return the lengths of the vectors under a source's statistics, kept."""
        # Read once: an outdated request may still be at it in another thread.
        kept = self._lengths
        if kept is None or kept[0] is not measures:
            from napari_dinoprompt.core.features.feature_map import CellLengths

            lengths = CellLengths.of(self.whole, measures.statistics, measures.scoring)
            kept = self._lengths = (measures, lengths)
        return kept[1]

    @property
    def bytes(self) -> int:
        """Memory that the features take; those of a large plane look after it."""
        if self.large:
            return 0
        vectors = self.whole.vectors
        return vectors.numel() * vectors.element_size()


class ImageFeatures:
    """The planes of one image that have features, all made in the same way.

    Attributes
    ----------
    window : IntensityWindow or None
        The one window of all planes, once it is measured.
    empty : set of plane index
        Planes of a stack that were looked at and hold no data.
    estimate : Estimate or None
        The size of a plane's features, once it is known.
    """

    def __init__(self) -> None:
        self.window: IntensityWindow | None = None
        self.empty: set[PlaneIndex] = set()
        self.estimate: Estimate | None = None
        self._planes: dict[PlaneIndex, PlaneFeatures] = {}
        self._pooled: tuple[tuple[PlaneIndex, ...], SourceMeasures] | None = None
        self._places: tuple[SourceMeasures, dict[PlaceKey, Place]] | None = None

    def __contains__(self, index: object) -> bool:
        return index in self._planes

    def __len__(self) -> int:
        return len(self._planes)

    def __iter__(self) -> Iterator[PlaneIndex]:
        return iter(self._planes)

    @property
    def bytes(self) -> int:
        """Memory that the features of all planes take."""
        return sum(plane.bytes for plane in self._planes.values())

    def __getitem__(self, index: PlaneIndex) -> PlaneFeatures:
        return self._planes[index]

    def add(self, index: PlaneIndex, plane: PlaneFeatures) -> None:
        """Add a plane, or put another in its place."""
        self._planes[index] = plane
        self._pooled = None

    def trim(self, wanted: Iterable[PlaneIndex]) -> None:
        """Let go of planes that are not wanted, the first added first, if too large."""
        keep = set(wanted)
        spare = [index for index in self._planes if index not in keep]
        size = sum(self._planes[index].bytes for index in spare)
        for index in spare:
            if size <= _KEPT_BYTES:
                break
            size -= self._planes.pop(index).bytes

    def measures(self, planes: Iterable[PlaneIndex]) -> SourceMeasures:
        """Pool the measures of the planes that hold prompts; kept while they do.

        In the order of the planes, not of the prompts: the result must not depend on
        which was clicked first.
        """
        sources = tuple(sorted(set(planes)))
        kept = self._pooled
        if kept is None or kept[0] != sources:
            parts = [self._planes[index].features.measures for index in sources]
            kept = self._pooled = (sources, pool_measures(parts))
        return kept[1]

    def _known_places(self, measures: SourceMeasures) -> dict[PlaceKey, Place]:
        """Return the objects found for earlier prompts, as long as they are good."""
        kept = self._places
        if kept is None or kept[0] is not measures:
            kept = self._places = (measures, {})
        return kept[1]

    def iter_reference(
        self,
        prompts: Prompts,
        *,
        source: str,
        points_only: bool = False,
        pixel_size: tuple[float, float] | None = None,
    ) -> Generator[Progress | Notice, None, NewReference]:
        """Make a reference from prompts on these planes."""
        from napari_dinoprompt.core.references.from_prompts import iter_reference
        from napari_dinoprompt.core.scoring.places import most_prompted_planes

        measures = self.measures(prompts.planes)
        planes = {index: self._planes[index] for index in set(prompts.planes)}
        # Only those are scored for the thresholds.
        crowded = most_prompted_planes(prompts.planes, prompts.classes)
        return iter_reference(
            {index: plane.features for index, plane in planes.items()},
            prompts,
            measures,
            source=source,
            lengths={
                index: planes[index].lengths(measures)
                for index in crowded
                if not planes[index].large
            },
            places=self._known_places(measures),
            points_only=points_only,
            pixel_size=pixel_size,
        )
