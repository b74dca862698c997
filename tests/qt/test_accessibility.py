"""The dock for everybody's keyboard, screen reader, theme, font and screen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.qt import get_stylesheet
from napari.settings import get_settings
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtGui import QColor, QGuiApplication, QKeyEvent, QKeySequence
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QScrollBar,
    QShortcut,
    QTabBar,
    QTableView,
    QWidget,
)

from napari_dinoprompt._qt.common.widgets import ElidedLabel, MessageLabel, Section
from napari_dinoprompt._qt.segment.prompt_panel import ClassChip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QScrollArea

    from napari_dinoprompt._qt.dock import PromptSegmentation

THEMES = ("dark", "light")
CONTROLS = (
    *(QAbstractButton, QComboBox, QAbstractSpinBox, QAbstractSlider, QLineEdit),
    *(QAbstractItemView, QTabBar),
)
# Of napari 0.9: File, View, Layers, Plugins, Window, Help.
MENUS = set("FVLPWH")
# In its menus File and Debug: all are actions, which napari's settings do not list.
SCREENSHOTS = {"Alt+S", "Alt+C", "Alt+T"}
LONG = (
    "Übersicht der Zellkerne & Membranen, 細胞核, Wiederholung vom 12. März #3 (100 %)"
)
# What napari's own columns leave at 1366 pixels, with 480 for the picture.
SCREEN = (1366 - 333 - 480, 768 - 65)


def controls(place: QWidget) -> list[QWidget]:
    """Return all that a user can act on, but for the inner parts of it."""
    return [
        widget
        for widget in place.findChildren(QWidget)
        if isinstance(widget, CONTROLS)
        and not isinstance(widget, QScrollBar)
        and not any(
            isinstance(above, (QComboBox, QAbstractSpinBox, QTabBar, QTableView))
            for above in ancestors(widget)
        )
    ]


def ancestors(widget: QWidget) -> Iterator[QWidget]:
    above = widget.parentWidget()
    while above is not None:
        yield above
        above = above.parentWidget()


def name_of(widget: QWidget) -> str:
    """Return what a screen reader calls it: its name, its text or its label."""
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    labels = [
        label.text()
        for label in widget.window().findChildren(QLabel)
        if label.buddy() is not None and widget in (label.buddy(), proxy_of(label))
    ]
    return widget.accessibleName() or text or "".join(labels)


def proxy_of(label: QLabel) -> QWidget | None:
    buddy = label.buddy()
    return None if buddy is None else buddy.focusProxy()


def reveal(place: QWidget) -> None:
    """Show and enable all that can ever be shown there."""
    for section in place.findChildren(Section):
        section.expand()
    inside = controls(place) + place.findChildren(MessageLabel)
    for widget in inside:
        for each in (widget, *ancestors(widget)):
            if each is place:
                break
            each.setVisible(True)
            each.setEnabled(True)


@pytest.fixture
def shown(prompted, qtbot: QtBot) -> PromptSegmentation:
    """The dock on a screen, with every part of every tab to be seen."""
    dock = prompted.dock
    prompted.work.add_class(LONG)
    prompted.work.choose_class("object")
    dock.setStyleSheet(get_stylesheet("dark"))
    dock.resize(420, 700)
    dock.show()
    qtbot.waitExposed(dock)
    dock.study.resolution.show_backbones("", None)
    dock.segment.offer.show_offer(f"Switch to {LONG}", "Turn to what was opened.")
    dock.segment.recovery.show_offer("Restore 3 prompts", "Bring them back.")
    for index in range(dock.tabs.count()):
        dock.tabs.setCurrentIndex(index)
        reveal(dock.tabs.widget(index))
    reveal(dock.status)
    dock.tabs.setCurrentIndex(0)
    return dock


def test_everything_says_what_it_is_and_what_it_does(shown) -> None:
    found = controls(shown)
    assert len(found) > 60
    tips: dict[str, QWidget] = {}
    for widget in found:
        name = name_of(widget)
        assert name, f"{widget} in {[type(one) for one in ancestors(widget)]}"
        if isinstance(widget, QTabBar):
            texts = [widget.tabToolTip(index) for index in range(widget.count())]
        else:
            texts = [widget.toolTip()]
        for text in texts:
            assert len(text) > 15, name
            # Qt breaks the lines of rich text alone.
            assert Qt.mightBeRichText(text), name
            assert text not in tips, (name, text)
            tips[text] = widget
        assert widget.accessibleDescription(), name


def test_numbers_have_units() -> None:
    """Said where the class is written, of every box and bar for a number."""
    from napari_dinoprompt._qt.compare.panel import ComparePanel
    from napari_dinoprompt._qt.segment.result_panel import ResultPanel
    from napari_dinoprompt._qt.study.pages import ConvergencePage
    from napari_dinoprompt.core.masks.cleaning import Cleaning

    words = {"pixels", "cosine", "orders", "often", "threshold"}
    panels = (ResultPanel(Cleaning()), ComparePanel(), ConvergencePage())
    numbers = [
        widget
        for panel in panels
        for widget in controls(panel)
        if isinstance(widget, (QAbstractSpinBox, QAbstractSlider))
    ]
    assert len(numbers) >= 4
    for widget in numbers:
        said = set(re.findall(r"\w+", widget.accessibleDescription()))
        assert said & words, widget.accessibleDescription()


def walk(dock: PromptSegmentation) -> list[QWidget]:
    """Press Tab until it comes round; return what had the keyboard."""
    first = dock.tabs.tabBar()
    first.setFocus()
    seen: list[QWidget] = []
    for _ in range(200):
        at = dock.focusWidget()
        if seen and at is seen[0]:
            return seen
        seen.append(at)
        press(at, Qt.Key.Key_Tab)
    raise AssertionError("Tab does not come round")


def press(widget: QWidget, key: Qt.Key, text: str = "") -> None:
    for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
        event = QKeyEvent(kind, key, Qt.KeyboardModifier.NoModifier, text)
        QApplication.sendEvent(widget, event)


def test_tab_reaches_everything_from_top_to_bottom(shown, qtbot) -> None:
    for tab in range(shown.tabs.count()):
        shown.tabs.setCurrentIndex(tab)
        qtbot.wait(1)
        page = shown.tabs.widget(tab)
        seen = walk(shown)
        whole = {one for widget in seen for one in (widget, widget.parentWidget())}
        missed = [
            (name_of(widget), widget)
            for widget in controls(page)
            if widget.isVisible() and widget.isEnabled() and widget not in whole
        ]
        assert not missed
        check_order([one for one in seen if page.isAncestorOf(one)], page.widget())


def check_order(seen: list[QWidget], page: QWidget) -> None:
    places = [widget.mapTo(page, QPoint(0, 0)) for widget in seen]
    assert len(places) > 5
    for widget, before, after in zip(seen, places, places[1:], strict=False):
        # Below, or beside it in the same row.
        assert after.y() > before.y() - widget.height(), (before, after)
        if abs(after.y() - before.y()) < 4:
            assert after.x() > before.x()


def test_letters_of_a_tab_are_all_different(shown) -> None:
    bar = shown.tabs.tabBar()
    # Tabs have numbers instead: their letters are those of napari's screenshots.
    assert not letters([bar.tabText(i) for i in range(bar.count())])
    napari = {
        str(QKeySequence(str(key)).toString())
        for keys in get_settings().shortcuts.shortcuts.values()
        for key in keys
    } | SCREENSHOTS
    for index in range(bar.count()):
        page = shown.tabs.widget(index)
        texts = [one.text() for one in page.findChildren(QAbstractButton)]
        texts += [one.text() for one in page.findChildren(QLabel) if one.buddy()]
        used = letters(texts)
        assert len(used) == len(set(used)), used
        assert not set(used) & MENUS
        assert not {f"Alt+{letter}" for letter in used} & napari


def letters(texts: list[str]) -> list[str]:
    marks = (re.search(r"&(\w)", text.replace("&&", "")) for text in texts)
    return [mark.group(1).upper() for mark in marks if mark]


def test_an_ampersand_in_a_class_is_no_letter(shown) -> None:
    shown.controller.add_class("A & B")
    chip = shown.prompts.findChild(ClassChip, "A & B")
    assert chip.text().startswith("A && B")
    assert QKeySequence.mnemonic(chip.text()).isEmpty()


def luminance(colour: QColor) -> float:
    parts = np.array([colour.redF(), colour.greenF(), colour.blueF()])
    low, high = parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4
    return float(np.where(parts <= 0.04045, low, high) @ (0.2126, 0.7152, 0.0722))


def contrast(one: QColor, other: QColor) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_focus_is_seen_in_every_theme(shown, qtbot) -> None:
    shown.activateWindow()
    qtbot.waitUntil(shown.isActiveWindow)
    for theme in THEMES:
        shown.setStyleSheet(get_stylesheet(theme))
        ground = QColor(*get_theme(theme).background.as_rgb_tuple()[:3])
        for widget in (shown.prompts._add, shown.image._image, shown.tabs.tabBar()):
            widget.setFocus(Qt.FocusReason.TabFocusReason)
            assert shown._ring.around is widget
            qtbot.wait(1)
            assert contrast(edge_of_ring(shown), ground) >= 4.5
    shown.focusWidget().clearFocus()
    assert shown._ring.around is None


def edge_of_ring(dock: PromptSegmentation) -> QColor:
    ring, picture = dock._ring, dock.grab().toImage()
    edge = ring.mapTo(dock, QPoint(ring.width() // 2, ring.height() - 2))
    return QColor(picture.pixel(edge * picture.devicePixelRatio()))


@pytest.mark.parametrize("theme", THEMES)
def test_words_on_plots_can_be_read(theme) -> None:
    from napari_dinoprompt._qt.study.plot import theme_colours

    colours = theme_colours(theme)
    for key in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color"):
        ground = QColor(colours["axes.facecolor"])
        assert contrast(QColor(colours[key]), ground) >= 4.5


def test_the_chosen_class_is_ticked_and_bold(shown) -> None:
    for name in ("object", "background", LONG):
        chip = shown.prompts.findChild(ClassChip, name)
        chip.click()
        others = [one for one in shown.findChildren(ClassChip) if one is not chip]
        assert chip.font().bold()
        assert not any(one.font().bold() for one in others)
        swatch = chip.icon().pixmap(56, 56).toImage()
        ground, tick = QColor(swatch.pixel(2, 2)), QColor(swatch.pixel(24, 43))
        assert contrast(ground, tick) >= 4.5


def test_chips_sections_and_lists_work_with_keys(shown) -> None:
    chip = shown.prompts.findChild(ClassChip, "background")
    press(chip, Qt.Key.Key_Space)
    assert shown.controller.session.selected_class == "background"
    section = shown.segment.findChild(Section)
    press(section.toggleButton(), Qt.Key.Key_Space)
    assert section.content().isHidden()
    listed = shown.compare.objects._list
    shown.compare.objects._objects = [_Object((1.0, 2.0)), _Object((3.0, 4.0))]
    listed.addItems(["one", "two"])
    gone_to: list[object] = []
    shown.compare.objects.clicked.connect(gone_to.append)
    for key in (Qt.Key.Key_Home, Qt.Key.Key_Down, Qt.Key.Key_Return):
        press(listed, key)
    assert gone_to[-2:] == [(3.0, 4.0), (3.0, 4.0)]
    images = shown.references.apply._images
    images.setCurrentRow(0)
    press(images, Qt.Key.Key_Space, " ")
    assert len(shown.references.apply.images) == 1


class _Object:
    def __init__(self, centre: tuple[float, float]) -> None:
        self.centre = centre


def test_escape_cancels_and_only_then_is_taken(bench, scene, gate, qtbot) -> None:
    bench.add_image(scene.image, name="scene")
    dock = bench.open()
    qtbot.waitUntil(lambda: gate.tiles > 0)
    (escape,) = [
        one for one in dock.findChildren(QShortcut) if one.key().toString() == "Esc"
    ]
    assert escape.context() == Qt.ShortcutContext.WidgetWithChildrenShortcut
    assert escape.isEnabled()
    escape.activated.emit()
    gate.open()
    bench.settle()
    assert "stopped" in bench.hint.lower()
    assert not escape.isEnabled()


def test_nothing_is_cut_off_on_a_small_screen(shown, qtbot) -> None:
    """At 12 points, which are napari's, and in much larger letters."""
    shown.controller.viewer.layers[0].name = LONG * 3
    shown.status.show_hint(f"/data/{LONG.replace(' ', '_') * 5}.tif was not read.")
    for points, widest in ((12, SCREEN[0]), (18, 820)):
        shown.setStyleSheet(get_stylesheet("dark") + _font(points))
        for index in range(shown.tabs.count()):
            # Qt gives a page its font when it comes on show.
            shown.tabs.setCurrentIndex(index)
            qtbot.wait(1)
        needed = shown.minimumSizeHint()
        assert needed.width() <= widest
        assert needed.height() <= SCREEN[1]
        shown.resize(needed.width(), SCREEN[1])
        for index in range(shown.tabs.count()):
            shown.tabs.setCurrentIndex(index)
            qtbot.wait(1)
            check_edges(shown.tabs.widget(index))


