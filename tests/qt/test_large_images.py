"""Images too large to hold: here any image is, so that the tests stay small."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr

import napari_dinoprompt as dp
from napari_dinoprompt import layers
from napari_dinoprompt._qt.segment import scoring
from napari_dinoprompt.core.features import extraction, regions
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.prompts import OBJECT

REPEATS = (5, 4)


@pytest.fixture(autouse=True)
def nothing_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "_WHOLE_BYTES", 1)
    monkeypatch.setattr(regions, "_SIDE", 256)
    monkeypatch.setattr(scoring, "_REFRESH_MS", 10)
    monkeypatch.setattr(scoring, "_CLEANING_DELAY_MS", 10)


@pytest.fixture
def slide(scene, tmp_path):
    """480 x 480 pixels in a zarr array on the disk: four regions."""
    pixels = np.tile(scene.image, REPEATS)
    return zarr.create_array(tmp_path / "slide.zarr", data=pixels, chunks=(128, 128))


@pytest.fixture
def large(bench, slide):
    """The dock on the slide, ready for clicks."""
    bench.add_image(slide, name="slide")
    bench.open()
    bench.settle()
    return bench


def full(layer) -> np.ndarray:
    return np.asarray(layer.data[0])


def expected(bench, **options):
    reference = bench.work.session.reference()
    assert reference is not None
    options = dp.SegmentOptions(**options)
    return dp.segment(bench.state.image.data, reference, options=options)


def test_clicks_give_what_the_python_api_gives(large, scene) -> None:
    large.click(scene.bright[:3])
    found = expected(large)
    assert large.mask_layer.multiscale
    np.testing.assert_array_equal(full(large.mask_layer), found.mask)
    np.testing.assert_array_equal(full(large.similarity_layer), found.similarity)
    # It repeats, and so does what is found.
    tiles = full(large.mask_layer).reshape(REPEATS[0], 96, REPEATS[1], 120)
    for y, x in scene.bright.astype(int):
        assert (tiles[:, y, :, x] == 1).mean() > 0.95
    assert "728 MB" in large.dock.image._facts.text()
    assert "disk" in large.dock.image._facts.text()


def test_the_reference_is_that_of_the_python_api(large, slide, scene) -> None:
    large.click(scene.bright[:3])
    backbone = dp.load_backbone("filterbank")
    features = dp.lazy_features(slide, backbone)
    wanted = dp.Reference.from_prompts(features, scene.bright[:3])
    reference = large.work.session.reference()
    np.testing.assert_array_equal(reference.vectors, wanted.vectors)
    np.testing.assert_array_equal(reference.statistics.mean, wanted.statistics.mean)
    assert reference.auto_thresholds == wanted.auto_thresholds
    assert reference.window == wanted.window


def test_a_threshold_cuts_what_is_there(large, scene) -> None:
    large.click(scene.bright[:3])
    store = large.state.result.scores
    before = full(large.mask_layer).sum()
    auto = large.threshold_shown
    large.drag_threshold(0.98)
    large.settle()
    assert auto < 0.98
    assert large.state.result.scores is store
    assert full(large.mask_layer).sum() < before
    np.testing.assert_array_equal(
        full(large.mask_layer), expected(large, threshold=0.98).mask
    )
    large.set_auto(True)
    large.settle()
    assert full(large.mask_layer).sum() == before


def test_background_and_named_classes(large, scene) -> None:
    large.click(scene.bright[:3])
    large.click([scene.bar], "background")
    found = expected(large)
    np.testing.assert_array_equal(full(large.mask_layer), found.mask)
    assert full(large.mask_layer)[tuple(np.array(scene.bar, int))] == 0
    large.work.add_class("dim")
    large.click(scene.dim[:2])
    found = expected(large)
    np.testing.assert_array_equal(full(large.mask_layer), found.mask)
    assert set(np.unique(found.mask)) == {0, 1, 2}
    # The map on show is the chosen class's.
    np.testing.assert_array_equal(full(large.similarity_layer), found.maps[1])
    large.work.choose_class(OBJECT)
    np.testing.assert_array_equal(full(large.similarity_layer), found.maps[0])


def test_cleaning_and_splitting(large, scene) -> None:
    large.click(scene.bright[:3])
    large.clean(min_size=60, fill=True)
    found = expected(large, cleaning=Cleaning(min_size=60, fill_holes=True))
    np.testing.assert_array_equal(full(large.mask_layer), found.mask)
    large.clean(split=True)
    found = expected(large, cleaning=Cleaning(60, fill_holes=True, split=True))
    np.testing.assert_array_equal(full(large.mask_layer), found.instances)
    levels = [one.shape for one in large.mask_layer.data]
    assert levels == [(480, 480), (240, 240)]
    large.clean(min_size=0, fill=False, split=False)
    np.testing.assert_array_equal(full(large.mask_layer), expected(large).mask)


def test_what_is_near_comes_first_and_cancel_keeps_it(bench, scene) -> None:
    # Many regions: the window may be late while other tests keep the machine busy.
    bench.add_image(np.tile(scene.image, (16, 13)), name="slide")
    bench.open()
    bench.settle()
    work = bench.work
    below = scene.bright[0] + (96 * 15, 120 * 12)
    work.scoring.progressed.connect(
        lambda done, total: done == 1 < total and work.features.cancel()
    )
    bench.click([below])
    known = np.isfinite(bench.state.result.scores.similarity[0][0])
    assert known[tuple(below.astype(int))]
    assert 0 < known.mean() < 1
    assert "Stopped" in bench.hint
    assert full(bench.mask_layer)[tuple(below.astype(int))] == 1
    work.scoring.progressed.disconnect()


def test_a_later_click_replaces_the_work(large, scene) -> None:
    points = layers.points_from_pixels(
        scene.bright[:4], large.prompts, large.state.image
    )
    for point in points:
        large.prompts.add(point)
    large.settle()
    reference = large.work.session.reference()
    assert len(reference.points) == 4
    np.testing.assert_array_equal(full(large.mask_layer), expected(large).mask)


def test_it_is_read_part_by_part(bench, scene) -> None:
    pixels = np.tile(scene.image, REPEATS)
    largest = []

    def read(block_info=None):
        where = block_info[None]["array-location"]
        largest.append([stop - start for start, stop in where])
        return pixels[tuple(slice(*one) for one in where)]

    lazy = da.map_blocks(read, chunks=((160,) * 3, (160,) * 3), dtype=np.uint8)
    bench.add_image(lazy, name="lazy", contrast_limits=(0, 255))
    bench.open()
    bench.settle()
    bench.click(scene.bright[:3])
    assert max(max(one) for one in largest) == 160
    eager = expected(bench)
    assert eager.mask[:].any()


def test_a_stack_of_large_planes(bench, scene) -> None:
    pixels = np.tile(scene.image, (3, 3))
    stack = np.stack([pixels[::-1], pixels])
    bench.add_image(stack, name="stack")
    bench.viewer.dims.set_point(0, 1)
    bench.open()
    bench.settle()
    where = np.column_stack((np.ones(3), scene.bright[:3]))
    for point in where:
        bench.prompts.add(point)
    bench.settle()
    mask = bench.mask_layer.data[0]
    assert mask.shape == stack.shape
    reference = bench.work.session.reference()
    np.testing.assert_array_equal(mask[1], dp.segment(stack[1], reference).mask)
    assert not mask[0].any()
    bench.viewer.dims.set_point(0, 0)
    bench.settle()
    mask = bench.mask_layer.data[0]
    np.testing.assert_array_equal(mask[0], dp.segment(stack[0], reference).mask)
    assert not mask[1].any()


def test_a_threshold_keeps_the_map_of_a_stack_of_large_planes(bench, scene) -> None:
    pixels = np.tile(scene.image, (3, 3))
    stack = np.stack([pixels[::-1], pixels])
    bench.add_image(stack, name="stack")
    bench.viewer.dims.set_point(0, 1)
    bench.open()
    bench.settle()
    for point in np.column_stack((np.ones(3), scene.bright[:3])):
        bench.prompts.add(point)
    bench.settle()
    bench.viewer.dims.set_point(0, 0)
    bench.settle()
    bench.drag_threshold(0.8)
    bench.settle()
    reference = bench.work.session.reference()
    found = dp.segment(stack[0], reference, options=dp.SegmentOptions(threshold=0.8))
    np.testing.assert_array_equal(full(bench.similarity_layer)[0], found.similarity)
    np.testing.assert_array_equal(full(bench.mask_layer)[0], found.mask)


def test_turning_to_a_small_image_and_back(large, scene, monkeypatch) -> None:
    large.click(scene.bright[:3])
    before = full(large.mask_layer)
    monkeypatch.setattr(extraction, "_WHOLE_BYTES", 100_000_000)
    small = large.add_image(scene.image, name="small")
    slide = large.state.image
    large.choose(small)
    large.settle()
    large.click(scene.bright[:3])
    assert not large.mask_layer.multiscale
    large.choose(slide)
    large.settle()
    np.testing.assert_array_equal(full(large.mask_layer), before)


def test_layers_change_their_kind_with_the_features(large, scene, monkeypatch) -> None:
    large.click(scene.bright[:3])
    mask = large.mask_layer
    monkeypatch.setattr(extraction, "_WHOLE_BYTES", 1_000_000_000)
    large.choose_upscale("0.5")
    large.settle()
    assert mask not in large.viewer.layers
    assert not large.mask_layer.multiscale
    assert large.mask.any()


def test_gaps_without_data(bench, scene) -> None:
    pixels = np.tile(scene.image, REPEATS).astype(np.float32)
    pixels[200:300, 100:400] = np.nan
    bench.add_image(pixels, name="gaps", contrast_limits=(0, 255))
    bench.open()
    bench.settle()
    bench.click([(250, 300), *scene.bright[:3]])
    assert "do not count" in bench.hint
    assert not full(bench.mask_layer)[200:300, 100:400].any()
    assert np.isnan(full(bench.similarity_layer)[200:300, 100:400]).all()
    bench.clean(fill=True)
    assert not full(bench.mask_layer)[200:300, 100:400].any()


def test_a_deleted_mask_comes_back(large, scene) -> None:
    large.click(scene.bright[:2])
    large.viewer.layers.remove(large.mask_layer)
    large.click(scene.bright[2:3])
    np.testing.assert_array_equal(full(large.mask_layer), expected(large).mask)


def test_removing_the_image_while_it_fills(large, scene) -> None:
    points = layers.points_from_pixels(
        scene.bright[:2], large.prompts, large.state.image
    )
    large.prompts.add(points)
    large.viewer.layers.remove(large.state.image)
    large.settle()
    assert large.work.session.current is None


def test_clearing_the_prompts_empties_the_layers(large, scene) -> None:
    large.click(scene.bright[:2])
    large.press("Clear")
    assert not full(large.mask_layer).any()
    large.click(scene.bright[:2])
    np.testing.assert_array_equal(full(large.mask_layer), expected(large).mask)


def test_a_reference_is_applied_to_a_slide(large, scene, slide) -> None:
    large.click(scene.bright[:3])
    other = large.add_image(slide[:, :][:, ::-1], name="other")
    large.turn_to("References")
    large.select("current prompts")
    large.dock.references.apply._images.tick([other])
    large.press("Apply")
    reference = large.work.session.reference()
    found = dp.segment(other.data, reference)
    for kind, wanted in (("mask", found.mask), ("instances", found.instances)):
        layer = layers.find_owned(large.viewer.layers, other, f"applied {kind}")
        np.testing.assert_array_equal(full(layer), wanted)
    # Again: the same layers, anew.
    count = len(large.viewer.layers)
    large.press("Apply")
    assert len(large.viewer.layers) == count


def test_plain_maps_are_there_at_once(large, scene) -> None:
    large.click(scene.bright[:3])
    large.click([scene.bar], "background")
    before = large.state.result
    large.choose_map("plain")
    assert large.state.result is before, "all was computed anew"
    found = expected(large, map="plain")
    np.testing.assert_array_equal(full(large.similarity_layer), found.similarity)
    np.testing.assert_array_equal(full(large.mask_layer), found.mask)
    assert (full(large.similarity_layer) != expected(large).similarity).any()
