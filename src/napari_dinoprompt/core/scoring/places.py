"""Places of a source by which thresholds are chosen, and what maps have there.

They are found once. Whichever prompts are left out or drawn again, thresholds are
chosen by values at the same places.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from napari_dinoprompt.core.features.statistics import unit_vectors
from napari_dinoprompt.core.progress import Notice, Progress, run_to_end
from napari_dinoprompt.core.prompts import BACKGROUND, PlaneIndex

from .auto_threshold import ObjectValues, choose_threshold, stand_ins
from .objects import SCALES, FoundObject, iter_object, region_object
from .similarity import ScoredPlane, score_plane, score_vectors

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, MutableMapping, Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.features.large import LazyFeatures
    from napari_dinoprompt.core.tiling.grid import CellGrid

    from .class_vectors import ClassVectors


# Of a stack, those with most prompts of a class.
_MOST_PLANES = 4
# Pixels spread over all planes or samples together.
_SPREAD = 8192
# The best matches stand in for other objects as far as they come near the best of them.
_MOST_MATCHES, _COMPARABLE = 12, 0.7
# An image is enlarged at most four times.
_MOST_DOUBLINGS = 2
# Of more prompts of a class one object matters less, and finding all twice is felt.
_MOST_AGAIN = 12
# In radii of the clicked objects, from their middles.
_APART = 1.5


# A prompt: its plane, y and x.
PlaceKey = tuple[PlaneIndex, float, float]


@dataclass(frozen=True, eq=False)
class Place:
    """An object with the features around it.

    Attributes
    ----------
    features : FeatureMap
        Of the part that is needed to know a map there.
    found : FoundObject
        In pixels of the part.
    corner : (2,) ndarray of int64
        The pixel of the plane in which the part begins.
    """

    features: FeatureMap
    found: FoundObject
    corner: NDArray[np.int64]

    def on_plane(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pixels inside and around, (n, 2) and (m, 2), of the plane."""
        return self.found.inside + self.corner, self.found.around + self.corner

    def vector(self) -> NDArray[np.float32]:
        """Return the mean of the features in the core of the object: (D,)."""
        core = self.found.core.astype(np.float64)
        return np.asarray(self.features.interpolate(core).mean(axis=0))

    def values(
        self, reference: ClassVectors, units: NDArray[np.float32]
    ) -> list[ObjectValues]:
        """Look up the similarities with some vectors; units: (K, D) float32."""
        inside, around = self.found.inside, self.found.around
        with torch.inference_mode():
            scored = score_vectors(self.features, reference, units)
            values = scored.at(np.concatenate([inside, around]))
        count = len(inside)
        return [
            ObjectValues(one[:count], one[count:], self.found.ratio) for one in values
        ]


@dataclass(frozen=True, eq=False)
class Places:
    """All places by which the thresholds of a reference are chosen.

    Attributes
    ----------
    prompts : tuple of (Place or None)
        By prompt; None for background, and on planes that are not looked at.
    matches : mapping of str to tuple of Place
        Objects like that of the only prompt of a class.
    """

    prompts: tuple[Place | None, ...]
    matches: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)

    def of(self, chosen: Sequence[int] | NDArray[np.int64]) -> Places:
        """Return those of some of the prompts."""
        return replace(self, prompts=tuple(self.prompts[i] for i in chosen))


@dataclass(frozen=True, eq=False)
class ClassValues:
    """What the map of a class has at the objects by which its threshold is chosen.

    Attributes
    ----------
    own, left_out : tuples of ObjectValues
        Of the prompts' objects, in the map of all and in that of the others.
    matches : tuple of ObjectValues
        Of objects like that of a lone prompt.
    """

    own: tuple[ObjectValues, ...]
    left_out: tuple[ObjectValues, ...]
    matches: tuple[ObjectValues, ...]


def most_prompted_planes(
    planes: Sequence[PlaneIndex], classes: Sequence[str]
) -> list[PlaneIndex]:
    """Choose the planes of a stack whose maps thresholds are taken from.

    In order.
    """
    chosen: set[PlaneIndex] = set()
    for name in set(classes) - {BACKGROUND}:
        held = Counter(
            plane for plane, of in zip(planes, classes, strict=True) if of == name
        )
        crowded = sorted(held, key=lambda index: (-held[index], index))
        chosen.update(crowded[:_MOST_PLANES])
    return sorted(chosen)


def iter_place(
    features: FeatureMap | LazyFeatures,
    reference: ClassVectors,
    query: NDArray[np.float32],
    point: NDArray[np.float64],
    scales: Sequence[int] = SCALES,
) -> Generator[Notice, None, Place]:
    """Find the object at a point; without an outline it is the point's pixel.

    As `iter_object`.
    """
    found = yield from iter_object(features, reference, query, point, scales)
    if found is None:
        found = FoundObject.at_point(features.grid.nearest_pixels(point[None]))
    return (yield from _iter_around(features, found))