def check_edges(page: QScrollArea) -> None:
    width = page.viewport().width()
    assert page.widget().width() <= width
    for widget in controls(page):
        if widget.isVisible():
            right = widget.mapTo(page.viewport(), QPoint(widget.width(), 0)).x()
            assert right <= width, name_of(widget)


def _font(points: int) -> str:
    return f"\nQWidget {{ font-size: {points}pt; }}"


def test_a_long_name_is_cut_and_whole_in_the_tooltip(qtbot) -> None:
    label = ElidedLabel()
    qtbot.addWidget(label)
    label.resize(120, 20)
    label.show_text(LONG, f"/data/<b>/{LONG}")
    assert "…" in QLabel.text(label)
    assert label.text() == LONG
    assert "&lt;b&gt;" in label.toolTip()


def test_messages_are_wrapped_and_copied_whole(qtbot) -> None:
    path = "/data/" + "_".join(["very", "long"] * 30) + ".tif"
    label = MessageLabel("what to do next")
    qtbot.addWidget(label)
    label.setText(f"{path} cannot be read: choose another file.")
    assert label.text() == f"{path} cannot be read: choose another file."
    assert label.minimumSizeHint().width() < 250
    label.copy()
    clipboard = QGuiApplication.clipboard()
    assert clipboard.text() == label.text()
    label.setSelection(0, 80)
    label.copy()
    assert clipboard.text() == path[: len(clipboard.text())]
    assert 40 < len(clipboard.text()) < 80
