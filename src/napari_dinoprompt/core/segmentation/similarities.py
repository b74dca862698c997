"""Similarities of a plane, pixel by pixel, before any threshold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import torch

from napari_dinoprompt.core.masks.cleaning import Cleaning, class_mask, clean_and_label
from napari_dinoprompt.core.objects.table import ObjectData, objects_table
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.scoring.similarity import as_map, score_plane, to_pixels

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import CellLengths, FeatureMap
    from napari_dinoprompt.core.images.intensity import IntensityWindow
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.scoring.similarity import ScoredPlane
    from napari_dinoprompt.core.tiling.grid import CellGrid


# What a similarity map is. Fitted: what masks are cut from; less a share of the nearest
# background prompt's, brought to pixels along the edges of the image. Plain: the cosine
# of the cells with the class's prototype, brought to pixels bilinearly.
MapKind = Literal["fitted", "plain"]

# Rows that are looked at together.
_ROWS = 512

# Levels of a clean mask and of its object numbers, full resolution first.
Cleaned = tuple[list[Any], list[Any]]


class Scores(Protocol):
    """What is found in a plane before any threshold: the same for whole and large.

    A plane that is held as a whole has one level; of one that is too large to hold,
    each level is half the one before. Levels are (h, w) arrays, or sliced like these.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Object classes; class number k + 1 is ``names[k]``."""

    @property
    def window(self) -> IntensityWindow:
        """The grey values that the backbone saw as 0 and 1."""

    @property
    def no_data(self) -> Any:
        """Which pixels hold no data, (H, W) of bool; None if all do."""

    @property
    def nothing(self) -> bool:
        """Whether the plane is known to be constant or white noise."""

    @property
    def complete(self) -> bool:
        """Whether all of the plane has been scored."""

    def levels(self, name: str, kind: MapKind = "fitted") -> Sequence[Any]:
        """Return the similarity map of a class."""

    def masks(self, thresholds: Mapping[str, float]) -> Sequence[Any]:
        """Return the plain mask, uint8 class numbers."""

    def iter_clean(
        self, plain: Any, cleaning: Cleaning
    ) -> Generator[Progress, None, Cleaned]:
        """Clean a plain (H, W) mask and number its objects."""


@dataclass(frozen=True, eq=False)
class Similarities:
    """Similarity with every class at every pixel; no threshold has been applied.

    Attributes
    ----------
    names : tuple of K str
        Object classes; class number k + 1 is ``names[k]``.
    objects : (K, H, W) tensor of float32
        Along the edges of the image.
    competing_scores : (K, H, W) tensor of float32 or None
        By which classes compete, see `class_mask`.
    window : IntensityWindow
        The grey values that the backbone saw as 0 and 1.
    no_data : (H, W) ndarray of bool or None
    nothing : bool
        The plane is constant or white noise: whatever the similarity, there is no
        object.
    cells : ((K, rows, columns) tensor of float32, CellGrid) or None
        What plain maps are made of; None where there is no data.
    """

    names: tuple[str, ...]
    objects: torch.Tensor
    competing_scores: torch.Tensor | None
    window: IntensityWindow
    no_data: NDArray[np.bool_] | None
    nothing: bool
    cells: tuple[torch.Tensor, CellGrid] | None = None
    complete: ClassVar[bool] = True

    @cached_property
    def plain(self) -> torch.Tensor:
        """(K, H, W) tensor of float32: plain maps, made when they are asked for."""
        return self.objects if self.cells is None else to_pixels(*self.cells)

    def of(self, name: str, kind: MapKind = "fitted") -> NDArray[np.float32]:
        """Return the map of one class: (H, W), NaN where there is no data."""
        maps = self.plain if kind == "plain" else self.objects
        return as_map(maps[self.names.index(name)], self.no_data)

    def levels(self, name: str, kind: MapKind = "fitted") -> list[NDArray[np.float32]]:
        """Return the map of one class as the only level."""
        return [self.of(name, kind)]

    def mask(self, thresholds: Mapping[str, float]) -> NDArray[np.uint8]:
        """Return the plain mask: (H, W) class numbers, 0 where there is no data."""
        if self.nothing:
            return np.zeros(tuple(self.objects.shape[1:]), dtype=np.uint8)
        limits = [thresholds[name] for name in self.names]
        mask = class_mask(self.objects, limits, self.competing_scores)
        if self.no_data is not None:
            mask[self.no_data] = 0
        return mask

    def masks(self, thresholds: Mapping[str, float]) -> list[NDArray[np.uint8]]:
        """Return the plain mask as the only level."""
        return [self.mask(thresholds)]

    def iter_clean(
        self, plain: NDArray[np.uint8], cleaning: Cleaning
    ) -> Generator[Progress, None, Cleaned]:
        """Clean a plain mask of this plane and number its objects."""
        # Until here it may be stopped.
        yield Progress(0, 0)
        mask, instances = clean_and_label(plain, cleaning, self.no_data)
        return [mask], [instances]


class Segmented:
    """What results of whole and of large planes have in common."""

    mask: Any
    instances: Any
    thresholds: Mapping[str, float]

    @property
    def scores(self) -> Scores:
        """What was found before any threshold."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        """Object classes; class number k + 1 is ``names[k]``."""
        return self.scores.names

    @property
    def window(self) -> IntensityWindow:
        """The grey values that the backbone saw as 0 and 1."""
        return self.scores.window

    @property
    def threshold(self) -> float:
        """The threshold of the first object class."""
        return self.thresholds[self.names[0]]

    @property
    def objects(self) -> int:
        """How many objects there are, of all classes."""
        rows = range(0, self.instances.shape[0], _ROWS)
        return max(int(self.instances[y : y + _ROWS].max()) for y in rows)

    def objects_table(
        self,
        channels: Mapping[str, Any] | None = None,
        pixel_size: tuple[float, float] | None = None,
    ) -> pd.DataFrame:
        """Measure the objects.

        Parameters
        ----------
        channels : mapping of str to (H, W) or (H, W, 3) array, optional
            Images whose intensities are wanted, by the name that columns get.
        pixel_size : (float, float), optional
            Height and width of a pixel in micrometres.

        Returns
        -------
        pandas.DataFrame
            A row for each object: ``label``, ``class``, size, centroid, shape,
            intensities and similarity, see `napari_dinoprompt.objects_table`.

        Raises
        ------
        InputError
            If a channel has another shape.
        """
        maps = maps_of(self.scores)
        return objects_table(
            ObjectData(
                self.instances, self.mask, self.names, maps, channels, pixel_size
            )
        )


def maps_of(scores: Scores) -> dict[str, Any]:
    """Return the fitted maps of all classes at full resolution."""
    return {name: scores.levels(name)[0] for name in scores.names}


def score_classes(
    features: FeatureMap, reference: Reference, lengths: CellLengths | None = None
) -> Similarities:
    """Compare a feature map with every class of a reference that has an object class.

    Lengths are those of these features under this reference's statistics, if kept from
    before. Raises what `score_plane` raises.
    """
    with torch.inference_mode():
        scored = score_plane(features, reference, lengths)
    return scores_to_pixels(scored, reference)


def scores_to_pixels(scored: ScoredPlane, reference: Reference) -> Similarities:
    """Bring the similarities of a plane's cells to its pixels."""
    with torch.inference_mode():
        return Similarities(
            names=reference.object_classes,
            objects=scored.object_pixels(),
            competing_scores=scored.competing_scores(),
            window=scored.features.window,
            no_data=scored.features.no_data,
            nothing=scored.features.featureless,
            cells=(scored.plain, scored.features.grid),
        )
