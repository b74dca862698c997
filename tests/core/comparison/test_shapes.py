"""Size, shape and outline of matched objects."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage.draw import disk, ellipse
from skimage.measure import label, regionprops_table

from napari_dinoprompt.core.comparison.objects import Match, match_objects
from napari_dinoprompt.core.comparison.shapes import MatchedShapes, compare_shapes
from napari_dinoprompt.core.errors import InputError

SHAPE = (80, 90)


def draw(*at: tuple[Any, Any]) -> np.ndarray:
    labels = np.zeros(SHAPE, np.int32)
    for k, where in enumerate(at):
        labels[where] = k + 1
    return labels


def compare(real: np.ndarray, fake: np.ndarray) -> MatchedShapes:
    return compare_shapes(real, fake, [Match(1, 1, 1.0)])


def test_an_object_is_like_itself() -> None:
    real = draw(disk((20, 20), 9), ellipse(50, 60, 8, 20), (np.array([70]), [3]))
    found = compare_shapes(real, real, match_objects(real, real).matches)
    assert found.area_ratios.tolist() == [1, 1, 1]
    assert found.area_ratio == 1
    assert found.shape_difference == 0
    assert found.boundary_distance == 0


def test_a_larger_disc_has_a_larger_area_and_a_distant_outline() -> None:
    real, fake = draw(disk((40, 40), 12)), draw(disk((40, 40), 15))
    found = compare(real, fake)
    assert found.area_ratio == pytest.approx((15 / 12) ** 2, rel=0.05)
    assert found.boundary_distance == pytest.approx(3, abs=0.3)
    assert found.shape_difference < 0.05
    back = compare(fake, real)
    assert back.area_ratio == pytest.approx(1 / found.area_ratio)
    assert back.boundary_distance == pytest.approx(found.boundary_distance)


def test_outlines_of_squares_counted_by_hand() -> None:
    """3 x 3 in 5 x 5: 8 pixels at distance 1; 12 at 1 and 4 corners at root 2."""
    real, fake = np.zeros((2, *SHAPE), np.int32)
    real[31:34, 31:34] = 1
    fake[30:35, 30:35] = 1
    expected = (8 + 12 + 4 * math.sqrt(2)) / (8 + 16)
    assert compare(real, fake).boundary_distance == pytest.approx(expected)


def test_half_and_double_cancel_out() -> None:
    real, fake = np.zeros((2, *SHAPE), np.int32)
    real[:4, :4], real[10:14, 10:18] = 1, 2
    fake[:4, :8], fake[10:14, 10:14] = 1, 2
    matches = [Match(1, 1, 0.5), Match(2, 2, 0.5)]
    found = compare_shapes(real, fake, matches)
    assert found.area_ratios.tolist() == [2, 0.5]
    assert found.area_ratio == pytest.approx(1)


def test_shape_differences_are_those_of_the_definition() -> None:
    """A disc against an ellipse, and against a disc with a bite taken out of it."""
    round_ = draw(disk((40, 40), 20))
    long = draw(ellipse(40, 40, 10, 20))
    bitten = round_.copy()
    bitten[disk((40, 58), 10)] = 0
    found = compare(round_, long)
    assert found.eccentricity_differences[0] == pytest.approx(
        math.sqrt(1 - 0.5**2), abs=0.02
    )
    assert abs(found.solidity_differences[0]) < 0.03
    found = compare(round_, bitten)
    assert found.solidity_differences[0] < -0.1
    both = abs(found.eccentricity_differences[0]) + abs(found.solidity_differences[0])
    assert found.shape_difference == pytest.approx(both / 2)


def test_eccentricity_and_solidity_agree_with_regionprops() -> None:
    rng = np.random.default_rng(0)
    real = label(ndi.gaussian_filter(rng.normal(size=(150, 150)), 4) > 0.02)
    sizes = np.bincount(real.ravel())
    real = label(sizes[real] * (real > 0) > 60)
    # Against one pixel, which has eccentricity 0 and solidity 1.
    properties = ("label", "eccentricity", "solidity")
    expected = regionprops_table(real, properties=properties)
    assert len(expected["label"]) > 10
    for name, eccentricity, solidity in zip(*expected.values(), strict=True):
        dot = np.zeros_like(real)
        dot[75, 75] = 1
        found = compare_shapes(dot, real, [Match(1, int(name), 0.0)])
        assert found.eccentricity_differences[0] == pytest.approx(eccentricity)
        # regionprops rounds the hull to whole pixels.
        assert found.solidity_differences[0] + 1 == pytest.approx(solidity, abs=0.08)


@pytest.mark.parametrize("turns", range(4))
def test_solidity_of_corners_counted_by_hand(turns: int) -> None:
    """A square without a quarter, and two squares apart, against a dot."""
    dot, corner, apart = np.zeros((3, 30, 30), np.int32)
    dot[5, 5] = 1
    corner[10:20, 10:20], corner[10:15, 15:20] = 1, 0
    apart[2:6, 2:6] = apart[12:16, 2:6] = 1
    for plane, solidity in ((corner, 75 / 87.5), (apart, 32 / 56)):
        found = compare(dot, np.rot90(plane, turns).copy())
        assert found.solidity_differences[0] + 1 == pytest.approx(solidity)


def test_neighbours_that_touch_are_kept_apart() -> None:
    real = np.zeros(SHAPE, np.int32)
    real[10:20, 10:20], real[10:20, 20:30] = 1, 2
    fake = np.zeros_like(real)
    fake[10:20, 10:20] = 7
    found = compare_shapes(real, fake, match_objects(real, fake).matches)
    assert found.boundary_distances.tolist() == [0]
    assert found.area_ratios.tolist() == [1]


def test_only_what_holds_data_is_compared() -> None:
    real, fake = np.zeros((2, *SHAPE), np.int32)
    real[10:20, 10:20], fake[10:20, 10:24] = 1, 1
    valid = np.ones(SHAPE, bool)
    valid[:, 20:] = False
    found = compare_shapes(real, fake, [Match(1, 1, 1.0)], valid)
    assert (found.area_ratio, found.boundary_distance) == (1, 0)


def test_without_matches_nothing_can_be_said() -> None:
    nothing = np.zeros(SHAPE, np.int32)
    found = compare_shapes(nothing, nothing, [])
    figures = (found.area_ratio, found.shape_difference, found.boundary_distance)
    assert all(math.isnan(one) for one in figures)


def test_a_match_must_be_in_its_images() -> None:
    nothing = np.zeros(SHAPE, np.int32)
    with pytest.raises(InputError, match="not in its label image"):
        compare(draw(disk((20, 20), 5)), nothing)
