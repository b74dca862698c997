"""The boxes around objects, and the parts of an image in which they are looked at."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.images.lazy_plane import read_part
from napari_dinoprompt.core.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

# Where an object lies, along each axis.
Box = tuple[slice, ...]

# Of the blocks that are looked at together, in pixels and voxels.
SIDES = {2: (2048, 2048), 3: (64, 512, 512)}


@dataclass(frozen=True, eq=False)
class Group:
    """Objects that are looked at together.

    Attributes
    ----------
    labels : (N,) ndarray of int64
        Their numbers, rising.
    box : tuple of slice
        Around all of them.
    step : int
        Between the pixels that are read, along each axis.
    """

    labels: NDArray[np.int64]
    box: Box
    step: int = 1

    @property
    def key(self) -> Box:
        """What is read."""
        return tuple(slice(one.start, one.stop, self.step) for one in self.box)

    def read(self, instances: Any) -> NDArray[np.int64]:
        """Read object numbers: 1 to N, in this order; 0 for all other objects."""
        return places_of(self.labels, read_part(instances, self.key))


def places_of(labels: NDArray[np.int64], part: NDArray[Any]) -> NDArray[np.int64]:
    """Return where each number of a part is among rising labels, from 1; else 0."""
    if not len(labels):
        return np.zeros(part.shape, np.int64)
    found = np.searchsorted(labels, part).clip(max=len(labels) - 1)
    return np.where(labels[found] == part, found + 1, 0)


def find_boxes(
    instances: Any,
) -> Generator[Progress, None, tuple[dict[int, Box], dict[int, int]]]:
    """Find the box and the number of pixels of each object, block by block."""
    from scipy import ndimage as ndi

    boxes: dict[int, Box] = {}
    areas: dict[int, int] = {}
    blocks = list(blocks_of(tuple(instances.shape)))
    for done, block in enumerate(blocks, start=1):
        labels, local, counts = np.unique(
            read_part(instances, block), return_inverse=True, return_counts=True
        )
        shift = int(labels[0] == 0)
        # The local number 0 is background here as well.
        found = ndi.find_objects(local.reshape(_shape(block)) + 1 - shift)
        for label, count, box in zip(
            labels[shift:].tolist(), counts[shift:].tolist(), found, strict=True
        ):
            there = tuple(
                slice(one.start + inside.start, one.start + inside.stop)
                for one, inside in zip(block, box, strict=True)
            )
            boxes[label] = _around((boxes.get(label, there), there))
            areas[label] = areas.get(label, 0) + count
        yield Progress(done, 2 * len(blocks))
    return boxes, areas


def group_boxes(boxes: Mapping[int, Box], most: int | None = None) -> Iterator[Group]:
    """Put objects together that begin in one block; larger ones are alone.

    Of a box with more than `most` pixels not all are read.
    """
    together: dict[tuple[int, ...], list[int]] = {}
    for label, box in boxes.items():
        sides = SIDES[len(box)]
        fits = all(n <= side for n, side in zip(_shape(box), sides, strict=True))
        at = tuple(one.start // side for one, side in zip(box, sides, strict=True))
        together.setdefault(at if fits else (label,), []).append(label)
    for labels in together.values():
        box = _around([boxes[label] for label in labels])
        pixels = math.prod(_shape(box))
        step = 1 if most is None else math.ceil((pixels / most) ** (1 / len(box)))
        yield Group(np.sort(np.asarray(labels)), box, step)


def blocks_of(shape: tuple[int, ...]) -> Iterator[Box]:
    """Cut a plane or a volume into blocks."""
    sides = SIDES[len(shape)]
    starts = (range(0, n, side) for n, side in zip(shape, sides, strict=True))
    for at in itertools.product(*starts):
        yield tuple(
            slice(first, min(first + side, length))
            for first, side, length in zip(at, sides, shape, strict=True)
        )


def _around(boxes: Sequence[Box]) -> Box:
    return tuple(
        slice(min(one.start for one in along), max(one.stop for one in along))
        for along in zip(*boxes, strict=True)
    )


def _shape(box: Box) -> tuple[int, ...]:
    return tuple(one.stop - one.start for one in box)
