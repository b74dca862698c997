"""Matching of objects: counts are exact."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import disk

from napari_dinoprompt.core.comparison.objects import (
    ObjectMatching,
    UnmatchedKind,
    match_objects,
)
from napari_dinoprompt.core.comparison.shapes import compare_shapes

small = settings(deadline=None, max_examples=40)


def field(
    rows: int = 6, columns: int = 8, pitch: int = 24, radius: float = 7
) -> np.ndarray:
    """Discs on a grid, each with a label of its own."""
    labels = np.zeros((rows * pitch, columns * pitch), dtype=np.int32)
    for k in range(rows * columns):
        centre = ((k // columns + 0.5) * pitch, (k % columns + 0.5) * pitch)
        labels[disk(centre, radius, shape=labels.shape)] = k + 1
    return labels


def kinds(found: ObjectMatching) -> list[tuple[str, int, str]]:
    return [(one.side, one.label, one.kind) for one in found.unmatched]


def test_labels_match_themselves() -> None:
    labels = field()
    found = match_objects(labels, labels)
    assert (found.real_count, found.fake_count) == (48, 48)
    assert [(one.real, one.fake, one.iou) for one in found.matches] == [
        (k, k, 1.0) for k in range(1, 49)
    ]
    assert found.unmatched == ()
    assert found.f1 == 1


def test_numbers_of_objects_do_not_matter() -> None:
    """Any order, gaps, and labels near the end of what the dtype holds."""
    labels = field()
    renamed = np.where(labels > 0, 2**31 - 7 * labels.astype(np.int64), 0)
    found = match_objects(labels, renamed)
    assert [(one.real, one.fake) for one in found.matches] == [
        (k, 2**31 - 7 * k) for k in range(1, 49)
    ]


@pytest.mark.parametrize("k", [1, 3, 10, 30])
def test_planted_objects_are_only_in_the_fake_and_removed_only_in_the_real(
    k: int,
) -> None:
    whole = field()
    fewer = np.where(whole <= 48 - k, whole, 0)
    removed, planted = match_objects(whole, fewer), match_objects(fewer, whole)
    assert kinds(removed) == [("real", n, "only in real") for n in range(49 - k, 49)]
    assert kinds(planted) == [("fake", n, "only in fake") for n in range(49 - k, 49)]
    cases: tuple[tuple[ObjectMatching, UnmatchedKind, UnmatchedKind], ...] = (
        (removed, "only in real", "only in fake"),
        (planted, "only in fake", "only in real"),
    )
    for one, found, missing in cases:
        assert len(one.matches) == 48 - k
        assert (one.count(found), one.count(missing)) == (k, 0)
        assert one.count("displaced or split") == 0
        assert one.f1 == pytest.approx(2 * (48 - k) / (96 - k))


def test_an_unmatched_object_is_described() -> None:
    labels = np.zeros((20, 30), np.int32)
    labels[4:8, 10:16] = 5
    (found,) = match_objects(labels, np.zeros_like(labels)).unmatched
    assert (found.side, found.label, found.kind) == ("real", 5, "only in real")
    assert found.centre == (5.5, 12.5)
    assert found.area == 24
    assert found.bbox == (4, 10, 8, 16)


def test_split_and_merged_objects_are_no_hallucinations() -> None:
    whole = np.zeros((20, 40), np.int32)
    whole[5:15, 5:25] = 1
    halves = whole.copy()
    halves[5:15, 15:25] = 2
    split, merged = match_objects(whole, halves), match_objects(halves, whole)
    for one in (split, merged):
        assert one.matches == ()
        assert one.count("displaced or split") == len(one.unmatched) == 3
    # One of the pieces may be the object after all.
    most = whole.copy()
    most[5:15, 20:25] = 2
    found = match_objects(whole, most)
    assert [(one.real, one.fake, one.iou) for one in found.matches] == [(1, 1, 0.75)]
    assert kinds(found) == [("fake", 2, "displaced or split")]


def test_an_object_in_twenty_pieces_is_not_missed() -> None:
    whole = np.zeros((10, 40), np.int32)
    whole[:, :] = 1
    pieces = np.repeat(np.arange(1, 21, dtype=np.int32), 2)[None].repeat(10, 0)
    for found in (match_objects(whole, pieces), match_objects(pieces, whole)):
        assert found.count("displaced or split") == len(found.unmatched) == 21


def test_a_shift_displaces_and_a_large_one_separates() -> None:
    labels = field(radius=5)
    for shift, matched, displaced in ((2, 48, 0), (6, 0, 96), (12, 0, 0)):
        moved = np.roll(labels, shift, axis=1)
        found = match_objects(labels, moved)
        assert len(found.matches) == matched
        assert found.count("displaced or split") == displaced
        only = 48 - matched - displaced // 2
        assert found.count("only in real") == found.count("only in fake") == only


def test_just_touching_is_no_displacement() -> None:
    """Below a tenth of the area, at a tenth, and at exactly half of the union."""
    real = np.zeros((10, 60), np.int32)
    real[:, 0:20] = 1
    fake = np.zeros_like(real)
    fake[:, 19:39] = 1
    assert {kind for _, _, kind in kinds(match_objects(real, fake))} == {
        "only in real",
        "only in fake",
    }
    fake = np.roll(fake, -1, axis=1)
    assert {kind for _, _, kind in kinds(match_objects(real, fake))} == {
        "displaced or split"
    }
    half = np.zeros_like(real)
    half[:, 0:10] = 1
    assert match_objects(real, half).matches == ()
    half[0, 10] = 1
    assert len(match_objects(real, half).matches) == 1


def test_overlap_is_of_ones_own_area() -> None:
    """A speck inside a large object is not hallucinated, but the object is missed."""
    real = np.zeros((20, 20), np.int32)
    real[2:18, 2:18] = 1
    fake = np.zeros_like(real)
    fake[8:11, 8:11] = 1
    assert kinds(match_objects(real, fake)) == [
        ("real", 1, "only in real"),
        ("fake", 1, "displaced or split"),
    ]


def test_only_what_is_left_of_an_object_counts() -> None:
    labels = field()
    valid = np.ones(labels.shape, bool)
    valid[:, 90:] = False
    found = match_objects(labels, np.where(valid, labels, 0), valid)
    assert found.real_count == found.fake_count == len(found.matches) == 24
    assert found.unmatched == ()
    assert match_objects(labels, labels, np.zeros_like(valid)).real_count == 0


def test_without_objects_nothing_can_be_said() -> None:
    nothing = np.zeros((5, 6), np.int32)
    found = match_objects(nothing, nothing)
    assert (found.real_count, found.fake_count, found.unmatched) == (0, 0, ())
    assert math.isnan(found.f1)
    one = nothing.copy()
    one[1, 1] = 3
    found = match_objects(one, nothing)
    assert found.f1 == 0


labels = st.integers(0, 2**32 - 1).map(
    lambda seed: np.kron(
        np.random.default_rng(seed).integers(0, 5, (5, 6)),
        np.ones((2, 3), int),
    ).astype(np.int32)
)


def brute_force(real: np.ndarray, fake: np.ndarray) -> dict[tuple[int, int], float]:
    pairs = {}
    for a in np.unique(real[real > 0]):
        for b in np.unique(fake[fake > 0]):
            one, other = real == a, fake == b
            iou = (one & other).sum() / (one | other).sum()
            if iou > 0.5:
                pairs[int(a), int(b)] = iou
    return pairs


@small
@given(labels, st.integers(0, 2**32 - 1))
def test_matches_are_those_of_the_definition(real: np.ndarray, seed: int) -> None:
    """The fake is the real with some pixels renamed, so that some pairs match."""
    rng = np.random.default_rng(seed)
    noise = rng.random(real.shape) < 0.3
    fake = np.where(noise, rng.integers(0, 5, real.shape), real).astype(np.int32)
    found = match_objects(real, fake)
    expected = brute_force(real, fake)
    assert {(one.real, one.fake): one.iou for one in found.matches} == expected
    assert len({one.real for one in found.matches}) == len(found.matches)
    assert len({one.fake for one in found.matches}) == len(found.matches)
    for side, plane, other in (("real", real, fake), ("fake", fake, real)):
        of_side = [one for one in found.unmatched if one.side == side]
        every = set(np.unique(plane[plane > 0]).tolist())
        matched = {getattr(one, side) for one in found.matches}
        assert [one.label for one in of_side] == sorted(every - matched)
        for one in of_side:
            there = plane == one.label
            assert one.area == there.sum()
            assert one.centre == pytest.approx(np.argwhere(there).mean(axis=0))
            met = (there & (other > 0)).sum() >= 0.1 * there.sum()
            assert (one.kind == "displaced or split") == met


@small
@given(labels, labels)
def test_exchanging_the_sides_exchanges_the_answers(
    a: np.ndarray, b: np.ndarray
) -> None:
    one, other = match_objects(a, b), match_objects(b, a)
    np.testing.assert_equal(one.f1, other.f1)
    assert one.count("only in real") == other.count("only in fake")
    assert one.count("displaced or split") == other.count("displaced or split")


def test_thousands_of_objects_are_quick() -> None:
    real = field(45, 45, pitch=45, radius=15)
    fake = np.roll(real, 2, axis=0)
    corner = real[:90, :90], fake[:90, :90]
    compare_shapes(*corner, match_objects(*corner).matches)  # imports
    seconds = []
    for _ in range(2):
        # Of this process, and the better of two: others share the machine.
        start = time.process_time()
        found = match_objects(real, fake)
        compare_shapes(real, fake, found.matches)
        seconds.append(time.process_time() - start)
        assert len(found.matches) == 2025
    assert min(seconds) < 2
