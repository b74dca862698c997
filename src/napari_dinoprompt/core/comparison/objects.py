"""Which object of the fake is which object of the real.

A real and a fake object whose intersection over union (IoU) is above 0.5 are one and
the same. An object can have only one such partner, since each of the two covers more
than half of their union: no assignment problem is left to solve.

References
----------
Kirillov et al., "Panoptic Segmentation", CVPR 2019 (matching, theorem 1); Caicedo et
al., "Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl",
Nature Methods 16, 2019 (F1 of objects).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


UnmatchedKind = Literal["displaced or split", "only in real", "only in fake"]

_LEAST_IOU = 0.5
# Of its own area, what an object without a partner must share with objects of the
# other side to count as displaced, split or merged. All of them are taken together:
# an object that falls into twenty pieces is not missed. Less is mere touching: a
# hallucinated nucleus beside a real one overlaps it by a rim of pixels.
_LEAST_OVERLAP = 0.1


@dataclass(frozen=True)
class Match:
    """A real and a fake object that are one and the same.

    Attributes
    ----------
    real, fake : int
        Labels of the two.
    iou : float
        Above 0.5, at most 1.
    """

    real: int
    fake: int
    iou: float


@dataclass(frozen=True)
class UnmatchedObject:
    """An object without a partner.

    Attributes
    ----------
    side : {"real", "fake"}
        Where it was found.
    label : int
    kind : {"displaced or split", "only in real", "only in fake"}
        The first, which stands for merged objects too, if at least a tenth of its
        area lies in objects of the other side.
    centre : (float, float)
        Centroid y, x in pixels.
    area : int
        In pixels.
    bbox : (int, int, int, int)
        First row, first column, and the row and column after the last.
    """

    side: Literal["real", "fake"]
    label: int
    kind: UnmatchedKind
    centre: tuple[float, float]
    area: int
    bbox: tuple[int, int, int, int]


@dataclass(frozen=True)
class ObjectMatching:
    """All objects of both sides: matched, or not.

    Attributes
    ----------
    real_count, fake_count : int
    matches : tuple of Match
        In the order of the real labels.
    unmatched : tuple of UnmatchedObject
        Those of the real first, in the order of their labels.
    """

    real_count: int
    fake_count: int
    matches: tuple[Match, ...]
    unmatched: tuple[UnmatchedObject, ...]

    def count(self, kind: UnmatchedKind) -> int:
        """Count the objects of one kind, on both sides together."""
        return sum(one.kind == kind for one in self.unmatched)

    @property
    def f1(self) -> float:
        """Twice the matches, of all objects; NaN if there is none at all."""
        objects = self.real_count + self.fake_count
        return 2 * len(self.matches) / objects if objects else math.nan


def match_objects(
    real: NDArray[np.integer],
    fake: NDArray[np.integer],
    valid: NDArray[np.bool_] | None = None,
) -> ObjectMatching:
    """Match the objects of two label images one to one.

    Takes real, fake (H, W), whose labels need neither be consecutive nor connected, and
    valid (H, W): an object is what is left of it there.
    """
    from skimage.metrics import contingency_table

    real_labels, real_numbers = _number(real, valid)
    fake_labels, fake_numbers = _number(fake, valid)
    either = (real_numbers > 0) | (fake_numbers > 0)
    if not either.any():
        return ObjectMatching(0, 0, (), ())
    # Sparse: two sides of 2000 objects share some 3000 entries of 4 million.
    table = contingency_table(
        real_numbers[either], fake_numbers[either], sparse_type="array"
    )
    real_areas, fake_areas = table.sum(axis=1)[1:], table.sum(axis=0)[1:]
    shared = table[1:, 1:].tocoo()
    row, column = shared.coords
    iou = shared.data / (real_areas[row] + fake_areas[column] - shared.data)
    same = iou > _LEAST_IOU
    matches = sorted(
        zip(
            real_labels[row[same]].tolist(),
            fake_labels[column[same]].tolist(),
            iou[same].tolist(),
            strict=True,
        )
    )
    # By number, counted from 1; 0 is the background and never alone.
    alone_real = np.r_[False, np.ones(len(real_labels), bool)]
    alone_fake = np.r_[False, np.ones(len(fake_labels), bool)]
    alone_real[row[same] + 1] = False
    alone_fake[column[same] + 1] = False
    met_real = np.r_[False, shared.sum(axis=1) >= _LEAST_OVERLAP * real_areas]
    met_fake = np.r_[False, shared.sum(axis=0) >= _LEAST_OVERLAP * fake_areas]
    return ObjectMatching(
        real_count=len(real_labels),
        fake_count=len(fake_labels),
        matches=tuple(Match(*one) for one in matches),
        unmatched=(
            *_describe("real", real_labels, real_numbers, alone_real, met_real),
            *_describe("fake", fake_labels, fake_numbers, alone_fake, met_fake),
        ),
    )


def _number(
    labels: NDArray[np.integer], valid: NDArray[np.bool_] | None
) -> tuple[NDArray[np.integer], NDArray[np.int32]]:
    """Number objects from 1 in the order of their labels, whatever those are."""
    from skimage.util import map_array

    counted = labels != 0 if valid is None else (labels != 0) & valid
    names = np.unique(labels[counted])
    numbers = map_array(labels, names, np.arange(1, len(names) + 1, dtype=np.int32))
    return names, np.where(counted, numbers, np.int32(0))


def _describe(
    side: Literal["real", "fake"],
    labels: NDArray[np.integer],
    numbers: NDArray[np.int32],
    alone: NDArray[np.bool_],
    met: NDArray[np.bool_],
) -> list[UnmatchedObject]:
    """Describe the objects of one side that are alone."""
    from skimage.measure import regionprops

    if not alone.any():
        return []
    only: UnmatchedKind = "only in real" if side == "real" else "only in fake"
    # A copy that holds nothing else: no other object needs to be measured.
    left = np.where(alone[numbers], numbers, 0)
    return [
        UnmatchedObject(
            side=side,
            label=int(labels[region.label - 1]),
            kind="displaced or split" if met[region.label] else only,
            centre=(float(region.centroid[0]), float(region.centroid[1])),
            area=int(region.area),
            bbox=region.bbox,
        )
        for region in regionprops(left)
    ]
