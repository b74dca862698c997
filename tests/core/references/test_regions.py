"""Regions that were drawn as prompts: the cells inside one are one prompt."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage as ndi

import napari_dinoprompt as dp
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.points import read_prompts
from napari_dinoprompt.core.prompts import BACKGROUND, OBJECT, Prompts

_Y, _X = np.mgrid[:200, :200] % 40 - 20
DISC = _Y**2 + _X**2 < 100
IMAGE = np.where(DISC, 200, 30).astype(np.uint8)


def some_discs() -> np.ndarray:
    labels = ndi.label(DISC)[0]
    labels[:, 80:] = 0
    return labels


def test_a_region_is_one_prompt_at_its_deepest_pixel() -> None:
    labels = np.zeros((30, 30), np.int32)
    labels[5:10, 4:21], labels[20, 20] = 3, 8
    prompts = Prompts.of_regions(labels, {8: "debris"})
    assert prompts.classes == (OBJECT, "debris")
    assert prompts.points[0, 0] == 7
    assert prompts.points[1].tolist() == [20, 20]
    assert [len(one) for one in prompts.regions if one is not None] == [85, 1]
    assert prompts.keep(np.array([False, True])).regions[0] is prompts.regions[1]
    with pytest.raises(InputError, match="no region is drawn"):
        Prompts.of_regions(np.zeros((5, 5), np.int32))


def test_regions_find_what_they_are_drawn_on() -> None:
    backbone = dp.load_backbone("filterbank", device="cpu")
    labels = some_discs()
    # A stroke over the background, far longer than any object.
    labels[:, 99:102] = np.where(DISC[:, 99:102], 0, 900)
    prompts = Prompts.of_regions(labels, {900: BACKGROUND})
    reference = dp.make_reference(IMAGE, prompts, backbone=backbone)
    assert reference.classes.count(BACKGROUND) == 1
    sizes = ndi.sum_labels(np.ones_like(labels), labels, range(1, 900))
    held = reference.areas[reference.members(OBJECT)]
    assert sorted(held) == sorted(sizes[sizes > 0])
    found = dp.segment(IMAGE, reference, backbone).mask > 0
    assert (found & DISC).sum() / (found | DISC).sum() > 0.9


def test_the_vector_is_the_mean_of_the_inner_cells() -> None:
    backbone = dp.load_backbone("filterbank", device="cpu")
    features = dp.extract_features(IMAGE, backbone)
    labels = (some_discs() == 1).astype(np.int32)
    reference = dp.make_reference(IMAGE, Prompts.of_regions(labels), backbone=backbone)
    inside = ndi.distance_transform_edt(labels) - 0.5 > features.grid.cell / 2
    expected = features.interpolate(np.argwhere(inside).astype(float)).mean(axis=0)
    # Pixels are spread, not all taken.
    np.testing.assert_allclose(reference.vectors[0], expected, rtol=0.15, atol=0.15)


def test_a_region_that_fills_the_image_is_a_point() -> None:
    backbone = dp.load_backbone("filterbank", device="cpu")
    whole = np.ones(IMAGE.shape, np.int32)
    reference = dp.make_reference(IMAGE, Prompts.of_regions(whole), backbone=backbone)
    assert reference.areas.tolist() == [0.0]


def test_a_label_image_is_read_as_prompts(tmp_path: Path) -> None:
    path = tmp_path / "strokes.tif"
    tifffile.imwrite(path, some_discs().astype(np.uint16))
    prompts = read_prompts(path)
    assert len(prompts.points) == len(np.unique(some_discs())) - 1
    noise = np.random.default_rng(0).integers(0, 60, IMAGE.shape)
    tifffile.imwrite(path, noise.astype(np.uint8))
    with pytest.raises(InputError, match="picture rather than labels"):
        read_prompts(path)
