"""3-D cleaning and numbering, on volumes whose objects are known."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import ellipsoid
from skimage.measure import label

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.masks import volumes
from napari_dinoprompt.core.masks.cleaning import Cleaning, clean_and_label
from napari_dinoprompt.core.masks.volumes import finish_volume, iter_finish_volume

SPLIT = Cleaning(split=True)


def two_balls(apart: int, height: float = 1.0) -> np.ndarray:
    """Two balls of radius 8 that touch along z; a voxel is `height` pixels high."""
    z, y, x = np.ogrid[:64, :40, :40]
    mask = np.zeros((64, 40, 40), dtype=np.uint8)
    for centre in (20, 20 + apart):
        inside = ((z - centre) * height) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 64
        mask[inside] = 1
    return mask


def test_objects_go_through_the_planes() -> None:
    mask = np.zeros((5, 12, 12), dtype=np.uint8)
    mask[0, 1:4, 1:4] = mask[1, 2:5, 2:5] = 1
    # By a corner only: up, right and down.
    mask[2, 5:8, 5:8] = 1
    mask[4, 9:11, 1:3] = 1
    cleaned, instances = finish_volume(mask, Cleaning())
    np.testing.assert_array_equal(cleaned, mask)
    np.testing.assert_array_equal(instances, label(mask, connectivity=3))
    assert instances.dtype == np.int32
    assert instances.max() == 2


def test_small_objects_are_counted_in_voxels() -> None:
    mask = np.zeros((4, 10, 10), dtype=np.uint8)
    mask[:4, 1:3, 1:3] = 1
    mask[1, 5:8, 5:8] = 1
    cleaned, instances = finish_volume(mask, Cleaning(min_size=10))
    assert cleaned[1, 6, 6] == 0
    assert instances.max() == 1
    assert np.count_nonzero(instances) == 16


def test_only_what_is_enclosed_on_all_sides_is_a_hole() -> None:
    mask = np.zeros((7, 9, 9), dtype=np.uint8)
    mask[1:6, 1:8, 1:8] = 1
    mask[3, 4, 4] = 0
    tunnel = mask.copy()
    tunnel[:, 2, 2] = 0
    fill = Cleaning(fill_holes=True)
    assert finish_volume(mask, fill)[0][3, 4, 4] == 1
    cleaned = finish_volume(tunnel, fill)[0]
    assert cleaned[3, 4, 4] == 1
    assert cleaned[3, 2, 2] == 0
    # The same tunnel is a hole in each plane.
    assert clean_and_label(tunnel[3], fill)[0][2, 2] == 1


def test_a_hole_takes_the_class_that_encloses_it_most_closely() -> None:
    mask = np.zeros((11, 11, 11), dtype=np.uint8)
    mask[:, :, :] = 2
    mask[1:10, 1:10, 1:10] = 0
    mask[3:8, 3:8, 3:8] = 1
    mask[5, 5, 5] = 0
    cleaned, instances = finish_volume(mask, Cleaning(fill_holes=True))
    assert cleaned[5, 5, 5] == 1
    assert cleaned[2, 5, 5] == 2
    assert set(np.unique(instances)) == {1, 2}


def test_no_data_is_never_filled() -> None:
    mask = np.ones((5, 5, 5), dtype=np.uint8)
    mask[2, 2, 2] = 0
    missing = mask == 0
    cleaned, instances = finish_volume(mask, Cleaning(fill_holes=True), no_data=missing)
    assert cleaned[2, 2, 2] == instances[2, 2, 2] == 0


def test_touching_objects_are_separated_along_z() -> None:
    mask = two_balls(14)
    assert finish_volume(mask, Cleaning())[1].max() == 1
    cleaned, instances = finish_volume(mask, SPLIT)
    np.testing.assert_array_equal(cleaned, mask)
    assert instances.max() == 2
    first, second = instances[20, 20, 20], instances[34, 20, 20]
    assert {first, second} == {1, 2}
    # The border lies half way.
    assert instances[26, 20, 20] == first
    assert instances[28, 20, 20] == second


def test_spacing_decides_where_objects_are_separated() -> None:
    # Planes 2.5 pixels apart; taken for cubes, the balls are flat and close.
    mask = two_balls(5, height=2.5)
    assert finish_volume(mask, SPLIT, spacing=(2.5, 1, 1))[1].max() == 2
    assert finish_volume(mask, SPLIT, spacing=(1, 1, 1))[1].max() == 1
    # Only the ratios count.
    _, once = finish_volume(mask, SPLIT, spacing=(2.5, 1, 1))
    _, again = finish_volume(mask, SPLIT, spacing=(0.5, 0.2, 0.2))
    np.testing.assert_array_equal(once, again)


def test_classes_are_numbered_apart() -> None:
    mask = np.zeros((3, 8, 8), dtype=np.uint8)
    mask[:, 1:4, 1:7] = 1
    mask[:, 4:7, 1:7] = 2
    _, instances = finish_volume(mask, Cleaning())
    assert instances.max() == 2
    assert set(np.unique(instances[mask == 1])) == {1}
    assert set(np.unique(instances[mask == 2])) == {2}


def test_fragments_of_a_split_below_the_smallest_size_are_dropped() -> None:
    mask = two_balls(14)
    mask[:, :, :5] = 0
    whole = np.count_nonzero(mask)
    cleaned, instances = finish_volume(mask, Cleaning(split=True, min_size=whole - 1))
    assert not cleaned.any()
    assert not instances.any()


def test_a_volume_of_one_plane_is_that_plane() -> None:
    rng = np.random.default_rng(0)
    mask = (rng.random((40, 50)) > 0.4).astype(np.uint8)
    cleaning = Cleaning(min_size=5, fill_holes=True, split=True)
    for found, expected in zip(
        finish_volume(mask[None], cleaning),
        clean_and_label(mask, cleaning),
        strict=True,
    ):
        np.testing.assert_array_equal(found[0], expected)


def test_volumes_of_a_series_are_apart_and_share_no_number() -> None:
    mask = np.stack([two_balls(14), two_balls(20)])
    cleaned, instances = finish_volume(mask, SPLIT)
    np.testing.assert_array_equal(cleaned, mask)
    assert set(np.unique(instances[0])) == {0, 1, 2}
    assert set(np.unique(instances[1])) == {0, 3, 4}
    np.testing.assert_array_equal(instances[0], finish_volume(mask[0], SPLIT)[1])


def test_an_empty_volume_has_no_objects() -> None:
    mask = np.zeros((3, 4, 5), dtype=np.uint8)
    cleaning = Cleaning(min_size=2, fill_holes=True, split=True)
    cleaned, instances = finish_volume(mask, cleaning)
    assert not cleaned.any()
    assert not instances.any()


def test_it_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = two_balls(14)
    with pytest.raises(InputError, match="no volume"):
        finish_volume(mask[0], Cleaning())
    with pytest.raises(InputError, match="spacing"):
        finish_volume(mask, Cleaning(), spacing=(0, 1, 1))
    # Numbers of bytes that no machine has.
    monkeypatch.setattr(volumes, "_BYTES_PER_SPLIT_VOXEL", 10**15)
    with pytest.raises(InputError, match="Raise the threshold"):
        finish_volume(mask, SPLIT)
    assert finish_volume(mask, Cleaning())[1].max() == 1
    monkeypatch.setattr(volumes, "_BYTES_PER_VOXEL", 10**15)
    with pytest.raises(InputError, match="in each plane"):
        finish_volume(mask, Cleaning())


def test_it_can_be_stopped_between_regions() -> None:
    mask = np.zeros((4, 200, 10), dtype=np.uint8)
    mask[1:3, ::4, 2:5] = 1
    steps = iter_finish_volume(mask, SPLIT)
    said = [next(steps) for _ in range(4)]
    steps.close()
    assert said[-1].total == 50
    assert 0 < said[-1].done < 50


def test_the_number_of_regions_may_be_large() -> None:
    # Made with scikit-image's own ellipsoid, many of them.
    one = ellipsoid(1.5, 2.5, 2.5)
    mask = np.tile(one, (3, 6, 6)).astype(np.uint8)
    _, instances = finish_volume(mask, SPLIT)
    assert instances.max() == 108
    np.testing.assert_array_equal(instances > 0, mask > 0)


def test_objects_above_the_largest_size_are_removed_and_the_rest_renumbered() -> None:
    mask = np.zeros((4, 20, 20), dtype=np.uint8)
    mask[:, :10, :10] = 1
    mask[1, 15:17, 15:17] = 1
    cleaned, instances = finish_volume(mask, Cleaning(max_size=100))
    assert (int(cleaned.sum()), int(instances.max())) == (4, 1)
    assert instances[1, 15, 15] == 1