def _iter_around(
    features: FeatureMap | LazyFeatures, found: FoundObject
) -> Generator[Notice, None, Place]:
    """Take the features that are needed to know maps at an object."""
    needed = np.concatenate([found.inside, found.around])
    rows, columns = zip(
        needed.min(axis=0).tolist(), (needed.max(axis=0) + 1).tolist(), strict=True
    )
    plan = features.regions
    region = plan.outer(plan.around(rows, columns))
    part = yield from features.iter_part(region)
    start = np.array([region.rows.start, region.columns.start])
    return Place(part, found.moved(-start), start)


def iter_places(
    features: Mapping[PlaneIndex, FeatureMap | LazyFeatures],
    clicked: ClassVectors,
    planes: Sequence[PlaneIndex],
    points: NDArray[np.float64],
    regions: Sequence[NDArray[np.int64] | None],
    known: MutableMapping[PlaceKey, Place],
) -> Generator[Notice | Progress, None, list[Place | None]]:
    """Find the objects that prompts stand for: alone, then in what all have in common.

    clicked: with the vectors at the prompts; points: (N, 2) float64; regions: (n, 2)
    pixels of those that were drawn. Those that were found alone are kept in `known`.
    None for points on background, and where there are no features.
    """
    found: list[Place | None] = [None] * len(points)
    units = clicked.unit_vectors()
    for number, name in enumerate(clicked.classes):
        plane, (y, x) = planes[number], points[number].tolist()
        region = regions[number]
        if plane in features and region is not None:
            grid = features[plane].grid
            drawn = region_object(region, grid.cell, grid.shape)
            found[number] = yield from _iter_around(features[plane], drawn)
            continue
        if name == BACKGROUND or plane not in features:
            continue
        if (plane, y, x) not in known:
            known[plane, y, x] = yield from iter_place(
                features[plane], clicked, units[number], points[number]
            )
            yield Progress(0, 0)
        found[number] = known[plane, y, x]
    means = object_vectors(clicked.vectors, found)
    common = replace(clicked, vectors=means)
    for name in clicked.object_classes:
        members = np.flatnonzero(clicked.members(name))
        if len(members) > _MOST_AGAIN:
            continue
        prototype = common.prototype(name)
        again: dict[PlaceKey, Place] = {}
        for number in members.tolist():
            alone = found[number]
            if alone is None or regions[number] is not None:
                continue
            plane, (y, x) = planes[number], points[number].tolist()
            # Two prompts at one point are on one object.
            if (plane, y, x) not in again:
                again[plane, y, x] = yield from iter_place(
                    features[plane],
                    clicked,
                    prototype,
                    points[number],
                    (alone.found.scale,) if alone.found.scale else SCALES,
                )
            found[number] = again[plane, y, x]
    return found


def object_vectors(
    clicked: NDArray[np.float32], places: Sequence[Place | None]
) -> NDArray[np.float32]:
    """Return the mean of the features in each prompt's object, where there is one.

    clicked: (N, D) float32, at the prompts.
    """
    vectors = clicked.copy()
    for number, place in enumerate(places):
        if place is not None and place.found.area:
            vectors[number] = place.vector()
    return vectors


def find_places(
    features: FeatureMap,
    reference: ClassVectors,
    points: NDArray[np.float64],
    here: NDArray[np.bool_],
) -> Places:
    """Find the places of prompts on one plane again, and what resembles each class.

    points: (N, 2) float64, y and x of the prompts of the reference; here: (N,) bool,
    which lie on the plane.
    """
    clicked = np.where(here[:, None], features.interpolate(points), reference.vectors)
    planes = [() if on_plane else (-1,) for on_plane in here]
    prompts = run_to_end(
        iter_places(
            {(): features},
            replace(reference, vectors=clicked),
            planes,
            points,
            (None,) * len(points),
            {},
        )
    )
    with torch.inference_mode():
        scored = score_plane(features, reference)
    matches = {}
    for name in reference.object_classes:
        members = reference.members(name) & here
        held = [prompts[index] for index in np.flatnonzero(members)]
        sizes = [one.found.radius for one in held if one is not None]
        radius = float(np.median(sizes)) if sizes else 0.0
        matches[name] = match_places(
            reference, [scored], name, radius, [points[members]]
        )
    return Places(tuple(prompts), matches)


def class_values(reference: ClassVectors, places: Places, name: str) -> ClassValues:
    """Look up what maps of a class have at its objects."""
    units = reference.unit_vectors()
    members = np.flatnonzero(reference.members(name))
    prototype = reference.prototype(name)
    own, left_out = [], []
    for place in dict.fromkeys(places.prompts[index] for index in members):
        if place is None:
            continue
        # Drawn prompts may be the same several times.
        others = [i for i in members if places.prompts[i] is not place]
        total = units[others].sum(axis=0, keepdims=True)
        queries = np.concatenate([prototype[None], unit_vectors(total)])
        values = place.values(reference, queries)
        own.append(values[0])
        if others:
            left_out.append(values[1])
    matches = () if left_out else places.matches.get(name, ())
    return ClassValues(
        tuple(own),
        tuple(left_out),
        tuple(one.values(reference, prototype[None])[0] for one in matches),
    )


