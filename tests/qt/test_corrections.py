"""What the user paints on a result stays, whatever comes after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_dinoprompt import layers
from napari_dinoprompt._qt.recovery import autosave
from napari_dinoprompt._qt.segment import corrections
from napari_dinoprompt.core.features import extraction

if TYPE_CHECKING:
    from collections.abc import Iterator

SPOT = (70, 60)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autosave, "_DELAY_MS", 5)


@pytest.fixture
def again(bench, qtbot) -> Iterator:
    """Another viewer, as in the next program."""
    other = type(bench)(qtbot, ViewerModel())
    yield other
    for dock in other.docks:
        dock.controller.stop()
    other.close()


def corrected(bench):
    found = layers.corrected_layer(bench.viewer.layers, bench.state.image)
    assert found is not None
    return found


def open_again(again, image, **options):
    again.add_image(image, **options)
    again.open()
    again.settle()
    panel = again.dock.segment.recovery
    assert not panel.isHidden()
    panel._accept.click()
    again.settle()
    return corrected(again)


def test_a_painted_pixel_survives_clicks_thresholds_and_cleaning(
    prompted, scene
) -> None:
    mask = prompted.mask_layer
    mask.paint(SPOT, 1)
    assert corrected(prompted) is mask
    assert mask.name == "scene mask corrected"
    assert not layers.is_ours(mask)
    assert layers.correction_of(mask)["classes"] == ("object",)
    before = np.array(mask.data)
    prompted.click(scene.bright[2])
    prompted.drag_threshold(0.3)
    prompted.settle()
    prompted.clean(min_size=5, split=True)
    np.testing.assert_array_equal(mask.data, before)
    assert before[SPOT] == 1
    beside = prompted.mask_layer
    assert beside is not mask
    assert beside.data[SPOT] == 0
    order = list(prompted.viewer.layers)
    assert order.index(beside) < order.index(mask)
    assert prompted.shows("scene mask corrected is yours")


@pytest.mark.parametrize("how", ["fill", "erase", "data_setitem", "polygon"])
def test_whatever_changes_a_result_by_hand_makes_it_the_users(
    prompted, scene, how
) -> None:
    mask = prompted.mask_layer
    if how == "fill":
        mask.fill((0, 0), 1)
    elif how == "erase":
        mask.paint(tuple(scene.bright[0]), 0)
    elif how == "polygon":
        mask.paint_polygon([(60, 50), (60, 70), (75, 60)], 1)
    else:
        mask.data_setitem((np.array([SPOT[0]]), np.array([SPOT[1]])), 1)
    assert corrected(prompted) is mask


def test_results_that_come_are_no_corrections(prompted, scene) -> None:
    prompted.click(scene.bright[2])
    prompted.mask_layer.contour = 2
    prompted.mask_layer.refresh()
    prompted.clean(split=True)
    viewer, image = prompted.viewer, prompted.state.image
    assert layers.corrected_layer(viewer.layers, image) is None


def test_a_painted_pixel_survives_a_switch_of_images(
    prompted, scene, other_scene
) -> None:
    first = prompted.state.image
    mask = prompted.mask_layer
    mask.paint(SPOT, 1)
    other = prompted.add_image(other_scene.image, name="other")
    prompted.work.switch_to(other)
    prompted.settle()
    assert not mask.visible
    prompted.click(other_scene.bright[:2])
    prompted.work.switch_to(first)
    prompted.settle()
    assert mask.visible
    assert corrected(prompted) is mask
    assert mask.data[SPOT] == 1
    first.scale = (2, 2)
    np.testing.assert_array_equal(mask.scale, (2, 2))


def test_a_painted_pixel_and_its_undo_survive_a_restart(prompted, again, scene) -> None:
    prompted.drag_threshold(0.4)
    prompted.settle()
    mask = prompted.mask_layer
    mask.paint(SPOT, 1)
    prompted.click(scene.bright[2])
    mask.paint((5, 100), 1)
    mask.undo()
    kept = np.array(mask.data)
    assert kept[SPOT] == 1
    assert kept[5, 100] == 0
    prompted.settle()
    prompted.qtbot.wait(300)
    prompted.close()
    found = open_again(again, scene.image, name="again")
    np.testing.assert_array_equal(found.data, kept)
    assert found.name == "again mask corrected"
    assert layers.correction_of(found)["classes"] == ("object",)
    again.click(scene.bright[3])
    np.testing.assert_array_equal(found.data, kept)


def test_painting_what_was_applied_survives_a_restart(
    prompted, again, other_scene
) -> None:
    """There are no prompts with which it could be kept."""
    other = prompted.add_image(other_scene.image, name="other")
    prompted.turn_to("References")
    prompted.dock.references.apply._images.tick([other])
    prompted.press("Apply")
    mask = layers.find_owned(prompted.viewer.layers, other, "applied mask")
    mask.paint(SPOT, 1)
    kept = np.array(mask.data)
    prompted.press("Apply")
    np.testing.assert_array_equal(mask.data, kept)
    assert layers.corrected_layer(prompted.viewer.layers, other) is mask
    prompted.settle()
    prompted.close()
    found = open_again(again, other_scene.image, name="again")
    np.testing.assert_array_equal(found.data, kept)


def test_a_painted_plane_of_a_stack_stays(bench, again, scene) -> None:
    stack = np.stack([scene.image, scene.image[::-1], scene.image])
    bench.add_image(stack, name="stack", scale=(3, 1, 1))
    bench.open()
    bench.viewer.dims.set_point(0, 0)
    bench.settle()
    for y, x in scene.bright[:2]:
        bench.prompts.add((0, y, x))
    bench.settle()
    bench.viewer.dims.set_point(0, 3)
    bench.settle()
    mask = bench.mask_layer
    mask.paint((1, *SPOT), 1)
    bench.viewer.dims.set_point(0, 0)
    bench.settle()
    bench.prompts.add((0, *scene.bright[2]))
    bench.settle()
    assert corrected(bench) is mask
    assert mask.data[(1, *SPOT)] == 1
    kept = np.array(mask.data)
    bench.qtbot.wait(200)
    bench.close()
    found = open_again(again, stack, name="again", scale=(3, 1, 1))
    np.testing.assert_array_equal(found.data, kept)


def test_a_large_mask_is_corrected_in_a_copy(
    bench, again, scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = extraction._WHOLE_BYTES
    monkeypatch.setattr(extraction, "_WHOLE_BYTES", 1)
    bench.add_image(scene.image, name="scene")
    bench.open()
    bench.settle()
    bench.click(scene.bright[:3])
    assert bench.mask_layer.multiscale
    expected = np.array(bench.mask_layer.data[0])
    monkeypatch.setattr(corrections, "_LONGEST_SIDE", 100)
    bench.press("Correct mask")
    assert bench.shows("napari cannot paint 96 × 120 pixels")
    monkeypatch.setattr(corrections, "_LONGEST_SIDE", 120)
    bench.press("Correct mask")
    found = corrected(bench)
    np.testing.assert_array_equal(found.data, expected)
    assert str(found.mode) == "paint"
    assert not bench.mask_layer.visible
    found.paint(SPOT, 1)
    kept = np.array(found.data)
    bench.click(scene.bright[3])
    np.testing.assert_array_equal(found.data, kept)
    assert kept[SPOT] == 1
    bench.qtbot.wait(200)
    bench.close()
    monkeypatch.setattr(extraction, "_WHOLE_BYTES", whole)
    assert open_again(again, scene.image).data[SPOT] == 1
