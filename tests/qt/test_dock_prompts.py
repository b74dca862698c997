"""Prompts and classes in the dock: whatever changes them changes the result."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import disk

from napari_dinoprompt import layers
from napari_dinoprompt.session.session import Phase


def share(bench, centres: np.ndarray, number: int = 1) -> list[float]:
    """Return how much of each disc is in a class, its rim left out."""
    mask = bench.mask == number
    return [float(mask[disk(centre, 5)].mean()) for centre in centres]


# --- changes of the points


def test_clicks_make_results(ready, scene) -> None:
    assert ready.state.mask is None
    ready.click(scene.bright[:2])
    assert ready.found(scene.bright) == [1] * 5
    assert ready.found(scene.empty) == [0]
    assert ready.similarity_layer.data.dtype == np.float32
    rows, columns = scene.bright[:2].astype(int).T
    assert (np.asarray(ready.similarity_layer.data)[rows, columns] > 0.9).all()


def test_clicks_before_the_features_count_when_they_are_there(
    bench, scene, gate
) -> None:
    bench.add_image(scene.image)
    bench.open()
    bench.qtbot.waitUntil(lambda: gate.tiles == 1)
    assert bench.work.session.phase is Phase.PREPARING
    for point in scene.bright[:3]:
        bench.prompts.add(point)
    bench.qtbot.waitUntil(lambda: "3 prompts will count" in bench.hint)
    assert bench.state.mask is None
    gate.open()
    bench.settle()
    assert bench.found(scene.bright) == [1] * 5


def test_added_prompt_changes_mask_and_similarity(prompted, scene) -> None:
    mask, similarity = prompted.mask, np.array(prompted.similarity_layer.data)
    prompted.click(scene.dim[0])
    assert (prompted.mask != mask).any()
    assert (prompted.similarity_layer.data != similarity).any()


def test_moved_prompt_changes_the_result(prompted, scene) -> None:
    mask, similarity = prompted.mask, np.array(prompted.similarity_layer.data)
    moved = prompted.prompts.data.copy()
    moved[1] = scene.bar
    prompted.prompts.data = moved
    prompted.settle()
    assert (prompted.mask != mask).any()
    assert (prompted.similarity_layer.data != similarity).any()


def test_removed_prompt_does_not_count_any_more(prompted, scene) -> None:
    before = prompted.mask
    prompted.click(scene.dim[0])
    prompted.prompts.selected_data = {2}
    prompted.prompts.remove_selected()
    prompted.settle()
    np.testing.assert_array_equal(prompted.mask, before)


def test_last_prompt_removed_leaves_empty_results(prompted) -> None:
    prompted.prompts.selected_data = {0, 1}
    prompted.prompts.remove_selected()
    prompted.settle()
    assert not prompted.mask.any()
    assert not np.any(prompted.similarity_layer.data)
    assert "Click on a few objects" in prompted.hint


def test_prompt_of_another_class_changes_the_result(prompted, scene) -> None:
    prompted.click(scene.dim[0])
    assert prompted.found(scene.dim) == [1, 1, 1]
    prompted.prompts.features = {"class": ["object", "object", "background"]}
    prompted.settle()
    assert prompted.found(scene.dim) == [0, 0, 0]


def test_background_prompt_takes_its_kind_away(prompted, scene) -> None:
    rows, columns = scene.dim[1:].astype(int).T
    before = np.array(prompted.similarity_layer.data)[rows, columns]
    prompted.click(scene.dim[0], "background")
    assert max(share(prompted, scene.dim)) < 0.1
    assert prompted.found(scene.dim) == [0, 0, 0]
    after = np.asarray(prompted.similarity_layer.data)[rows, columns]
    assert (after < before - 0.1).all()
    assert min(share(prompted, scene.bright)) > 0.9


def test_background_only_gives_nothing_and_says_why(ready, scene) -> None:
    ready.click(scene.bright[:2], "background")
    assert "All prompts are background" in ready.hint
    assert ready.state.result is None
    assert ready.state.mask is None or not ready.mask.any()


def test_objects_turned_into_background_empty_the_results(prompted) -> None:
    prompted.prompts.features = {"class": ["background", "background"]}
    prompted.settle()
    assert not prompted.mask.any()
    assert not np.any(prompted.similarity_layer.data)
    assert "All prompts are background" in prompted.hint


@pytest.mark.parametrize("outside", [(-20.0, 10.0), (10.0, 5000.0)])
def test_prompt_outside_the_image_is_said_and_does_not_count(
    prompted, outside: tuple[float, float]
) -> None:
    before = prompted.mask
    prompted.click(outside)
    assert "1 prompt lies outside the image" in prompted.hint
    np.testing.assert_array_equal(prompted.mask, before)
    prompted.press("Undo")
    assert "outside" not in prompted.hint


def test_prompt_on_a_pixel_without_data_does_not_count(bench, scene) -> None:
    holed = scene.image.astype(np.float32)
    holed[60:70, 50:70] = np.nan
    bench.add_image(holed, contrast_limits=(0, 255))
    bench.open()
    bench.settle()
    bench.click(scene.bright[:2])
    before = bench.mask
    bench.click([(65, 55), (65, 66)])
    assert "2 prompts lie outside the image or on pixels without data" in bench.hint
    np.testing.assert_array_equal(bench.mask, before)


def test_results_say_what_to_do_next(ready, scene) -> None:
    ready.click(scene.bright[0])
    assert "Add two or three more" in ready.hint
    ready.click(scene.bright[1])
    assert ready.hint.startswith("Refine")


# --- classes


def test_chips_show_counts(prompted, scene) -> None:
    prompted.click(scene.bar, "background")
    assert prompted.chip("object").text().split() == ["object", "2"]
    assert prompted.chip("background").text().split() == ["background", "1"]


def test_chosen_chip_is_checked_alone(prompted) -> None:
    assert prompted.chip("object").isChecked()
    prompted.chip("background").click()
    assert prompted.chip("background").isChecked()
    assert not prompted.chip("object").isChecked()


def test_new_class_by_name(prompted, scene) -> None:
    line = prompted.dock.prompts._new
    line.setText("  dim   disc ")
    line.returnPressed.emit()
    assert line.text() == ""
    assert prompted.chip("dim disc").isChecked()
    prompted.click(scene.dim[:2])
    assert layers.prompt_classes(prompted.prompts)[2:] == ("dim disc", "dim disc")
    assert share(prompted, scene.dim, 2) == [1, 1, 1]
    # Next to all of them: a mean over a disc is not the vector of its middle.
    assert min(share(prompted, scene.bright)) > 0.85
    colour = prompted.prompts.face_color[2]
    assert not np.allclose(colour, prompted.prompts.face_color[0])
    np.testing.assert_allclose(prompted.mask_layer.get_color(2), colour, atol=1e-6)
    np.testing.assert_allclose(
        prompted.mask_layer.get_color(1), prompted.prompts.face_color[0], atol=1e-6
    )


def test_class_without_a_name_is_not_made(prompted) -> None:
    prompted.dock.prompts._new.setText("   ")
    prompted.dock.prompts._new.returnPressed.emit()
    assert prompted.work.session.classes == ["object", "background"]


def test_class_that_is_there_is_chosen_not_doubled(prompted) -> None:
    prompted.dock.prompts._new.setText("background")
    prompted.dock.prompts._new.returnPressed.emit()
    assert prompted.work.session.classes == ["object", "background"]
    assert prompted.chip("background").isChecked()


def test_chip_changes_the_class_of_selected_prompts(prompted, scene) -> None:
    prompted.click(scene.dim[0])
    prompted.prompts.mode = "select"
    prompted.prompts.selected_data = {2}
    prompted.chip("background").click()
    prompted.settle()
    assert layers.prompt_classes(prompted.prompts) == ("object", "object", "background")
    assert prompted.found(scene.dim) == [0, 0, 0]
    np.testing.assert_allclose(
        prompted.prompts.face_color[2], [213 / 255, 94 / 255, 0, 1], atol=1e-6
    )


def test_new_class_can_be_given_to_selected_prompts(prompted) -> None:
    prompted.prompts.mode = "select"
    prompted.prompts.selected_data = {1}
    prompted.work.add_class("vessel")
    prompted.settle()
    assert layers.prompt_classes(prompted.prompts) == ("object", "vessel")


def test_chip_leaves_the_last_click_alone_while_adding(prompted) -> None:
    """napari selects what was just added; the chip is for the next click then."""
    assert prompted.prompts.mode == "add"
    assert prompted.prompts.selected_data
    prompted.chip("background").click()
    prompted.settle()
    assert layers.prompt_classes(prompted.prompts) == ("object", "object")


def test_selecting_a_prompt_does_not_change_the_class_of_the_next(
    prompted, scene
) -> None:
    prompted.chip("background").click()
    prompted.prompts.selected_data = {0}
    prompted.click(scene.bar)
    assert layers.prompt_classes(prompted.prompts)[-1] == "background"


def test_similarity_of_the_chosen_class_is_shown(prompted, scene) -> None:
    prompted.work.add_class("dim")
    prompted.click(scene.dim[:2])
    of_dim = np.array(prompted.similarity_layer.data)
    prompted.chip("object").click()
    of_object = np.array(prompted.similarity_layer.data)
    y, x = scene.dim[0].astype(int)
    assert of_dim[y, x] > of_object[y, x]
    # Background takes its share from the others, and has no map of its own.
    prompted.chip("dim").click()
    prompted.chip("background").click()
    np.testing.assert_array_equal(prompted.similarity_layer.data, of_object)
    prompted.click(scene.bar)
    scores = prompted.state.result.scores
    np.testing.assert_array_equal(prompted.similarity_layer.data, scores.of("object"))
    assert (prompted.similarity_layer.data != of_object).any()


def test_place_prompts_replaces_them_and_makes_their_classes(prompted, scene) -> None:
    where = np.concatenate([scene.bright[:2], scene.dim[:2]])
    prompted.work.place_prompts(where, ["object", "object", "dim", "dim"])
    prompted.settle()
    assert prompted.found(scene.dim) == [2, 2, 2]
    assert prompted.chip("dim").text().split() == ["dim", "2"]
    prompted.press("Undo")
    assert prompted.chip("dim").text().split() == ["dim", "0"]
    assert len(prompted.prompts.data) == 2


# --- undo


def add(bench, scene) -> None:
    bench.click(scene.dim[0], "background")


def move(bench, scene) -> None:
    moved = bench.prompts.data.copy()
    moved[0] = scene.bar
    bench.prompts.data = moved


def remove(bench, scene) -> None:
    bench.prompts.selected_data = {0}
    bench.prompts.remove_selected()


def change_class(bench, scene) -> None:
    bench.prompts.mode = "select"
    bench.prompts.selected_data = {0}
    bench.chip("background").click()


def clear(bench, scene) -> None:
    bench.button("Clear").click()


@pytest.mark.parametrize("change", [add, move, remove, change_class, clear])
def test_undo_takes_back(prompted, scene, change) -> None:
    prompted.prompts.features = {"class": ["object", "object"]}
    prompted.settle()
    points, mask = prompted.prompts.data.copy(), prompted.mask
    similarity = np.array(prompted.similarity_layer.data)
    colours = prompted.prompts.face_color.copy()
    change(prompted, scene)
    prompted.settle()
    assert (prompted.mask != mask).any()
    prompted.prompts.mode = "add"
    prompted.chip("object").click()
    prompted.press("Undo")
    np.testing.assert_array_equal(prompted.prompts.data, points)
    assert layers.prompt_classes(prompted.prompts) == ("object", "object")
    np.testing.assert_array_equal(prompted.prompts.face_color, colours)
    np.testing.assert_array_equal(prompted.mask, mask)
    np.testing.assert_array_equal(prompted.similarity_layer.data, similarity)


def test_undo_right_after_a_click_takes_that_click_back(prompted, scene) -> None:
    prompted.prompts.add(scene.dim[0])
    prompted.button("Undo").click()
    prompted.settle()
    assert len(prompted.prompts.data) == 2


def test_undo_goes_back_step_by_step_to_the_start(ready, scene) -> None:
    ready.prompts.add(scene.bright[0])
    ready.settle()
    ready.prompts.add(scene.bright[1])
    ready.settle()
    for left in (1, 0):
        assert ready.button("Undo").isEnabled()
        ready.press("Undo")
        assert len(ready.prompts.data) == left
    assert not ready.button("Undo").isEnabled()
    assert not ready.mask.any()


def test_undo_of_nothing_is_harmless(ready, scene) -> None:
    ready.work.prompts.undo()
    ready.settle()
    assert len(ready.prompts.data) == 0
    ready.click(scene.bright[:2])
    assert ready.found(scene.bright[0]) == [1]


def test_events_without_a_change_are_no_step(prompted) -> None:
    steps = len(prompted.state.history)
    prompted.prompts.features = prompted.prompts.features
    prompted.prompts.data = prompted.prompts.data.copy()
    prompted.prompts.selected_data = {1}
    prompted.settle()
    assert len(prompted.state.history) == steps


def test_click_after_undo_counts(prompted, scene) -> None:
    prompted.click(scene.bar)
    prompted.press("Undo")
    prompted.click(scene.dim[0], "background")
    assert prompted.found(scene.dim) == [0, 0, 0]
    prompted.press("Undo")
    assert layers.prompt_classes(prompted.prompts) == ("object", "object")


# --- the layer itself


def test_deleted_prompts_layer_is_said_and_made_anew(prompted, scene) -> None:
    prompted.viewer.layers.remove(prompted.prompts)
    prompted.settle()
    assert "The prompts layer is gone" in prompted.hint
    assert not prompted.mask.any()
    assert prompted.chip("object").text().split() == ["object", "0"]
    prompted.press("Undo")
    prompted.press("Clear")
    prompted.press("Add prompts")
    assert prompted.prompts in prompted.viewer.layers
    assert prompted.prompts.mode == "add"
    prompted.click(scene.bright[:2])
    assert prompted.found(scene.bright) == [1] * 5


def test_add_prompts_brings_the_tool_back(prompted) -> None:
    prompted.viewer.layers.selection.active = prompted.state.image
    prompted.prompts.mode = "pan_zoom"
    prompted.press("Add prompts")
    assert prompted.viewer.layers.selection.active is prompted.prompts
    assert prompted.prompts.mode == "add"


def test_renamed_prompts_layer_goes_on_working(prompted, scene) -> None:
    prompted.prompts.name = "my clicks"
    prompted.click(scene.dim[0], "background")
    assert prompted.found(scene.dim) == [0, 0, 0]
