"""The keys of the dock: what each does; the docs tell it; nobody else has it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from app_model.types import KeyBinding
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes, Surface, Tracks, Vectors
from napari.settings import get_settings

from napari_dinoprompt._qt.common.keys import KEYS

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "keys.md"
LAYERS = (Image, Labels, Points, Shapes, Surface, Tracks, Vectors)
ROW = re.compile(r"^\| (\S+) \| (.+) \|$", re.MULTILINE)


def press(bench, name: str) -> None:
    """Call what the viewer has bound, as napari does."""
    bound = bench.viewer.keymap[KeyBinding.from_int(KEYS[name].code)]
    bound(bench.viewer)
    bench.settle()


def test_the_docs_tell_every_key(bench) -> None:
    bench.open()
    told = dict(ROW.findall(PAGE.read_text(encoding="utf-8")))
    assert told.pop("key") == "what it does"
    assert "cancel" in told.pop("Escape")
    bar = bench.dock.tabs
    for index in range(bar.count()):
        assert told.pop(f"Alt+{index + 1}") == bar.tabText(index)
        assert f"(Alt+{index + 1})" in bar.tabToolTip(index)
    assert told == {key.text: key.title for key in KEYS.values()}


def test_tooltips_and_the_hint_tell_keys(ready) -> None:
    panel, result = ready.dock.prompts, ready.dock.result
    for name, widget in (
        ("prompts", panel._add),
        ("undo", panel._undo),
        ("redo", panel._redo),
        ("class", ready.chip("object")),
        ("lower", result._slider.focusProxy()),
        ("higher", result._slider.focusProxy()),
    ):
        assert re.search(rf"[(\s]{re.escape(KEYS[name].text)}[,)]", widget.toolTip())
    ready.viewer.layers.selection.active = ready.state.image
    ready.settle()
    assert f"({KEYS['prompts'].text})" in ready.hint


def test_no_key_is_napari_s() -> None:
    viewer = ViewerModel()
    theirs = {str(key) for key in (*viewer.class_keymap, *viewer.keymap)}
    for keys in get_settings().shortcuts.shortcuts.values():
        theirs.update(str(key) for key in keys)
    for kind in LAYERS:
        theirs.update(str(key) for key in kind.class_keymap)
    ours = {key.text for key in KEYS.values()}
    # Of labels: a stroke is taken back there, as napari says.
    assert ours & theirs == {KEYS["undo"].text, KEYS["redo"].text}
    labels = {str(key) for key in Labels.class_keymap}
    assert ours & labels == ours & theirs


def test_undo_and_redo(prompted, scene) -> None:
    prompted.click(scene.dim[0], "background")
    mask = prompted.mask
    press(prompted, "undo")
    assert len(prompted.prompts.data) == 2
    assert (prompted.mask != mask).any()
    assert prompted.button("Redo").isEnabled()
    press(prompted, "redo")
    assert len(prompted.prompts.data) == 3
    assert prompted.chip("background").text().split() == ["background", "1"]
    np.testing.assert_array_equal(prompted.mask, mask)
    assert not prompted.button("Redo").isEnabled()
    press(prompted, "redo")
    assert len(prompted.prompts.data) == 3


def test_redo_goes_all_the_way_and_a_new_prompt_ends_it(prompted, scene) -> None:
    for where in scene.dim:
        prompted.click(where)
    for left in (4, 3, 2):
        press(prompted, "undo")
        assert len(prompted.prompts.data) == left
    for there in (3, 4):
        prompted.press("Redo")
        assert len(prompted.prompts.data) == there
    prompted.click(scene.bar)
    assert not prompted.button("Redo").isEnabled()
    # The two of the beginning came in one step.
    for left in (4, 3, 2, 0):
        press(prompted, "undo")
        assert len(prompted.prompts.data) == left


def test_next_class_comes_round(prompted) -> None:
    prompted.work.add_class("vessel")
    for name in ("object", "background", "vessel"):
        press(prompted, "class")
        assert prompted.chip(name).isChecked()


def test_threshold_goes_up_and_down(prompted) -> None:
    prompted.drag_threshold(0.5)
    prompted.settle()
    found = int(prompted.mask.sum())
    for _ in range(5):
        press(prompted, "higher")
    assert prompted.threshold_shown == pytest.approx(0.6)
    assert int(prompted.mask.sum()) < found
    for _ in range(5):
        press(prompted, "lower")
    assert prompted.threshold_shown == pytest.approx(0.5)
    assert int(prompted.mask.sum()) == found


def test_threshold_ends_where_the_slider_ends(prompted) -> None:
    prompted.drag_threshold(0.99)
    for _ in range(2):
        press(prompted, "higher")
    assert prompted.threshold_shown == 1


def test_map_and_mask_go_and_come(prompted) -> None:
    for name, layer in (
        ("map", prompted.similarity_layer),
        ("mask", prompted.mask_layer),
    ):
        press(prompted, name)
        assert not layer.visible
        press(prompted, name)
        assert layer.visible


@pytest.mark.parametrize("name", KEYS)
def test_every_key_is_harmless_without_an_image(bench, name) -> None:
    bench.open()
    press(bench, name)
    assert "Open an image" in bench.hint


def test_keys_go_with_the_last_dock(prompted) -> None:
    codes = [KeyBinding.from_int(key.code) for key in KEYS.values()]
    second = prompted.open()
    prompted.docks.remove(second)
    second.deleteLater()
    del second
    prompted.qtbot.wait(1)
    assert set(codes) <= set(prompted.viewer.keymap)
    viewer = prompted.viewer
    prompted.close()
    assert not set(codes) & set(viewer.keymap)


def test_a_key_of_somebody_else_stays_theirs(bench, scene) -> None:
    pressed = []
    bench.viewer.bind_key("q", pressed.append)
    bench.add_image(scene.image)
    bench.open()
    bench.settle()
    bench.viewer.layers.selection.active = bench.state.image
    press(bench, "prompts")
    assert pressed == [bench.viewer]
    assert bench.viewer.layers.selection.active is bench.state.image
    viewer = bench.viewer
    bench.close()
    assert KeyBinding.from_str("Q") in viewer.keymap


# --- clicks that place nothing


@pytest.mark.parametrize("way", ["image", "mask", "pan", "select", "hidden"])
def test_the_dock_says_when_clicks_place_no_prompts(prompted, scene, way) -> None:
    def sign() -> bool:
        return not prompted.button("Add prompts").icon().isNull()

    assert prompted.hint.startswith("Refine")
    assert not sign()
    layers = prompted.viewer.layers
    if way == "image":
        layers.selection.active = prompted.state.image
    elif way == "mask":
        layers.selection.active = prompted.mask_layer
    elif way == "hidden":
        prompted.prompts.visible = False
    else:
        prompted.prompts.mode = {"pan": "pan_zoom", "select": "select"}[way]
    prompted.settle()
    assert prompted.hint.startswith("Clicks place no prompts now: press Add prompts")
    assert sign()
    press(prompted, "prompts")
    assert prompted.hint.startswith("Refine")
    assert not sign()
    assert prompted.prompts.mode == "add"
    assert prompted.prompts.visible
    assert layers.selection.active is prompted.prompts


def test_what_went_wrong_is_said_first(prompted) -> None:
    prompted.click((-20.0, 10.0))
    prompted.viewer.layers.selection.active = prompted.state.image
    prompted.settle()
    assert "outside the image" in prompted.hint


def test_results_that_come_do_not_look_like_another_tool(ready, scene) -> None:
    said = []
    ready.work.changed.connect(lambda: said.append(ready.work.session.prompting))
    ready.click(scene.bright[:2])
    assert said
    assert all(said)
