"""How many objects there are, and how large they are, in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.images.lazy_plane import read_part
from napari_dinoprompt.core.progress import Progress

from .boxes import blocks_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ObjectCounts:
    """The sizes of all objects.

    Attributes
    ----------
    names : tuple of K str
        Object classes.
    sizes : tuple of K ndarrays of int64
        Of the objects of each class, in pixels or voxels.
    pixels : int
        Of all of the image.
    """

    names: tuple[str, ...]
    sizes: tuple[NDArray[np.int64], ...]
    pixels: int

    @classmethod
    def none(cls, names: tuple[str, ...]) -> ObjectCounts:
        """Return those of a plane whose objects are counted elsewhere."""
        return cls(names, (np.zeros(0, np.int64),) * len(names), 0)

    @property
    def total(self) -> int:
        """How many objects there are, of all classes."""
        return sum(map(len, self.sizes))

    def __add__(self, other: ObjectCounts) -> ObjectCounts:
        """Put those of two planes together."""
        pairs = zip(self.sizes, other.sizes, strict=True)
        sizes = tuple(np.concatenate(pair) for pair in pairs)
        return ObjectCounts(self.names, sizes, self.pixels + other.pixels)

    def describe(self, measure: float | None, *, through: bool = False) -> str:
        """Say how many objects of each class there are, a line each.

        measure: of a pixel in µm², or a voxel in µm³, if it is known; through: objects
        go through planes.
        """
        lines = []
        for name, sizes in zip(self.names, self.sizes, strict=True):
            line = f"{len(sizes)} object{'' if len(sizes) == 1 else 's'}"
            if len(sizes):
                middle = float(np.median(sizes))
                line += f" · median {middle:.0f} {'voxels' if through else 'px'}"
                if measure is not None:
                    line += f" ({middle * measure:.3g} µm{'³' if through else '²'})"
                line += f" · {sizes.sum() / self.pixels:.1%} of the image"
            several = len(self.names) > 1
            lines.append(f"{name}: {line}" if several else line)
        return "\n".join(lines)


def iter_counts(
    instances: Any, mask: Any, names: Sequence[str]
) -> Generator[Progress, None, ObjectCounts]:
    """Count objects that are numbered on from 1, block by block.

    instances: (H, W) or (Z, H, W) array of integers; mask: the same of class numbers.
    """
    shape = tuple(int(n) for n in instances.shape)
    sizes, classes = np.zeros(1, np.int64), np.zeros(1, np.uint8)
    blocks = list(blocks_of(shape))
    for done, block in enumerate(blocks, start=1):
        numbers = read_part(instances, block).ravel()
        found = np.bincount(numbers)
        more = max(0, len(found) - len(sizes))
        sizes, classes = np.pad(sizes, (0, more)), np.pad(classes, (0, more))
        sizes[: len(found)] += found
        classes[numbers] = read_part(mask, block).ravel()
        yield Progress(done, len(blocks))
    sizes[0] = 0
    held = [sizes[(classes == at) & (sizes > 0)] for at in range(1, len(names) + 1)]
    return ObjectCounts(tuple(names), tuple(held), int(np.prod(shape)))
