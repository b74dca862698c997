"""Points layers of the user's own as prompts: they count, and are never changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Points
from small_stack import DISCS, draw_stack


def add_points(bench, where: object, classes: list[Any] | None = None) -> Points:
    """Add a layer as a user would have it: in other colours, with another column."""
    options: dict[str, Any] = {"features": {"note": list(range(len(where)))}}
    if classes is not None:
        options["features"]["class"] = np.array(classes, dtype=object)
    layer = Points(
        np.asarray(where, float),
        name="mine",
        face_color="blue",
        size=3,
        metadata={"mine": 1},
        **options,
    )
    bench.viewer.layers.append(layer)
    bench.settle()
    return layer


def choose_points(bench, layer: Points) -> None:
    box = bench.dock.prompts._layer
    index = bench.work.prompt_layers().index(layer)
    box.setCurrentIndex(index)
    box.activated.emit(index)
    bench.settle()


def looks(layer: Points) -> dict[str, Any]:
    """Take down all of a layer that somebody could notice."""
    return {
        "data": np.array(layer.data),
        "features": layer.features.copy(),
        "defaults": layer.feature_defaults.copy(),
        "colours": np.array(layer.face_color),
        "colour mode": str(layer.face_color_mode),
        "next colour": str(layer.current_face_color),
        "size": np.array(layer.size),
        "mode": str(layer.mode),
        "name": layer.name,
        "metadata": dict(layer.metadata),
        "selected": set(layer.selected_data),
        "scale": np.array(layer.scale),
        "visible": layer.visible,
    }


def assert_untouched(layer: Points, before: dict[str, Any], *but: str) -> None:
    now = looks(layer)
    for name, value in before.items():
        if name not in but:
            np.testing.assert_array_equal(now[name], value, err_msg=name)


def test_only_layers_of_the_same_dimensions_are_offered(ready) -> None:
    assert ready.dock.prompts._layer.isHidden()
    flat = add_points(ready, [(15, 15)])
    ready.viewer.layers.append(Points(np.zeros((1, 3)), name="deep"))
    ready.settle()
    assert ready.work.prompt_layers() == [ready.prompts, flat]
    assert not ready.dock.prompts._layer.isHidden()
    ready.viewer.layers.remove(flat)
    ready.settle()
    assert ready.work.prompt_layers() == [ready.prompts]
    assert ready.dock.prompts._layer.isHidden()


def test_own_points_without_classes_are_objects(ready, scene) -> None:
    mine = add_points(ready, scene.bright[:2])
    choose_points(ready, mine)
    assert ready.prompts is mine
    assert ready.chip("object").text().split() == ["object", "2"]
    assert ready.found(scene.bright) == [1] * 5
    own = ready.mask
    mine.data = np.empty((0, 2))
    ready.settle()
    assert not ready.mask.any()
    choose_points(ready, ready.work.prompt_layers()[0])
    ready.click(scene.bright[:2])
    np.testing.assert_array_equal(ready.mask, own)


def test_own_classes_count(ready, scene) -> None:
    where = [*scene.bright[:2], *scene.dim[:2], scene.bar]
    classes = ["object", "object", "dim", "dim", "background"]
    mine = add_points(ready, where, classes)
    choose_points(ready, mine)
    assert ready.chip("dim").text().split() == ["dim", "2"]
    assert ready.state.result.reference.classes == tuple(classes)
    assert ready.found(scene.dim[:2]) == [2, 2]


@pytest.mark.parametrize("name", [None, np.nan, "", "  "])
def test_own_point_without_a_class_is_an_object(ready, scene, name: object) -> None:
    mine = add_points(ready, scene.bright[:2], ["object", name])
    choose_points(ready, mine)
    assert ready.state.result.reference.classes == ("object", "object")


def test_own_point_of_a_new_class_later(ready, scene) -> None:
    mine = add_points(ready, scene.bright[:2], ["object", "object"])
    choose_points(ready, mine)
    features = mine.features.copy()
    features["class"] = ["object", "  late\tone "]
    mine.features = features
    ready.settle()
    assert ready.state.result.reference.classes == ("object", "late one")
    assert ready.chip("late one").text().split() == ["late", "one", "1"]
    assert ready.found(scene.bright[:2]) == [1, 2]


def test_own_points_are_changed_by_nothing_here(ready, scene, other_scene) -> None:
    first = ready.state.image
    mine = add_points(ready, scene.bright[:2], ["object", "background"])
    mine.selected_data = {0}
    mine.mode = "select"
    before = looks(mine)
    choose_points(ready, mine)
    for name in ("background", "object"):
        ready.chip(name).click()
    ready.work.add_class("third")
    ready.drag_threshold(0.4)
    ready.clean(split=True)
    assert not ready.button("Undo").isEnabled()
    assert not ready.button("Clear").isEnabled()
    ready.work.prompts.undo()
    ready.work.prompts.clear()
    ready.work.place_prompts(scene.dim[:1], ["object"])
    ready.settle()
    ready.choose(ready.add_image(other_scene.image))
    ready.settle()
    ready.choose(first)
    ready.settle()
    assert ready.prompts is mine
    first.translate = (3, 4)
    ready.settle()
    assert_untouched(mine, before)
    ready.press("Add prompts")
    assert mine.mode == "add"
    assert_untouched(mine, before, "mode", "selected")


def test_point_added_to_the_own_layer_counts(ready, scene) -> None:
    mine = add_points(ready, scene.bright[:1])
    choose_points(ready, mine)
    mine.add(scene.bright[3])
    ready.settle()
    assert len(ready.state.result.reference.vectors) == 2
    mine.selected_data = {0}
    mine.remove_selected()
    ready.settle()
    np.testing.assert_array_equal(
        ready.state.result.reference.points, scene.bright[3:4]
    )


def test_back_to_ours_brings_our_prompts_back(prompted, scene) -> None:
    ours, before = prompted.prompts, prompted.mask
    mine = add_points(prompted, scene.dim[:2])
    choose_points(prompted, mine)
    assert prompted.found(scene.dim[:2]) == [1, 1]
    choose_points(prompted, ours)
    assert prompted.prompts is ours
    np.testing.assert_array_equal(prompted.mask, before)
    prompted.click(scene.bright[2])
    assert len(ours.data) == 3
    assert len(mine.data) == 2
    prompted.press("Undo")
    np.testing.assert_array_equal(prompted.mask, before)


def test_deleted_own_layer_is_said_and_ours_comes_back(prompted, scene) -> None:
    ours, before = prompted.prompts, prompted.mask
    mine = add_points(prompted, scene.dim[:2])
    choose_points(prompted, mine)
    prompted.viewer.layers.remove(mine)
    prompted.settle()
    assert not prompted.mask.any()
    assert "Add prompts" in prompted.hint
    prompted.press("Add prompts")
    assert prompted.prompts is ours
    np.testing.assert_array_equal(prompted.mask, before)


def test_own_layer_is_kept_by_its_image(prompted, scene, other_scene) -> None:
    first = prompted.state.image
    mine = add_points(prompted, scene.dim[:2])
    choose_points(prompted, mine)
    before = prompted.mask
    prompted.choose(prompted.add_image(other_scene.image))
    prompted.settle()
    assert prompted.prompts is not mine
    prompted.choose(first)
    prompted.settle()
    assert prompted.prompts is mine
    np.testing.assert_array_equal(prompted.mask, before)


def test_own_points_stay_where_they_are_when_the_image_moves(ready, scene) -> None:
    mine = add_points(ready, scene.bright[:2])
    choose_points(ready, mine)
    ready.state.image.translate = (-4, 2)
    ready.settle()
    np.testing.assert_allclose(
        ready.state.result.reference.points, scene.bright[:2] + np.array((4, -2))
    )


def test_own_points_of_another_scale_meet_the_image_in_the_world(ready, scene) -> None:
    mine = add_points(ready, scene.bright[:2])
    choose_points(ready, mine)
    mine.scale = (2, 2)
    mine.data = scene.bright[:2] / 2
    ready.settle()
    np.testing.assert_allclose(ready.state.result.reference.points, scene.bright[:2])


def test_own_points_on_a_stack(bench) -> None:
    bench.add_image(draw_stack(3))
    bench.open()
    bench.settle()
    where = [(0, *DISCS[0]), (2, *DISCS[1])]
    choose_points(bench, add_points(bench, where))
    assert bench.state.result.reference.planes == ((0,), (2,))
