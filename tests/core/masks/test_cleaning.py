"""From similarities to clean masks and instances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import disk
from skimage.measure import label

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.masks.cleaning import (
    Cleaning,
    class_mask,
    clean_and_label,
    clean_mask,
    split_instances,
)

small = settings(deadline=None, max_examples=40)


def rows(*values: list[float]) -> torch.Tensor:
    """K maps of one row of pixels."""
    return torch.tensor(values)[:, None, :]


def picture(text: str) -> np.ndarray:
    """A mask drawn in text: a dot is 0."""
    lines = text.split()
    return np.array([[int(c) for c in line.replace(".", "0")] for line in lines], "u1")


def discs(*discs: tuple[float, float, float], shape: tuple[int, int] = (40, 60)):
    mask = np.zeros(shape, dtype=np.uint8)
    for y, x, radius in discs:
        mask[disk((y, x), radius, shape=shape)] = 1
    return mask


def test_above_the_threshold_is_the_class() -> None:
    mask = class_mask(rows([0.1, 0.5, 0.51, 0.9]), [0.5], None)
    assert mask.tolist() == [[0, 0, 1, 1]]
    assert mask.dtype == np.uint8


def test_classes_compete_and_each_has_its_threshold() -> None:
    objects = rows([0.9, 0.4, 0.6, 0.3], [0.2, 0.7, 0.8, 0.5])
    # The third pixel is above both; the fourth below its own.
    assert class_mask(objects, [0.5, 0.6], objects).tolist() == [[1, 2, 2, 0]]


def test_a_pixel_goes_to_the_best_class_or_to_none() -> None:
    """Being above a threshold does not help a class that another beats."""
    objects = rows([0.6], [0.7])
    assert class_mask(objects, [0.5, 0.75], objects).tolist() == [[0]]


def test_who_wins_is_up_to_the_competing_scores() -> None:
    objects = rows([0.9, 0.9, 0.2], [0.8, 0.8, 0.8])
    competing_scores = rows([0.1, 0.3, 0.3], [0.2, 0.2, 0.2])
    # The last pixel is the first class's, which does not claim it.
    assert class_mask(objects, [0.5, 0.5], competing_scores).tolist() == [[2, 1, 0]]


def test_small_objects_are_removed_and_those_of_the_least_size_kept() -> None:
    mask = picture("11.1 ..... 22..1".replace("11.1", "11.1."))
    assert (
        clean_mask(mask, Cleaning(min_size=2)).tolist()
        == picture("11... ..... 22...").tolist()
    )
    assert clean_mask(mask, Cleaning(min_size=3)).any() == 0
    for size in (0, 1):
        assert (clean_mask(mask, Cleaning(min_size=size)) == mask).all()


def test_holes_are_filled_with_what_is_around_them() -> None:
    mask = picture("111.. 1.1.. 111.2 .....")
    filled = clean_mask(mask, Cleaning(fill_holes=True))
    assert filled.tolist() == picture("111.. 111.. 111.2 .....").tolist()
    assert (clean_mask(mask, Cleaning()) == mask).all()


def test_a_hole_is_never_filled_over_another_class() -> None:
    mask = picture("11111 1...1 1.2.1 1...1 11111")
    filled = clean_mask(mask, Cleaning(fill_holes=True))
    assert filled.tolist() == picture("11111 11111 11211 11111 11111").tolist()


@pytest.mark.parametrize(("inner", "outer"), [(1, 2), (2, 1)])
def test_a_hole_in_a_ring_within_a_ring_belongs_to_the_inner_one(
    inner: int, outer: int
) -> None:
    text = "ooooo oiiio oi.io oiiio ooooo"
    mask = picture(text.replace("o", str(outer)).replace("i", str(inner)))
    filled = clean_mask(mask, Cleaning(fill_holes=True))
    assert filled[2, 2] == inner


def test_cleaning_leaves_its_input_alone() -> None:
    mask = picture("111 1.1 111")
    before = mask.copy()
    clean_mask(mask, Cleaning(min_size=5, fill_holes=True))
    assert (mask == before).all()


def test_each_connected_region_is_one_object() -> None:
    mask = picture("11..2 11..2 ..... .1.22")
    found = split_instances(mask, Cleaning())
    assert found.dtype == np.int32
    assert sorted(np.unique(found)) == [0, 1, 2, 3, 4]
    assert len(set(found[[0, 0, 3, 3], [0, 4, 1, 3]].tolist())) == 4


def test_touching_classes_are_different_objects() -> None:
    assert split_instances(picture("1122"), Cleaning()).tolist() == [[1, 1, 2, 2]]


def test_two_touching_discs_are_split_in_two() -> None:
    mask = discs((20, 20, 10), (20, 37, 10))
    assert label(mask).max() == 1
    assert split_instances(mask, Cleaning()).max() == 1
    found = split_instances(mask, Cleaning(split=True))
    assert found.max() == 2
    assert ((found > 0) == (mask > 0)).all()
    assert found[20, 20] != found[20, 37]
    sizes = np.bincount(found.ravel())[1:]
    assert sizes.min() > 0.85 * sizes.max()


@pytest.mark.parametrize("radius", [1, 2, 4, 9, 15])
def test_one_disc_stays_one(radius: int) -> None:
    mask = discs((19.6, 30.3, radius))
    assert split_instances(mask, Cleaning(split=True)).max() == 1


def test_an_ellipse_stays_one() -> None:
    y, x = np.mgrid[:40, :60]
    mask = (((y - 20) / 7) ** 2 + ((x - 30) / 16) ** 2 < 1).astype(np.uint8)
    assert split_instances(mask, Cleaning(split=True)).max() == 1


def test_thin_regions_keep_an_object() -> None:
    mask = np.zeros((30, 30), dtype=np.uint8)
    mask[3, 3:25] = 1
    mask[10:28, 10] = 2
    mask[20, 20] = 1
    found = split_instances(mask, Cleaning(split=True))
    assert ((found > 0) == (mask > 0)).all()
    assert found.max() >= 3


def test_fragments_of_a_split_below_the_least_size_are_dropped() -> None:
    mask = discs((20, 20, 10), (20, 35, 5))
    parts = split_instances(mask, Cleaning(split=True))
    assert parts.max() == 2
    sizes = np.bincount(parts.ravel())[1:]
    cleaning = Cleaning(split=True, min_size=int(sizes.min()) + 1)
    found = split_instances(mask, cleaning)
    assert found.max() == 1
    assert (found > 0).sum() == sizes.max()


def test_least_size_counts_objects_as_instances_do() -> None:
    """Two squares that meet at a corner are one object, and have its size."""
    mask = picture("11... 11... ..11. ..11.")
    assert split_instances(mask, Cleaning()).max() == 1
    assert (clean_mask(mask, Cleaning(min_size=8)) == mask).all()


masks = st.integers(0, 2**32 - 1).map(
    lambda seed: (
        np.random.default_rng(seed).integers(0, 3, (6, 5)).astype(np.uint8).repeat(4, 0)
    ).repeat(4, 1)
)


@small
@given(masks, st.booleans(), st.integers(0, 40))
def test_instances_are_numbered_without_gaps_and_lie_in_one_class(
    mask: np.ndarray, split: bool, size: int
) -> None:
    cleaning = Cleaning(min_size=size, split=split)
    found = split_instances(clean_mask(mask, cleaning), cleaning)
    numbers = np.unique(found)
    np.testing.assert_array_equal(numbers[numbers > 0], np.arange(found.max()) + 1)
    for number in numbers[numbers > 0]:
        assert len(np.unique(mask[found == number])) == 1
        assert (found == number).sum() >= size


def test_a_hole_that_opens_when_a_speck_is_removed_is_filled() -> None:
    mask = picture("11111 1...1 1.2.1 1...1 11111")
    cleaned = clean_mask(mask, Cleaning(min_size=2, fill_holes=True))
    assert (cleaned == 1).all()


@small
@given(masks, st.just((0, True)) | st.tuples(st.integers(0, 60), st.just(False)))
def test_cleaning_twice_changes_nothing_more(
    mask: np.ndarray, options: tuple[int, bool]
) -> None:
    cleaning = Cleaning(*options)
    once = clean_mask(mask, cleaning)
    np.testing.assert_array_equal(clean_mask(once, cleaning), once)
    assert ((once == mask) | (mask == 0) | (once == 0)).all()


@small
@given(masks)
def test_without_cleaning_nothing_changes(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(clean_mask(mask, Cleaning()), mask)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 3)])
@pytest.mark.parametrize("value", [0, 1])
def test_tiny_masks_work(shape: tuple[int, int], value: int) -> None:
    mask = np.full(shape, value, dtype=np.uint8)
    cleaning = Cleaning(min_size=1, fill_holes=True, split=True)
    assert (clean_mask(mask, cleaning) == mask).all()
    assert split_instances(mask, cleaning).max() == value


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InputError):
        Cleaning(min_size=-1)


def test_objects_above_the_largest_size_are_removed_after_splitting() -> None:
    y, x = np.mgrid[:40, :90]
    mask = np.zeros(y.shape, np.uint8)
    # Two discs that touch, and one that is larger than both.
    for column, radius in ((12, 9), (29, 9), (65, 17)):
        mask[(y - 20) ** 2 + (x - column) ** 2 < radius**2] = 1
    cleaned, instances = clean_and_label(mask, Cleaning(split=True, max_size=300))
    assert instances.max() == 2
    assert not cleaned[:, 48:].any()
    cleaned, _ = clean_and_label(mask, Cleaning(max_size=300))
    assert not cleaned.any()


@pytest.mark.parametrize("size", [-1, 1.5, "few"])
def test_a_largest_size_is_a_number_above_the_smallest(size: object) -> None:
    with pytest.raises(InputError, match="largest object must have"):
        Cleaning(max_size=size)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="No object has at least 9"):
        Cleaning(min_size=9, max_size=4)