def all_values(reference: ClassVectors, places: Places) -> dict[str, ClassValues]:
    """Look up what the map of each object class has at its objects."""
    return {
        name: class_values(reference, places, name) for name in reference.object_classes
    }


def auto_thresholds(
    reference: ClassVectors,
    values: Mapping[str, ClassValues],
    planes: Sequence[ScoredPlane],
) -> dict[str, float]:
    """Choose the threshold of each object class.

    Planes are those of the source, or samples of them, scored with the reference.
    """
    most = _SPREAD // len(planes)
    spread = [one.at(spread_pixels(one.features, most)) for one in planes]
    return {
        name: choose_threshold(
            stand_ins(values[name].matches, values[name].own),
            values[name].left_out,
            np.concatenate([shown[number] for shown in spread]),
        )
        for number, name in enumerate(reference.object_classes)
    }


def threshold_elsewhere(
    reference: ClassVectors, name: str, matches: Sequence[Place]
) -> float:
    """Choose the threshold of a class as on the source, but for another image.

    The best matches of the image stand in for the prompts, which lie elsewhere. That
    forgives a similarity that is lower or higher throughout, and finds something in
    almost any image. In (0, 1).
    """
    prototype = reference.prototype(name)[None]
    own = [one.values(reference, prototype)[0] for one in matches]
    return choose_threshold(own, [], np.zeros(0, np.float32))


def find_matches(
    reference: ClassVectors, scored: ScoredPlane, name: str
) -> tuple[Place, ...]:
    """Find the objects of another image that resemble a class most."""
    areas = reference.areas[reference.members(name)]
    radius = float(np.sqrt(np.median(areas) / np.pi))
    return match_places(reference, [scored], name, radius, [np.zeros((0, 2))])


def fitting_upscale(places: Sequence[Place | None], grid: CellGrid) -> float | None:
    """Choose the upscale at which objects have a radius of a cell or more.

    A power of two up to 4; None if no object was found.
    """
    sizes = [one.found.radius for one in places if one is not None and one.found.area]
    if not sizes:
        return None
    short = grid.patch / float(np.median(sizes))
    return float(2 ** int(np.clip(np.ceil(np.log2(short)), 0, _MOST_DOUBLINGS)))


def match_places(
    reference: ClassVectors,
    planes: Sequence[ScoredPlane],
    name: str,
    radius: float,
    prompts: Sequence[NDArray[np.float64]],
) -> tuple[Place, ...]:
    """Find the objects of about a radius in pixels that resemble a class most.

    prompts: (N, 2) float64 for each plane, what matches must keep away from.
    """
    number = reference.object_classes.index(name)
    peaks = [
        (value, plane, point)
        for plane, points in zip(planes, prompts, strict=True)
        for value, point in _peaks(plane, number, radius, points)
    ]
    peaks.sort(key=lambda peak: -peak[0])
    query = reference.prototype(name)
    scales = [one for one in SCALES if not radius or 2 * one <= radius <= 12 * one]
    places = [
        run_to_end(iter_place(plane.features, reference, query, point, scales))
        for value, plane, point in peaks[:_MOST_MATCHES]
        if value >= _COMPARABLE * peaks[0][0]
    ]
    return tuple(place for place in places if place.found.area)


def _peaks(
    plane: ScoredPlane, number: int, radius: float, prompts: NDArray[np.float64]
) -> list[tuple[float, NDArray[np.float64]]]:
    """Find the cells that resemble a class more than all around, away from prompts."""
    cells, grid = plane.objects[number], plane.features.grid
    # About a window of the guide, at least.
    reach = max(1, plane.features.guide_radius, round(radius / grid.cell))
    highest = cells[None, None]
    for side in ((2 * reach + 1, 1), (1, 2 * reach + 1)):
        padding = (side[0] // 2, side[1] // 2)
        highest = F.max_pool2d(highest, side, stride=1, padding=padding)
    top = (cells == highest[0, 0]) & (cells > 0)
    points = grid.cell_centres(torch.nonzero(top).cpu().numpy())
    away = plane.features.holds_data(points)
    for prompt in prompts:
        apart = np.linalg.norm(points - prompt, axis=1)
        away &= apart > max(_APART * radius, grid.cell)
    values = cells[top].cpu().numpy()
    order = [i for i in np.argsort(-values, kind="stable") if away[i]]
    return [(float(values[i]), points[i]) for i in order[:_MOST_MATCHES]]


def spread_pixels(features: FeatureMap, most: int) -> NDArray[np.int64]:
    """Spread pixels that hold data evenly over a plane; (M, 2)."""
    height, width = features.grid.shape
    stride = max(1, int(np.ceil(np.sqrt(height * width / most))))
    rows, columns = (np.arange(stride // 2, n, stride) for n in (height, width))
    pixels = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    if features.no_data is not None:
        pixels = pixels[~features.no_data[pixels[:, 0], pixels[:, 1]]]
    return pixels
