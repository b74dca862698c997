"""Docks come and go; a viewer has one session."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_dinoprompt._qt.controller import controller_of
from napari_dinoprompt.session.session import Phase


def test_two_docks_share_a_session(prompted, scene) -> None:
    second = prompted.open()
    assert second.controller is prompted.work
    assert second.status.hint == prompted.hint
    prompted.click(scene.dim[0], "background")
    assert prompted.found(scene.dim) == [0, 0, 0]
    assert len(prompted.viewer.layers) == 4
    assert second.prompts._chips["background"].text().split() == ["background", "1"]
    second.result._slider.setValue(0.42)
    prompted.settle()
    assert abs(prompted.threshold_shown - 0.42) < 1e-9


def test_second_dock_does_not_turn_to_another_image(prompted, other_scene) -> None:
    image = prompted.state.image
    other = prompted.add_image(other_scene.image)
    prompted.viewer.layers.selection.active = other
    second = prompted.open()
    assert prompted.state.image is image
    assert second.image.image is image
    prompted.choose(other, second)
    prompted.settle()
    assert prompted.state.image is other
    assert prompted.dock.image.image is other
    prompted.click(other_scene.bright[:2])
    assert prompted.state.image is other
    assert prompted.found(other_scene.bright[0]) == [1]


def test_two_viewers_have_two_sessions(prompted, scene) -> None:
    other = ViewerModel()
    controller = controller_of(other)
    assert controller is not prompted.work
    assert controller.session.current is None


def test_first_dock_goes_on_when_the_second_is_closed(prompted, scene) -> None:
    second = prompted.open()
    prompted.docks.remove(second)
    second.deleteLater()
    del second
    prompted.qtbot.wait(1)
    gc.collect()
    prompted.click(scene.dim[0], "background")
    assert prompted.found(scene.dim) == [0, 0, 0]


def test_closed_dock_is_gone_and_does_nothing_more(prompted) -> None:
    controller = weakref.ref(prompted.work)
    viewer, layer = prompted.viewer, prompted.prompts
    prompted.close()
    assert controller() is None
    layer.add((5, 5))
    viewer.layers.remove(layer)
    prompted.qtbot.wait(1)


def test_closing_the_dock_stops_the_work(bench, scene, gate, idle) -> None:
    bench.add_image(scene.image)
    bench.open()
    bench.qtbot.waitUntil(lambda: gate.tiles == 1)
    bench.close()
    gate.open()
    idle()
    assert gate.tiles == 1


def test_prompts_and_results_are_found_when_the_dock_opens_again(
    prompted, scene
) -> None:
    prompted.click(scene.dim[:1], "background")
    prompted.work.add_class("bar")
    prompted.click(scene.bar)
    layers, mask = list(prompted.viewer.layers), prompted.mask
    for layer in layers[1:]:
        layer.name = "renamed"
    prompted.close()
    prompted.open()
    prompted.settle()
    assert prompted.work.session.phase is Phase.READY
    assert list(prompted.viewer.layers) == layers
    assert prompted.chip("object").text().split() == ["object", "2"]
    assert prompted.chip("bar").text().split() == ["bar", "1"]
    assert prompted.mask_layer is layers[2]
    np.testing.assert_array_equal(prompted.mask, mask)


def test_a_viewer_is_not_kept_alive(bench, scene) -> None:
    viewer = weakref.ref(bench.viewer)
    bench.open()
    bench.close()
    bench.viewer = ViewerModel()
    gc.collect()
    assert viewer() is None


def test_a_closed_dock_no_longer_looks_at_layers(prompted) -> None:
    second = prompted.open()
    assert second.result._map.isChecked()
    prompted.docks.remove(second)
    second.deleteLater()
    prompted.qtbot.wait(1)
    # Python still holds what Qt has deleted.
    prompted.similarity_layer.visible = False
    assert not prompted.dock.result._map.isChecked()
    del second


@pytest.mark.parametrize("stack", [False, True])
def test_a_closed_image_is_held_by_no_tab(bench, scene, other_scene, stack) -> None:
    planes = [scene.image, other_scene.image]
    pixels = np.stack(planes) if stack else scene.image.copy()
    image = bench.add_image(pixels, name="gone")
    bench.open()
    bench.settle()
    for tab in ("References", "Compare", "Study", "Segment"):
        bench.turn_to(tab)
    place = scene.bright[0]
    bench.prompts.add((0, *place) if stack else place)
    bench.settle()
    if stack:
        bench.work.stacks.start()
        bench.settle()
    for layer in list(bench.viewer.layers):
        bench.viewer.layers.remove(layer)
    bench.settle()
    gone, held = weakref.ref(image), weakref.ref(pixels)
    del image, pixels, planes, layer
    gc.collect()
    assert gone() is None
    assert held() is None
