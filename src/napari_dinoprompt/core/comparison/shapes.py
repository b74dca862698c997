"""How alike matched objects are in size, shape and outline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .objects import Match


@dataclass(frozen=True, eq=False)
class MatchedShapes:
    """Figures of M matched objects, one each, and their means.

    A mean over no object is NaN.

    Attributes
    ----------
    area_ratios : (M,) ndarray of float64
        Area of the fake object over that of the real one.
    eccentricity_differences : (M,) ndarray of float64
        Fake minus real; the eccentricity is that of the ellipse with the object's
        second moments, from 0 (circle) to 1 (line).
    solidity_differences : (M,) ndarray of float64
        Fake minus real; the solidity is the area over that of the convex hull of
        the pixels, taken as squares.
    boundary_distances : (M,) ndarray of float64
        Mean symmetric distance of the two outlines, in pixels.
    """

    area_ratios: NDArray[np.float64]
    eccentricity_differences: NDArray[np.float64]
    solidity_differences: NDArray[np.float64]
    boundary_distances: NDArray[np.float64]

    @property
    def area_ratio(self) -> float:
        """Geometric mean, so that half and double the size cancel out."""
        return math.exp(_mean(np.log(self.area_ratios)))

    @property
    def shape_difference(self) -> float:
        """Mean of the absolute differences of eccentricity and solidity."""
        both = np.abs((self.eccentricity_differences, self.solidity_differences))
        return _mean(both)

    @property
    def boundary_distance(self) -> float:
        """Mean, in pixels."""
        return _mean(self.boundary_distances)


def compare_shapes(
    real: NDArray[np.integer],
    fake: NDArray[np.integer],
    matches: Sequence[Match],
    valid: NDArray[np.bool_] | None = None,
) -> MatchedShapes:
    """Compare objects that were matched.

    Takes real, fake, valid (H, W).

    References
    ----------
    Heimann et al., "Comparison and evaluation of methods for liver segmentation from
    CT datasets", IEEE TMI 28, 2009 (average symmetric surface distance).
    """
    from scipy import ndimage as ndi

    # The k-th pair is number k + 1 on both sides.
    real_numbers = _renumber(real, [one.real for one in matches], valid)
    fake_numbers = _renumber(fake, [one.fake for one in matches], valid)
    count = len(matches)
    real_boxes = ndi.find_objects(real_numbers, max_label=count)
    fake_boxes = ndi.find_objects(fake_numbers, max_label=count)
    if None in real_boxes or None in fake_boxes:
        raise InputError("A matched object is not in its label image.")
    real_outlines, fake_outlines = _outlines(real_numbers), _outlines(fake_numbers)
    solidity = np.zeros(count)
    distance = np.zeros(count)
    for k, boxes in enumerate(zip(real_boxes, fake_boxes, strict=True)):
        # Small crops: the distance transform of a whole plane for each pair is slow.
        crop = _common_box(*boxes)
        one, other = real_numbers[crop] == k + 1, fake_numbers[crop] == k + 1
        solidity[k] = _solidity(other) - _solidity(one)
        distance[k] = _outline_distance(
            one & real_outlines[crop], other & fake_outlines[crop]
        )
    return MatchedShapes(
        area_ratios=_areas(fake_numbers, count) / _areas(real_numbers, count),
        eccentricity_differences=(
            _eccentricities(fake_numbers, count) - _eccentricities(real_numbers, count)
        ),
        solidity_differences=solidity,
        boundary_distances=distance,
    )


def _renumber(
    labels: NDArray[np.integer], chosen: Sequence[int], valid: NDArray[np.bool_] | None
) -> NDArray[np.int32]:
    from skimage.util import map_array

    numbers = np.arange(1, len(chosen) + 1, dtype=np.int32)
    found: NDArray[np.int32] = map_array(
        labels, np.array(chosen, dtype=labels.dtype), numbers
    )
    return found if valid is None else np.where(valid, found, np.int32(0))


def _common_box(
    one: tuple[slice, slice], other: tuple[slice, slice]
) -> tuple[slice, ...]:
    return tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop))
        for a, b in zip(one, other, strict=True)
    )


def _areas(numbers: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    return np.bincount(numbers.ravel(), minlength=count + 1)[1:].astype(np.float64)


def _eccentricities(numbers: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """Eccentricity as regionprops defines it, of all objects at once.

    Object by object, a plane of 2000 would take a second a side.
    """
    y, x = np.nonzero(numbers)
    owner = numbers[y, x] - 1
    area = np.bincount(owner, minlength=count)

    def mean(values: NDArray[np.generic]) -> NDArray[np.float64]:
        return np.bincount(owner, weights=values, minlength=count) / area

    dy, dx = y - mean(y)[owner], x - mean(x)[owner]
    yy, xx, yx = mean(dy * dy), mean(dx * dx), mean(dy * dx)
    # Eigenvalues of a symmetric 2 x 2 matrix.
    middle, spread = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
    large, small = middle + spread, np.maximum(middle - spread, 0)
    # A single pixel is as round as can be told.
    ratio = np.divide(small, large, out=np.ones_like(large), where=large > 0)
    return np.asarray(np.sqrt(1 - ratio))


def _solidity(mask: NDArray[np.bool_]) -> float:
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    after = mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    area = _hull_side(rows, after) + _hull_side(rows, -first)
    return float(np.count_nonzero(mask) / area)


def _hull_side(rows: NDArray[np.integer], ends: NDArray[np.integer]) -> float:
    """Measure the area between the y axis and the right side of a convex hull.

    The chain of Andrew, Information Processing Letters 9, 1979. The corners come
    sorted: scipy's general ConvexHull takes several times as long for so few.

    Takes rows (n,) that hold pixels, from above, and ends (n,): x of the right edge of
    the last pixel in each.
    """
    # Each row has a corner above and one below; of two at one height the outer counts.
    corners = dict(zip(rows.tolist(), ends.tolist(), strict=True))
    for y, x in zip((rows + 1).tolist(), ends.tolist(), strict=True):
        corners[y] = max(x, corners.get(y, x))
    chain: list[tuple[int, int]] = []
    for y, x in sorted(corners.items()):
        while len(chain) > 1:
            (y1, x1), (y2, x2) = chain[-2:]
            if (x - x1) * (y2 - y1) < (x2 - x1) * (y - y1):
                break
            chain.pop()
        chain.append((y, x))
    return sum((y2 - y1) * (x1 + x2) / 2 for (y1, x1), (y2, x2) in pairwise(chain))


def _outline_distance(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Average, over the pixels of both outlines, the way to the other outline."""
    from scipy.ndimage import distance_transform_edt

    there = distance_transform_edt(~other)[one]
    back = distance_transform_edt(~one)[other]
    return float((there.sum() + back.sum()) / (there.size + back.size))


def _outlines(numbers: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Find the pixels of objects with a neighbour outside their own object.

    The edge of the plane is outside. Neighbours share a side.
    """
    framed = np.pad(numbers, 1)
    inner = slice(1, -1)
    around = (
        framed[:-2, inner],
        framed[2:, inner],
        framed[inner, :-2],
        framed[inner, 2:],
    )
    differs = np.zeros(numbers.shape, dtype=np.bool_)
    for one in around:
        differs |= numbers != one
    return differs & (numbers > 0)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else math.nan
