"""Keys in a real window: over the image, in the dock, and in the fields of the dock."""

from __future__ import annotations

import numpy as np
import pytest
from npe2 import PluginManager, PluginManifest
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QLabel,
    QMenuBar,
    QWidget,
)

from napari_dinoprompt._qt.common.keys import KEYS

pytestmark = pytest.mark.viewer

NAME = "napari-dinoprompt"
UNDO = (Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
REDO = (UNDO[0], UNDO[1] | Qt.KeyboardModifier.ShiftModifier)


@pytest.fixture
def plugin(npe2pm: PluginManager) -> None:
    npe2pm.register(PluginManifest.from_distribution(NAME))


@pytest.fixture
def clicked(plugin, make_napari_viewer, qtbot):
    """A window with the dock, an image, and two prompts; returns all of it."""
    viewer = make_napari_viewer(show=True)
    y, x = np.mgrid[:96, :96]
    light = [np.hypot(y - a, x - b) < 7 for a, b in ((20, 20), (60, 30), (40, 70))]
    noise = np.random.default_rng(0).normal(20, 3, (96, 96))
    viewer.add_image(noise + 150 * np.any(light, axis=0), name="discs")
    _, dock = viewer.window.add_plugin_dock_widget(NAME, "Prompt segmentation")

    def settle() -> None:
        qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)

    settle()
    for centre in ((20, 20), (60, 30)):
        viewer.layers["discs prompts"].add(centre)
        settle()
    (canvas,) = [one for one in all_inside(dock, QOpenGLWidget) if one.isVisible()]
    return viewer, dock, canvas, settle


def all_inside(dock: QWidget, kind: type) -> list:
    return dock.window().findChildren(kind)


def test_keys_work_over_the_image_and_in_the_dock(clicked) -> None:
    viewer, dock, canvas, settle = clicked
    prompts, session = viewer.layers["discs prompts"], dock.controller.session
    for place in (canvas, dock.prompts._clear, dock.result._auto, dock.tabs.tabBar()):

        def press(key: Qt.Key, *modifiers: Qt.KeyboardModifier, at=place) -> None:
            QTest.keyClick(at, key, *modifiers)
            settle()

        press(*UNDO)
        assert len(prompts.data) == 1, place
        press(*REDO)
        assert len(prompts.data) == 2, place
        press(Qt.Key.Key_W)
        assert session.selected_class == "background"
        press(Qt.Key.Key_W)
        for key, name in ((Qt.Key.Key_H, "similarity"), (Qt.Key.Key_G, "mask")):
            press(key)
            assert not viewer.layers[f"discs {name}"].visible
            press(key)
            assert viewer.layers[f"discs {name}"].visible
        before, _ = session.threshold_in_force()
        press(Qt.Key.Key_K)
        assert session.threshold_in_force()[0] > before
        press(Qt.Key.Key_J)
        viewer.layers.selection.active = viewer.layers["discs mask"]
        settle()
        assert "no prompts now" in dock.status.hint
        press(Qt.Key.Key_Q)
        assert viewer.layers.selection.active is prompts
        assert prompts.mode == "add"


def test_what_is_typed_into_a_field_is_no_key(clicked) -> None:
    viewer, dock, _canvas, settle = clicked
    prompts, session = viewer.layers["discs prompts"], dock.controller.session
    viewer.layers.selection.active = viewer.layers["discs"]
    before = session.threshold_in_force()
    letters = "".join(key.text.lower() for key in KEYS.values() if len(key.text) == 1)
    spin = dock.result._min_size.native
    assert isinstance(spin, QAbstractSpinBox)
    upscale = dock.image._upscale
    for field in (dock.prompts._new, upscale, dock.image._backbone, spin):
        field.setFocus()
        QTest.keyClicks(field, letters)
        QTest.keyClick(field, *UNDO)
        QTest.keyClick(field, Qt.Key.Key_Escape)
        settle()
        assert viewer.layers.selection.active is viewer.layers["discs"], field
        assert session.selected_class == "object"
        assert session.threshold_in_force() == before
        assert viewer.layers["discs mask"].visible
        assert len(prompts.data) == 2
    QTest.keyClicks(dock.prompts._new, letters)
    assert letters in dock.prompts._new.text()


