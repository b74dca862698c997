"""Results in the dock: thresholds, cleaning, and the layers they are shown in."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from skimage.measure import label

from napari_dinoprompt.core.masks.cleaning import Cleaning, clean_and_label
from napari_dinoprompt.core.references.reference import resolve_thresholds

# --- threshold


def test_threshold_is_auto_until_it_is_moved(prompted) -> None:
    assert prompted.auto_shown
    auto = prompted.state.result.thresholds["object"]
    assert prompted.threshold_shown == pytest.approx(auto, abs=0.005)
    before = prompted.mask
    prompted.drag_threshold(0.3)
    prompted.settle()
    assert not prompted.auto_shown
    assert prompted.state.result.thresholds["object"] == pytest.approx(0.3)
    assert prompted.mask.sum() > before.sum()
    np.testing.assert_array_equal(
        prompted.mask, np.asarray(prompted.similarity_layer.data) > np.float32(0.3)
    )


def test_auto_again_takes_the_threshold_back(prompted) -> None:
    auto, mask = prompted.threshold_shown, prompted.mask
    prompted.drag_threshold(0.1)
    prompted.settle()
    prompted.set_auto(True)
    prompted.settle()
    assert prompted.auto_shown
    assert prompted.threshold_shown == auto
    np.testing.assert_array_equal(prompted.mask, mask)


def test_auto_off_keeps_the_value_that_was_found(prompted, scene) -> None:
    found = prompted.threshold_shown
    prompted.set_auto(False)
    prompted.settle()
    assert prompted.threshold_shown == pytest.approx(found, abs=0.005)
    prompted.click(scene.dim[0])
    assert not prompted.auto_shown
    assert prompted.threshold_shown == pytest.approx(found, abs=0.005)


def test_auto_threshold_follows_the_prompts(prompted, scene) -> None:
    before = prompted.threshold_shown
    prompted.click([*scene.dim[:2], scene.bar])
    assert prompted.auto_shown
    assert prompted.threshold_shown != before
    auto = resolve_thresholds(prompted.state.result.reference)["object"]
    assert prompted.threshold_shown == pytest.approx(auto)


def test_threshold_that_was_set_stays_when_prompts_change(prompted, scene) -> None:
    prompted.drag_threshold(0.55)
    prompted.settle()
    prompted.click(scene.bright[2])
    assert prompted.threshold_shown == pytest.approx(0.55)
    np.testing.assert_array_equal(
        prompted.mask, np.asarray(prompted.similarity_layer.data) > np.float32(0.55)
    )


def test_each_class_has_its_threshold(prompted, scene) -> None:
    prompted.work.add_class("dim")
    prompted.click(scene.dim[:2])
    prompted.drag_threshold(0.95)
    prompted.settle()
    assert prompted.shows("threshold of dim")
    assert prompted.state.result.thresholds["dim"] == pytest.approx(0.95)
    prompted.chip("object").click()
    assert prompted.shows("threshold of object")
    assert prompted.auto_shown
    assert prompted.threshold_shown < 0.95
    prompted.chip("dim").click()
    assert not prompted.auto_shown
    assert prompted.threshold_shown == pytest.approx(0.95)


def test_slider_while_background_is_chosen_sets_the_object(prompted) -> None:
    prompted.chip("background").click()
    assert prompted.shows("threshold of object")
    prompted.drag_threshold(0.2)
    prompted.settle()
    assert prompted.state.thresholds == {"object": pytest.approx(0.2)}


def test_threshold_moved_before_the_first_prompt_counts(ready, scene) -> None:
    ready.drag_threshold(0.5)
    ready.settle()
    ready.click(scene.bright[:2])
    assert ready.state.result.thresholds["object"] == pytest.approx(0.5)


def test_threshold_moved_while_prompts_are_scored_loses_neither(
    prompted, scene
) -> None:
    """A request replaces the one before it, but not what that one was about."""
    prompted.prompts.add(scene.dim[0])
    prompted.work.prompts.flush()
    assert prompted.work.scoring.running
    prompted.drag_threshold(0.35)
    prompted.settle()
    assert len(prompted.state.result.reference.points) == 3
    assert prompted.state.result.thresholds["object"] == pytest.approx(0.35)


def test_threshold_moved_right_after_new_features_loses_neither(
    prompted, scene
) -> None:
    prompted.choose_upscale("2")
    work = prompted.work
    prompted.qtbot.waitUntil(lambda: not work.features.running, timeout=20_000)
    prompted.drag_threshold(0.35)
    prompted.settle()
    assert prompted.state.result.reference.upscale == 2
    assert prompted.state.result.thresholds["object"] == pytest.approx(0.35)


# --- cleaning


def test_small_objects_go_after_a_pause(prompted) -> None:
    plain = prompted.mask
    sizes = np.bincount(label(plain).ravel())[1:]
    smallest = int(sizes.min()) + 1
    prompted.dock.result._min_size.value = smallest
    # At once the plain mask, so that the dock never waits for the cleaning.
    np.testing.assert_array_equal(prompted.mask, plain)
    prompted.settle()
    cleaned, _ = clean_and_label(plain.astype(np.uint8), Cleaning(min_size=smallest))
    assert 0 < cleaned.sum() < plain.sum()
    np.testing.assert_array_equal(prompted.mask, cleaned)


def test_holes_are_filled(bench) -> None:
    y, x = np.mgrid[:64, :64]
    radius = np.hypot(y - 32, x - 32)
    ring = np.where((radius > 12) & (radius < 18), 200, 20)
    noise = np.random.default_rng(0).normal(0, 3, ring.shape)
    bench.add_image((ring + noise).clip(0, 255).astype(np.uint8))
    bench.open()
    bench.settle()
    bench.click([(32, 47), (32, 17)])
    # The object that they stand for has no hole, and resembles its inside a little.
    bench.drag_threshold(0.65)
    bench.settle()
    assert bench.found((32, 32)) == [0]
    bench.clean(fill=True)
    assert bench.found((32, 32)) == [1]
    bench.clean(fill=False)
    assert bench.found((32, 32)) == [0]


def test_split_shows_numbered_objects(prompted, scene) -> None:
    layer, plain = prompted.mask_layer, prompted.mask
    prompted.clean(split=True)
    assert prompted.mask_layer is layer
    assert layer.data.dtype == np.int32
    assert isinstance(layer.colormap, CyclicLabelColormap)
    numbers = prompted.found(scene.bright)
    assert len(set(numbers)) == 5
    assert min(numbers) > 0
    prompted.clean(split=False)
    assert isinstance(layer.colormap, DirectLabelColormap)
    np.testing.assert_array_equal(prompted.mask, plain)


def test_cleaning_goes_on_when_prompts_and_threshold_change(prompted, scene) -> None:
    prompted.clean(min_size=30, split=True)
    prompted.click(scene.dim[0], "background")
    prompted.drag_threshold(0.5)
    prompted.settle()
    _, instances = clean_and_label(prompted.state.result.mask, Cleaning(30, split=True))
    np.testing.assert_array_equal(prompted.mask, instances)


def test_prompts_cleared_while_objects_are_numbered(prompted) -> None:
    prompted.clean(split=True)
    prompted.press("Clear")
    assert not prompted.mask.any()
    assert not prompted.work.working


# --- layers


def test_results_are_updated_in_place(prompted, scene) -> None:
    mask, similarity = prompted.mask_layer, prompted.similarity_layer
    mask.name, similarity.name = "mine", "also mine"
    similarity.opacity, mask.visible = 0.3, False
    before = np.array(mask.data), np.array(similarity.data)
    prompted.click(scene.dim[0], "background")
    prompted.chip("object").click()
    prompted.drag_threshold(0.4)
    prompted.clean(split=True)
    assert prompted.mask_layer is mask
    assert prompted.similarity_layer is similarity
    assert (mask.data != before[0]).any()
    assert (similarity.name, similarity.opacity) == ("also mine", 0.3)
    assert not mask.visible
    assert len(prompted.viewer.layers) == 4


@pytest.mark.parametrize("kind", ["mask", "similarity"])
def test_deleted_result_comes_back_with_the_next_change(
    prompted, scene, kind: str
) -> None:
    gone = getattr(prompted.state, kind)
    prompted.viewer.layers.remove(gone)
    prompted.settle()
    assert getattr(prompted.state, kind) is None
    prompted.click(scene.bright[2])
    made = getattr(prompted.state, kind)
    assert made is not gone
    assert made in prompted.viewer.layers
    assert np.any(made.data)
    assert len(prompted.viewer.layers) == 4


def test_deleted_results_and_a_moved_threshold(prompted) -> None:
    prompted.viewer.layers.remove(prompted.mask_layer)
    prompted.viewer.layers.remove(prompted.similarity_layer)
    prompted.drag_threshold(0.4)
    prompted.settle()
    assert prompted.mask.any()
    assert np.any(prompted.similarity_layer.data)


def test_results_lie_between_image_and_prompts(prompted) -> None:
    order = list(prompted.viewer.layers)
    assert order == [
        prompted.state.image,
        prompted.similarity_layer,
        prompted.mask_layer,
        prompted.prompts,
    ]


def test_new_results_do_not_take_the_tool_away(ready, scene) -> None:
    ready.prompts.mode = "add"
    ready.click(scene.bright[0])
    assert ready.viewer.layers.selection.active is ready.prompts
    assert ready.prompts.mode == "add"


def test_new_results_leave_the_selection_alone(ready, scene) -> None:
    chosen = {ready.state.image, ready.prompts}
    ready.viewer.layers.selection = chosen
    ready.click(scene.bright[0])
    assert ready.mask.any()
    assert set(ready.viewer.layers.selection) == chosen


# --- what is on show


def boxes(bench) -> tuple[object, object]:
    result = bench.dock.result
    return result._map, result._mask


def test_boxes_and_layers_say_the_same(ready, scene) -> None:
    assert not any(box.isEnabled() or box.isChecked() for box in boxes(ready))
    ready.click(scene.bright[:2])
    shown = (ready.similarity_layer, ready.mask_layer)
    for box, layer in zip(boxes(ready), shown, strict=True):
        assert box.isEnabled()
        assert box.isChecked()
        box.click()
        assert not layer.visible
        layer.visible = True
        assert box.isChecked()
    ready.similarity_layer.visible = False
    ready.click(scene.bright[2])
    assert not ready.similarity_layer.visible, "a click showed what was hidden"


def test_boxes_follow_the_image(prompted, other_scene) -> None:
    first = prompted.similarity_layer
    first.visible = False
    other = prompted.add_image(other_scene.image, name="other")
    prompted.choose(other)
    prompted.settle()
    prompted.click(other_scene.bright[:2])
    box, _ = boxes(prompted)
    assert box.isChecked()
    # It says nothing of the image that was left.
    first.visible = True
    prompted.similarity_layer.visible = False
    assert not box.isChecked()
    prompted.viewer.layers.remove(prompted.similarity_layer)
    prompted.settle()
    assert not box.isEnabled()


def test_a_map_is_fitted_or_plain_and_says_so(prompted, scene) -> None:
    prompted.click(scene.bar, "background")
    mask, fitted = prompted.mask, np.array(prompted.similarity_layer.data)
    layer = prompted.similarity_layer
    assert layer.name == "scene similarity"
    prompted.choose_map("plain")
    assert prompted.similarity_layer is layer
    assert layer.name == "scene similarity (plain)"
    assert layer.metadata["napari-dinoprompt"]["map"] == "plain"
    plain = np.array(layer.data)
    assert np.abs(plain - fitted).max() > 0.1
    np.testing.assert_array_equal(prompted.mask, mask)
    prompted.click(scene.bright[2], "object")
    assert np.abs(np.array(layer.data) - plain).max() > 0
    prompted.press("Undo")
    np.testing.assert_array_equal(np.array(layer.data), plain)
    prompted.choose_map("fitted")
    assert layer.name == "scene similarity"
    np.testing.assert_array_equal(np.array(layer.data), fitted)


def test_on_bright_images_masks_are_contours_and_maps_wait(bench, scene) -> None:
    bench.add_image(255 - scene.image, name="bright")
    bench.open()
    bench.settle()
    bench.click(scene.bright[:2])
    assert not bench.similarity_layer.visible
    assert bench.mask_layer.contour > 0
    box, mask_box = boxes(bench)
    assert not box.isChecked()
    assert mask_box.isChecked()
    box.click()
    assert bench.similarity_layer.visible
