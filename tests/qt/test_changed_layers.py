"""Layers that the user changes under the dock: renamed, replaced, moved, deleted."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Points
from small_stack import DISCS, SHAPE, draw_plane, draw_stack

import napari_dinoprompt as dp
from napari_dinoprompt._qt.dock import PromptSegmentation

if TYPE_CHECKING:
    from napari_dinoprompt._qt.controller import Controller

MOVES = {
    "scale": {"scale": (0.5, 3.0)},
    "translate": {"translate": (30, -7)},
    "rotate": {"rotate": 40},
    "shear": {"shear": [0.5]},
    "affine": {"affine": [[1.1, 0.2, 3.0], [-0.1, 0.9, -4.0], [0, 0, 1]]},
}


def from_scratch(plane: object, points: object) -> np.ndarray:
    backbone = dp.load_backbone("filterbank", device="cpu")
    features = dp.extract_features(plane, backbone)
    return dp.segment(plane, dp.Reference.from_prompts(features, points)).mask


def show(bench, plane: int) -> None:
    bench.viewer.dims.set_point(0, plane)
    bench.settle()


@pytest.fixture
def stack(bench):
    """A ZYX stack with a prompt on planes 1 and 3, both filled."""
    bench.add_image(draw_stack(5))
    bench.open()
    bench.settle()
    for plane in (1, 3):
        show(bench, plane)
        bench.prompts.add((plane, *DISCS[0]))
        bench.settle()
    show(bench, 1)
    assert bench.mask[1].any() and bench.mask[3].any()
    return bench


def test_renamed_layers_go_on(prompted, scene) -> None:
    state = prompted.state
    for layer in (state.image, state.prompts, state.mask, state.similarity):
        layer.name = "x"
    prompted.click(scene.dim[0], "background")
    assert len(prompted.viewer.layers) == 4
    assert prompted.found(scene.dim) == [0, 0, 0]


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_moved_image_takes_prompts_and_results_along(prompted, scene, move) -> None:
    before, state = prompted.mask, prompted.state
    for name, value in move.items():
        setattr(state.image, name, value)
    prompted.settle()
    for layer in (state.prompts, state.mask, state.similarity):
        for corner in ((0, 0), (95, 0), (0, 119)):
            np.testing.assert_allclose(
                layer.data_to_world(corner), state.image.data_to_world(corner)
            )
    np.testing.assert_array_equal(prompted.mask, before)
    prompted.click(scene.bright[2])
    np.testing.assert_allclose(state.result.reference.points, scene.bright[:3])


def test_image_moved_while_another_is_chosen(prompted, other_scene) -> None:
    first, before = prompted.state, prompted.mask
    prompted.choose(prompted.add_image(other_scene.image))
    prompted.settle()
    first.image.scale = (2, 2)
    prompted.choose(first.image)
    prompted.settle()
    np.testing.assert_array_equal(first.prompts.scale, (2, 2))
    np.testing.assert_array_equal(first.mask.scale, (2, 2))
    np.testing.assert_array_equal(prompted.mask, before)


def test_stack_moved_along_its_axis(stack) -> None:
    """The slider stays where it is: another plane is in view."""
    stack.state.image.translate = (-1, 0, 0)
    stack.settle()
    world = stack.state.image.data_to_world((*stack.state.view, 0, 0))[0]
    assert world == stack.viewer.dims.point[0]
    assert stack.state.view == (2,)
    assert stack.state.result.plane == (2,)
    assert stack.state.result.reference.planes == ((1,), (3,))
    assert stack.mask[2].any()


def test_pixels_replaced(prompted, scene, other_scene) -> None:
    layers = list(prompted.viewer.layers)
    prompted.state.image.data = other_scene.image
    prompted.settle()
    assert list(prompted.viewer.layers) == layers
    np.testing.assert_array_equal(
        prompted.mask, from_scratch(other_scene.image, scene.bright[:2])
    )


@pytest.mark.parametrize("crop", [(80, 100), (64, 120)])
def test_pixels_replaced_by_another_size(prompted, scene, crop) -> None:
    smaller = scene.image[: crop[0], : crop[1]].copy()
    prompted.click(scene.bar)
    layers = list(prompted.viewer.layers)
    prompted.state.image.data = smaller
    prompted.settle()
    assert list(prompted.viewer.layers) == layers
    assert "1 prompt lies outside" in prompted.hint
    assert prompted.mask.shape == prompted.similarity_layer.data.shape == crop
    np.testing.assert_array_equal(
        prompted.mask, from_scratch(smaller, scene.bright[:2])
    )
    prompted.state.image.data = scene.image
    prompted.settle()
    assert "outside" not in prompted.hint
    assert prompted.mask.shape == scene.image.shape


@pytest.mark.parametrize("length", [2, 5, 9])
def test_stack_replaced_by_one_of_another_length(stack, length: int) -> None:
    layers = list(stack.viewer.layers)
    stack.state.image.data = draw_stack(length)[::-1].copy()
    stack.settle()
    assert list(stack.viewer.layers) == layers
    assert stack.mask.shape == (length, *SHAPE)
    planes = tuple((plane,) for plane in (1, 3) if plane < length)
    assert stack.state.result.reference.planes == planes
    shown = stack.state.view[0]
    filled = [plane for plane in range(length) if stack.mask[plane].any()]
    assert filled == [shown]
    show(stack, 0)
    assert stack.mask[0].any()


def test_plane_replaced_by_a_stack_and_back(bench) -> None:
    image = bench.add_image(draw_plane())
    bench.open()
    bench.settle()
    bench.click(DISCS[:2])
    image.data = draw_stack(3)
    bench.settle()
    assert bench.prompts.ndim == 3
    show(bench, 2)
    bench.prompts.add((2, *DISCS[0]))
    bench.settle()
    assert bench.state.result.reference.planes == ((2,),)
    assert bench.mask.shape == (3, *SHAPE)
    assert bench.mask[2].any()
    image.data = draw_plane(1)
    bench.settle()
    assert bench.prompts.ndim == 2
    bench.click(DISCS[:2])
    np.testing.assert_array_equal(bench.mask, from_scratch(draw_plane(1), DISCS[:2]))


def test_image_replaced_while_another_is_chosen(prompted, scene, other_scene) -> None:
    first = prompted.state.image
    prompted.choose(prompted.add_image(other_scene.image))
    prompted.settle()
    first.data = scene.image[:60, :110].copy()
    prompted.choose(first)
    prompted.settle()
    np.testing.assert_array_equal(
        prompted.mask, from_scratch(scene.image[:60, :110], scene.bright[:2])
    )


def test_image_replaced_while_it_is_computed(bench, gate) -> None:
    image = bench.add_image(draw_plane(1))
    bench.open()
    bench.qtbot.waitUntil(lambda: gate.tiles >= 1)
    image.data = draw_plane(2)[:, :50].copy()
    gate.open()
    bench.settle()
    bench.click(DISCS[:2])
    np.testing.assert_array_equal(
        bench.mask, from_scratch(draw_plane(2)[:, :50], DISCS[:2])
    )


def test_prompts_changed_while_another_image_is_chosen(
    prompted, scene, other_scene
) -> None:
    first = prompted.state
    prompted.choose(prompted.add_image(other_scene.image))
    prompted.settle()
    first.prompts.add(scene.bright[2])
    prompted.choose(first.image)
    prompted.settle()
    assert prompted.chip("object").text().split() == ["object", "3"]
    assert len(first.result.reference.vectors) == 3
    prompted.press("Undo")
    assert len(first.result.reference.vectors) == 2


def test_stack_prompts_changed_elsewhere_leave_no_outdated_plane(
    stack, other_scene
) -> None:
    first = stack.state
    stack.choose(stack.add_image(other_scene.image))
    stack.settle()
    first.prompts.add((1, *DISCS[1]))
    stack.choose(first.image)
    stack.settle()
    assert stack.state.view == (1,)
    assert stack.mask[1].any()
    assert not stack.mask[3].any()


def test_hidden_layers_go_on(prompted, scene) -> None:
    state = prompted.state
    for layer in (state.image, state.prompts, state.mask):
        layer.visible = False
    prompted.click(scene.dim[0], "background")
    assert prompted.found(scene.dim) == [0, 0, 0]
    assert not state.mask.visible


@pytest.mark.parametrize("role", ["mask", "similarity", "prompts"])
def test_layers_deleted_while_features_are_computed(bench, gate, role: str) -> None:
    gate.open()
    image = bench.add_image(draw_stack(4))
    bench.open()
    bench.settle()
    show(bench, 1)
    bench.prompts.add((1, *DISCS[0]))
    bench.settle()
    gate.opened.clear()
    before = gate.tiles
    bench.viewer.dims.set_point(0, 3)
    bench.qtbot.waitUntil(lambda: gate.tiles > before)
    bench.viewer.layers.remove(getattr(bench.state, role))
    gate.open()
    bench.settle()
    if role == "prompts":
        assert not bench.mask.any()
        bench.press("Add prompts")
        bench.prompts.add((3, *DISCS[0]))
        bench.settle()
    assert bench.mask[3].any()
    assert bench.similarity_layer.data.shape == image.data.shape


# --- docks come and go


def test_threshold_comes_back_with_the_dock(prompted) -> None:
    prompted.drag_threshold(0.3)
    prompted.settle()
    layers, mask = list(prompted.viewer.layers), prompted.mask
    prompted.close()
    prompted.open()
    prompted.settle()
    assert list(prompted.viewer.layers) == layers
    assert abs(prompted.threshold_shown - 0.3) < 1e-9
    assert not prompted.auto_shown
    np.testing.assert_array_equal(prompted.mask, mask)


def test_stack_comes_back_with_the_dock(stack) -> None:
    layers = list(stack.viewer.layers)
    mask = stack.mask
    stack.close()
    stack.open()
    stack.settle()
    assert list(stack.viewer.layers) == layers
    assert stack.state.result.reference.planes == ((1,), (3,))
    for plane in (1, 3):
        show(stack, plane)
        np.testing.assert_array_equal(stack.mask[plane], mask[plane])


def test_planes_of_an_earlier_dock_are_not_taken_for_new_ones(stack) -> None:
    prompts = stack.prompts
    stack.close()
    prompts.data = np.array([(1, *DISCS[0]), (1, *DISCS[1])])
    stack.open()
    stack.settle()
    assert stack.mask[1].any()
    assert not stack.mask[3].any()
    assert not np.asarray(stack.similarity_layer.data)[3].any()


def test_prompts_removed_without_a_dock_leave_empty_results(prompted) -> None:
    prompts = prompted.prompts
    prompted.close()
    prompts.data = np.empty((0, 2))
    prompted.open()
    prompted.settle()
    assert not prompted.mask.any()
    assert not prompted.similarity_layer.data.any()


def wait_for(qtbot, controller: Controller) -> None:
    qtbot.waitUntil(lambda: not controller.working, timeout=20_000)


def test_two_viewers_do_not_disturb_each_other(prompted, scene, qtbot) -> None:
    before, prompts = prompted.mask, np.array(prompted.prompts.data)
    viewer = ViewerModel()
    viewer.layers.append(Image(draw_stack(3)))
    dock = PromptSegmentation(viewer)
    other = dock.controller
    wait_for(qtbot, other)
    other.add_class("elsewhere")
    other.session.current.prompts.add((1, *DISCS[0]))
    other.scoring.choose_threshold(0.1)
    wait_for(qtbot, other)
    assert other.session.current.result.reference.planes == ((1,),)
    assert prompted.work.session.classes == ["object", "background"]
    assert prompted.auto_shown
    np.testing.assert_array_equal(prompted.mask, before)
    np.testing.assert_array_equal(prompted.prompts.data, prompts)
    assert len(prompted.viewer.layers) == len(viewer.layers) == 4
    dock.deleteLater()
    del dock, other
    qtbot.wait(1)
    prompted.click(scene.dim[0], "background")
    assert prompted.found(scene.dim) == [0, 0, 0]


def callbacks(viewer: ViewerModel, image: Image | Points) -> dict[str, int]:
    emitters = {
        "viewer.layers": viewer.layers.events,
        "viewer.dims": viewer.dims.events,
        "image": image.events,
    }
    return {
        f"{name}.{event}": sum(
            # napari holds methods weakly, and lets go of dead ones at the next event.
            not isinstance(callback, tuple) or callback[0]() is not None
            for callback in group[event].callbacks
        )
        for name, group in emitters.items()
        for event in group.emitters
    }


@pytest.mark.parametrize("closed", ["dock", "image"])
def test_no_callbacks_are_left_on_viewer_and_image(
    bench, scene, idle, closed: str
) -> None:
    image = bench.add_image(scene.image)
    points = Points(scene.bright[:2])
    bench.viewer.layers.append(points)
    if closed == "image":
        # What the viewer itself connects to a layer goes when it is removed.
        bench.viewer.layers.remove(image)
    before = callbacks(bench.viewer, image)
    own = callbacks(bench.viewer, points)
    if closed == "image":
        bench.viewer.layers.append(image)
    bench.open()
    bench.settle()
    bench.click(scene.bright[:2])
    bench.work.choose_prompts(points)
    bench.settle()
    assert callbacks(bench.viewer, image) != before
    ours = (bench.work.session.current.mask, bench.work.session.current.similarity)
    ours = (*ours, bench.work.prompt_layers()[0])
    for layer in ours:
        bench.viewer.layers.remove(layer)
    bench.settle()
    del ours, layer
    if closed == "image":
        bench.viewer.layers.remove(image)
        bench.settle()
        now = callbacks(bench.viewer, image)
        left = {k: v for k, v in now.items() if k.startswith("image")}
        assert left == {k: v for k, v in before.items() if k.startswith("image")}
        return
    bench.close()
    idle()
    gc.collect()
    assert callbacks(bench.viewer, image) == before
    assert callbacks(bench.viewer, points) == own