def test_keys_work_after_the_button_that_switches(clicked, qtbot) -> None:
    viewer, dock, _canvas, settle = clicked
    second = viewer.add_image(np.zeros((96, 96)), name="quite another")
    settle()
    window = dock.window()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    QTest.mouseClick(dock.segment.offer._accept, Qt.MouseButton.LeftButton)
    settle()
    assert dock.controller.session.current.image is second
    viewer.layers.selection.active = second
    settle()
    # The list of images, which is next in the order of Tab, would look for a name.
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Q)
    settle()
    assert viewer.layers.selection.active is viewer.layers["quite another prompts"]


def test_labels_of_the_user_keep_their_undo(clicked) -> None:
    viewer, _dock, canvas, settle = clicked
    labels = viewer.add_labels(np.zeros((96, 96), int), name="mine")
    labels.paint((40, 40), 1)
    assert labels.data.any()
    QTest.keyClick(canvas, *UNDO)
    settle()
    assert not labels.data.any()
    assert len(viewer.layers["discs prompts"].data) == 2
    QTest.keyClick(canvas, *REDO)
    assert labels.data.any()
    QTest.keyClick(canvas, Qt.Key.Key_Q)
    settle()
    QTest.keyClick(canvas, *UNDO)
    settle()
    assert len(viewer.layers["discs prompts"].data) == 1


def test_closing_the_last_dock_sets_the_keys_free(clicked) -> None:
    viewer, dock, canvas, _settle = clicked
    viewer.layers.selection.active = viewer.layers["discs"]
    mask = viewer.layers["discs mask"]
    second = type(dock)(viewer)
    viewer.window.add_dock_widget(second, name="another")
    # At once, whoever still holds it: a notebook, or a circle of references.
    for closed in (dock, second):
        QTest.keyClick(canvas, Qt.Key.Key_G)
        assert not mask.visible
        QTest.keyClick(canvas, Qt.Key.Key_G)
        assert mask.visible
        viewer.window.remove_dock_widget(closed)
    QTest.keyClick(canvas, Qt.Key.Key_G)
    assert mask.visible
    viewer.window.add_dock_widget(dock, name="again")
    QTest.keyClick(canvas, Qt.Key.Key_G)
    assert not mask.visible


def test_no_menu_has_these_keys_and_letters(clicked) -> None:
    """napari's actions are all there: Alt+S and Alt+C take screenshots."""
    _viewer, dock, _canvas, _settle = clicked
    (bar,) = all_inside(dock, QMenuBar)
    menus = {QKeySequence.mnemonic(one.text()).toString() for one in bar.actions()}
    for one in bar.actions():
        # napari gives them their keys when they are opened.
        one.menu().aboutToShow.emit()
        menus.update(each.shortcut().toString() for each in one.menu().actions())
    assert {"Alt+S", "Alt+C", "Alt+F"} <= menus
    ours = {key.text for key in KEYS.values()} | {f"Alt+{n}" for n in range(1, 5)}
    for kind in (QAbstractButton, QLabel):
        for widget in dock.findChildren(kind):
            ours.add(QKeySequence.mnemonic(widget.text()).toString())
    assert len(ours) > 25
    assert not (ours & menus) - {""}


def test_numbers_turn_the_tabs(clicked, qtbot) -> None:
    _viewer, dock, canvas, settle = clicked
    window = dock.window()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    canvas.setFocus()
    for number in (3, 2, 4, 1):
        key = Qt.Key(Qt.Key.Key_0 + number)
        QTest.keyClick(canvas, key, Qt.KeyboardModifier.AltModifier)
        settle()
        assert dock.tabs.currentIndex() == number - 1
