"""Touching objects told apart: a watershed of the distance to the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


# Neighbouring maxima of the distance transform that differ by less are one object.
_MIN_DEPTH = 0.75
_SIGMA = 1.0

# How far around an object its split depends on what is there, in pixels.
#
# Four are the reach of the Gaussian. What lies there belongs to other objects, whose
# own distance to the background is below six.
REACH = 10


@dataclass(frozen=True, eq=False)
class Parts:
    """Objects that a region was split into.

    Attributes
    ----------
    labels : (H, W) ndarray of int32
        0, or the number of the part counted from 1: first those that grew from a
        marker, then those that hold none, each in the order of their seeds.
    seeds : (N,) ndarray of int64
        The first pixel of each part's marker, or of the part if it holds none:
        ``y * W + x``.
    grown : int
        How many have a marker.
    """

    labels: NDArray[np.int32]
    seeds: NDArray[np.int64]
    grown: int


def split_region(
    region: NDArray[np.bool_],
    wanted: NDArray[np.bool_] | None = None,
    furthest: float | None = None,
) -> Parts:
    """Split connected objects that touch.

    Parameters
    ----------
    region : (H, W) ndarray of bool
        All pixels of one class.
    wanted : (H, W) ndarray of bool, optional
        Whole objects of it, at least `REACH` from the edges where those are no
        edges of the plane; only these are split. Each comes out as it does with
        all.
    furthest : float, optional
        Pixels count as no further than this from the background, in pixels. It
        makes windows of one large object agree, which see no more than this around
        them.

    Returns
    -------
    Parts

    References
    ----------
    Meyer, "Topographic distance and watershed lines", Signal Processing 38, 1994.
    """
    from scipy import ndimage as ndi
    from skimage.measure import label
    from skimage.segmentation import watershed

    if furthest is not None and region.all():
        distance = np.full(region.shape, furthest)
    else:
        distance = ndi.distance_transform_edt(region)
    if furthest is not None:
        np.minimum(distance, furthest, out=distance)
    distance = ndi.gaussian_filter(distance, _SIGMA)
    region = region if wanted is None else wanted
    distance[~region] = 0.0
    markers, grown = label(_find_markers(distance, region), return_num=True)
    seeds = first_pixels(markers, grown)
    parts = watershed(-distance, markers, mask=region)
    # A region too thin to hold a marker is still an object.
    forgotten, thin = label(region & (parts == 0), return_num=True)
    if thin:
        seeds = np.concatenate((seeds, first_pixels(forgotten, thin)))
        parts = np.where(forgotten > 0, forgotten + grown, parts)
    return Parts(parts.astype(np.int32, copy=False), seeds, grown)


def first_pixels(labels: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Find where each label comes first, row by row.

    labels: (H, W) int, 0 to `count`; each number is somewhere. Returns (count,) int64:
    ``y * W + x``.
    """
    places = np.flatnonzero(labels)[::-1]
    first = np.zeros(count + 1, dtype=np.int64)
    # Of several values for one place numpy keeps the last.
    first[labels.ravel()[places]] = places
    return first[1:]


def _find_markers(
    distance: NDArray[np.float64], region: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Find the maxima that rise high enough above the saddles around them.

    This is ``skimage.morphology.h_maxima`` to the bit, which sorts all pixels of the
    plane twice. Here each maximum is flooded out to where it meets the next; what
    remains to be compared is one number per maximum and per pass between two.
    """
    from skimage.measure import label
    from skimage.morphology import h_maxima, local_maxima
    from skimage.segmentation import watershed

    if region.all():
        # Without background, heights count from the lowest pixel of all.
        return np.asarray(h_maxima(distance, _MIN_DEPTH), dtype=bool)
    maxima, count = label(local_maxima(distance) & region, return_num=True)
    if count == 0:
        return np.zeros_like(region)
    basins = watershed(-distance, maxima, connectivity=2, mask=region)
    tops = distance.ravel()[first_pixels(maxima, count)]
    # As h_maxima does it: equal heights may differ by the rounding of their sums.
    shifted = tops - _MIN_DEPTH - 2 * np.finfo(tops.dtype).resolution * tops
    flood = np.maximum(_flood(shifted, *_passes(basins, distance)), 0.0)
    level = np.concatenate(([np.inf], flood))[basins]
    return np.asarray(distance - level >= _MIN_DEPTH)


def _passes(
    basins: NDArray[np.int32], distance: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Find the passes that a flood takes between basins, the highest first.

    Returns one, other (E,) int64: basins counted from 0, as a forest; heights (E,)
    float64.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    found = []
    height, width = basins.shape
    for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1)):
        here = np.s_[: height - dy, max(0, -dx) : width - max(0, dx)]
        there = np.s_[dy:, max(0, dx) : width - max(0, -dx)]
        a, b = basins[here], basins[there]
        meet = (a != b) & (a > 0) & (b > 0)
        # 32 bits: the trees of older releases of scipy take nothing else.
        a, b = a[meet].astype(np.int32), b[meet].astype(np.int32)
        level = np.minimum(distance[here][meet], distance[there][meet])
        found.append((np.minimum(a, b), np.maximum(a, b), level))
    one, other, heights = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((-heights, other, one))
    one, other, heights = one[order], other[order], heights[order]
    best = np.ones(len(one), dtype=bool)
    best[1:] = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
    size = int(basins.max()) + 1
    graph = coo_array((-heights[best], (one[best], other[best])), shape=(size, size))
    tree = minimum_spanning_tree(graph.tocsr()).tocoo()
    order = np.argsort(tree.data, kind="stable")
    return (
        tree.row[order].astype(np.int64) - 1,
        tree.col[order].astype(np.int64) - 1,
        -tree.data[order],
    )


def _flood(
    sources: NDArray[np.float64],
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    heights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Find how high each basin is flooded from its own source and all others.

    sources: (N,) float64; one, other, heights: (E,). Returns (N,) float64: the highest
    level that arrives: no higher than its source, and no higher than any pass on its
    way.
    """
    count, nodes = len(sources), len(sources) + len(heights)
    # Lakes join at ever lower passes; each join is a node above the two.
    lake, above = list(range(nodes)), [-1] * nodes
    highest = [*sources.tolist(), *heights.tolist()]
    arriving = [*sources.tolist(), *([-np.inf] * len(heights))]

    def surface(node: int) -> int:
        while lake[node] != node:
            lake[node] = lake[lake[node]]
            node = lake[node]
        return node

    passes = zip(one.tolist(), other.tolist(), heights.tolist(), strict=True)
    for joined, (first, second, level) in enumerate(passes, start=count):
        a, b = surface(first), surface(second)
        arriving[a] = max(arriving[a], min(level, highest[b]))
        arriving[b] = max(arriving[b], min(level, highest[a]))
        highest[joined] = max(highest[a], highest[b])
        lake[a] = lake[b] = above[a] = above[b] = joined
    for node in reversed(range(nodes)):
        if above[node] >= 0:
            arriving[node] = max(arriving[node], arriving[above[node]])
    return np.array(arriving[:count])
