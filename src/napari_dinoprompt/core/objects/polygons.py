"""Objects as polygons along the edges of their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.progress import Progress

from .boxes import find_boxes, group_boxes

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

# Rings of vertices, the first the outer one: y, x in corners of pixels.
Rings = list["NDArray[np.integer[Any]]"]

# Right, down, left, up: the object is on the right hand.
_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))


@dataclass(frozen=True, eq=False)
class Outline:
    """One object in one plane.

    Attributes
    ----------
    label : int
    plane : int or None
        Where in the volume; None in a plane.
    parts : list of list of (N, 2) ndarray of int64
        By part: vertices y, x in corners of pixels, so that a pixel (y, x) goes from
        there to (y + 1, x + 1). The outer ring first, clockwise as seen, then those of
        holes. Pixels that touch at a corner only are in two parts, so that each is a
        valid polygon.
    """

    label: int
    plane: int | None
    parts: list[Rings]


def iter_outlines(instances: Any) -> Generator[Progress | Outline, None, None]:
    """Yield the outlines of all objects of (H, W) or (Z, H, W) numbers."""
    boxes, _ = yield from find_boxes(instances)
    groups = list(group_boxes(boxes))
    for done, group in enumerate(groups, start=1):
        local = group.read(instances)
        planes = local[None] if local.ndim == 2 else local
        corner: list[int] = [one.start for one in group.box]
        for z, plane in enumerate(planes):
            at = None if local.ndim == 2 else corner[0] + z
            for number, parts in _plane_outlines(plane, corner[-2:]):
                yield Outline(int(group.labels[number - 1]), at, parts)
        yield Progress(len(groups) + done, 2 * len(groups))


def _plane_outlines(
    plane: NDArray[np.int64], corner: list[int]
) -> Generator[tuple[int, list[Rings]], None, None]:
    from scipy import ndimage as ndi

    for number, box in enumerate(ndi.find_objects(plane), start=1):
        if box is None:
            continue
        shift = np.array([one.start for one in box]) + corner
        pieces, count = ndi.label(plane[box] == number)
        yield (
            number,
            [
                [np.add(ring, shift) for ring in trace(pieces == piece)]
                for piece in range(1, count + 1)
            ],
        )


def trace(region: NDArray[np.bool_]) -> Rings:
    """Trace the edge of a region whose pixels are connected by their edges.

    region: (h, w). Returns its outer ring and those of its holes. A ring that comes to
    a vertex twice is two rings, as OGC's simple features demand.
    """
    following = _edges(region)
    outer: Rings = []
    holes: Rings = []
    while following:
        start = next(iter(following))
        path: list[tuple[int, int]] = []
        places: dict[tuple[int, int], int] = {}
        here, way = start, following[start][0]
        while True:
            if here in places:
                # A loop is closed.
                at = places[here]
                ring = _corners(path[at:])
                (outer if _turns_right(ring) else holes).append(ring)
                for gone in path[at:]:
                    del places[gone]
                del path[at:]
                if here not in following and not path:
                    break
            places[here] = len(path)
            path.append(here)
            if here not in following:
                break
            ways = following[here]
            # Of two, the one to the right stays with the pixel that is followed.
            way = min(ways, key=lambda one: (way + 1 - one) % 4)
            ways.remove(way)
            if not ways:
                del following[here]
            here = here[0] + _STEPS[way][0], here[1] + _STEPS[way][1]
    return outer + holes


def _edges(region: NDArray[np.bool_]) -> dict[tuple[int, int], list[int]]:
    """Return, by the vertex in which they begin, the directions of all edges."""
    padded = np.pad(region, 1)
    inside = padded[1:-1, 1:-1]
    # Beside which pixel the edge lies, and where it begins from the pixel's corner.
    sides = (
        (padded[:-2, 1:-1], (0, 0)),
        (padded[1:-1, 2:], (0, 1)),
        (padded[2:, 1:-1], (1, 1)),
        (padded[1:-1, :-2], (1, 0)),
    )
    found: dict[tuple[int, int], list[int]] = {}
    for way, (beside, (down, right)) in enumerate(sides):
        rows, columns = np.nonzero(inside & ~beside)
        vertices = zip((rows + down).tolist(), (columns + right).tolist(), strict=True)
        for vertex in vertices:
            found.setdefault(vertex, []).append(way)
    return found


def _corners(path: list[tuple[int, int]]) -> NDArray[np.integer[Any]]:
    """Leave out vertices in the middle of straight lines."""
    ring = np.array(path, dtype=np.int64)
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    return np.asarray(ring[(before != after).any(axis=1)])


def _turns_right(ring: NDArray[np.integer[Any]]) -> bool:
    y, x = ring.T
    return bool(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0)
