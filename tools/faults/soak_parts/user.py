"""The hands of a user who does everything that the dock offers, and does not wait."""

from __future__ import annotations

import faulthandler
import random
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Points
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QInputDialog,
    QListWidget,
    QMessageBox,
    QPushButton,
    QWidget,
)

from napari_dinoprompt._qt.common.layer_boxes import LayerBox, LayerChecklist
from napari_dinoprompt._qt.dock import PromptSegmentation

if TYPE_CHECKING:
    from pathlib import Path

    import napari


_WAITS_S = (0, 0, 0.02, 0.1, 0.4, 1.5)
_PATIENCE_S = 400
_REFERENCES = 6


class User:
    """Acts at random; each act goes through a widget or a layer, as a user's would.

    Parameters
    ----------
    viewer : napari.Viewer
        With the images opened.
    folder : Path
        Where layers and results are saved.
    seed : int
    """

    def __init__(self, viewer: napari.Viewer, folder: Path, seed: int) -> None:
        self.viewer = viewer
        self.folder = folder
        self.dice = random.Random(seed)
        self.images = [layer for layer in viewer.layers if isinstance(layer, Image)]
        self.done: Counter[str] = Counter()
        self.passed: Counter[str] = Counter()
        self.last = "nothing"
        self._saved = 0
        self.dock: PromptSegmentation
        self._open_dock()
        weights = {
            self.click: 30,
            self.drag: 8,
            self.delete_prompt: 6,
            self.undo: 8,
            self.threshold: 8,
            self.automatic: 2,
            self.clean: 3,
            self.switch_image: 8,
            self.scroll: 6,
            self.look_around: 6,
            self.upscale: 2,
            self.cancel: 6,
            self.turn_tab: 6,
            self.save_reference: 2,
            self.apply: 3,
            self.compare: 2,
            self.study: 3,
            self.all_planes: 2,
            self.clear: 1,
            self.delete_result: 2,
            self.save_layers: 1,
            self.renew_image: 1,
            self.dock_again: 1,
        }
        self._acts = list(weights)
        self._weights = list(weights.values())

    # --- what is done ------------------------------------------------------------

    def act(self) -> None:
        """Do something, and wait a moment or not at all."""
        (what,) = self.dice.choices(self._acts, self._weights)
        self.last = what.__name__
        counted = self.done if what() else self.passed
        counted[self.last] += 1
        self.wait(self.dice.choice(_WAITS_S))

    def wait(self, seconds: float) -> None:
        """Let the window live; unlike `processEvents`, also remove what it deletes."""
        QTest.qWait(max(1, round(seconds * 1000)))

    def settle(self) -> float:
        """Wait until nothing is under way; return the seconds.

        The large image takes minutes, so one turns away from it.
        """
        large = self._named("large")
        if self._image() is large:
            self.dock.image.image_requested.emit(self.images[0])
        if self.dock.controller.stacks.running:
            self.dock.controller.stacks.cancel()
        began = monotonic()
        while self.busy:
            if monotonic() - began > _PATIENCE_S:
                faulthandler.dump_traceback(all_threads=True)
                msg = f"work does not come to an end after {self.last}"
                raise TimeoutError(msg)
            self.wait(0.01)
        return monotonic() - began

    @property
    def busy(self) -> bool:
        return bool(self.dock.controller.working)

    # --- the segment tab ---------------------------------------------------------

    def click(self) -> bool:
        prompts, image = self._prompts(), self._image()
        if prompts is None or image is None or len(prompts.data) > 60:
            return False
        kinds = ("object", "object", "object", "background")
        self.dock.prompts.class_requested.emit(self.dice.choice(kinds))
        shape = image.data.shape[:2] if image.rgb else image.data.shape
        # Planes of the stack are seldom all wanted: most prompts go where one looks.
        place = [self.dice.uniform(0, side - 1) for side in shape]
        world = image.data_to_world(place)
        prompts.add(prompts.world_to_data(world))
        return True

    def drag(self) -> bool:
        prompts = self._prompts()
        if prompts is None or not len(prompts.data):
            return False
        data = np.array(prompts.data)
        data[self.dice.randrange(len(data)), -2:] += self.dice.uniform(-9, 9)
        prompts.data = data
        return True

    def delete_prompt(self) -> bool:
        prompts = self._prompts()
        if prompts is None or not len(prompts.data):
            return False
        prompts.selected_data = {self.dice.randrange(len(prompts.data))}
        prompts.remove_selected()
        return True

    def undo(self) -> bool:
        return self._press("Undo", "Segment")

    def clear(self) -> bool:
        return self._press("Clear", "Segment")

    def cancel(self) -> bool:
        return self._press("Cancel")

    def threshold(self) -> bool:
        self.dock.result.threshold_requested.emit(self.dice.uniform(0.1, 0.9))
        return True

    def automatic(self) -> bool:
        self.dock.result.threshold_requested.emit(None)
        return True

    def clean(self) -> bool:
        boxes = self.dock.result.findChildren(QCheckBox)
        if not boxes:
            return False
        self.dice.choice(boxes).click()
        return True

    def switch_image(self) -> bool:
        self.dock.image.image_requested.emit(self.dice.choice(self.images))
        return True

    def upscale(self) -> bool:
        boxes = self.dock.image.findChildren(QComboBox)
        scales = [box for box in boxes if "×" in box.currentText()]
        if not scales or self._image() is self._named("large"):
            return False
        index = self.dice.randrange(min(2, scales[0].count()))
        scales[0].setCurrentIndex(index)
        scales[0].activated.emit(index)
        return True

    def all_planes(self) -> bool:
        return self._press("All planes", "Segment")

    # --- the other tabs ----------------------------------------------------------

    def turn_tab(self) -> bool:
        self.dock.tabs.setCurrentIndex(self.dice.randrange(self.dock.tabs.count()))
        return True

    def save_reference(self) -> bool:
        self._turn("References")
        shown = self.dock.references.findChildren(QListWidget)[0]
        if shown.count() >= _REFERENCES:
            shown.setCurrentRow(0)
            return self._press("Remove…", "References")
        return self._press("Save prompts as reference…", "References")

    def apply(self) -> bool:
        self._turn("References")
        shown = self.dock.references.findChildren(QListWidget)[0]
        if not shown.count():
            return False
        shown.setCurrentRow(self.dice.randrange(shown.count()))
        self._tick(self.dock.references, self.dice.sample(self.images[:5], 2))
        return self._press("Apply", "References")

    def compare(self) -> bool:
        self._turn("Compare")
        real, fakes = self._named("real"), [self._named("fake")]
        if not {real, *fakes} <= set(self.viewer.layers):
            return False
        box = self.dock.compare.findChildren(LayerBox)[0]
        box.choose(real)
        box.chosen.emit()
        self._tick(self.dock.compare, fakes)
        return self._press("Compare", "Compare")

    def study(self) -> bool:
        self._turn("Study")
        return self._press("Run", "Study")

    # --- layers and window -------------------------------------------------------

    def scroll(self) -> bool:
        if self.viewer.dims.ndim < 3:
            return False
        self.viewer.dims.set_current_step(0, self.dice.randrange(6))
        return True

    def look_around(self) -> bool:
        camera = self.viewer.camera
        camera.zoom = self.dice.choice((0.1, 0.5, 1.0, 2.0, 4.0))
        reach = self.dice.choice((200, 200, 8_000))
        camera.center = (0, self.dice.uniform(0, reach), self.dice.uniform(0, reach))
        return True

    def delete_result(self) -> bool:
        mine = [
            layer
            for layer in self.viewer.layers
            if layer not in self.images and not isinstance(layer, Points)
        ]
        if not mine:
            return False
        self.viewer.layers.remove(self.dice.choice(mine))
        return True

    def save_layers(self) -> bool:
        """Save a mask and the prompts, over what was saved before."""
        state = self.dock.controller.session.current
        if state is None or state.mask is None or state.image is self._named("large"):
            return False
        mask = state.mask
        if mask not in self.viewer.layers:
            return False
        self._saved += 1
        mask.save(str(self.folder / f"mask-{self._saved % 3}.tif"))
        if state.prompts is not None and len(state.prompts.data):
            state.prompts.save(str(self.folder / "prompts.csv"))
        return True

    def renew_image(self) -> bool:
        """Remove an image, and open it again as another layer."""
        old = self.dice.choice(self.images[:4])
        if old not in self.viewer.layers:
            return False
        new = Image(old.data, name=old.name, rgb=old.rgb)
        self.images[self.images.index(old)] = new
        self.viewer.layers.remove(old)
        self.viewer.add_layer(new)
        return True

    def dock_again(self) -> bool:
        """Close the dock, whatever it is doing, and open another."""
        self.viewer.window.remove_dock_widget(self.dock)
        self.wait(0.05)
        self._open_dock()
        return True

    # --- hands -------------------------------------------------------------------

    def _open_dock(self) -> None:
        self.dock = PromptSegmentation(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="Prompt segmentation")

    def _prompts(self) -> Points | None:
        state = self.dock.controller.session.current
        return None if state is None else state.prompts

    def _image(self) -> Image | None:
        state = self.dock.controller.session.current
        return None if state is None else state.image

    def _named(self, name: str) -> Image:
        return next(image for image in self.images if image.name == name)

    def _turn(self, title: str) -> None:
        tabs = self.dock.tabs
        texts = [tabs.tabText(i).replace("&", "") for i in range(tabs.count())]
        tabs.setCurrentIndex(texts.index(title))
        QApplication.processEvents()

    def _tick(self, tab: QWidget, images: list[Image]) -> None:
        tab.findChildren(LayerChecklist)[0].tick(images)
        QApplication.processEvents()

    def _press(self, text: str, tab: str = "") -> bool:
        """Press a button if it is there and can be pressed; answer what it asks."""
        if tab:
            self._turn(tab)
        for button in self.dock.findChildren(QPushButton):
            if button.text().replace("&", "") != text or not button.isVisible():
                continue
            if not button.isEnabled():
                return False
            self._answer()
            button.click()
            return True
        return False

    def _answer(self) -> None:
        """Answer dialogs before they are asked: they would wait for ever."""
        name = f"reference {self.dice.randrange(1000)}"
        QInputDialog.getText = staticmethod(  # type: ignore[method-assign]
            lambda *_, **__: (name, True)
        )
        yes = QMessageBox.StandardButton.Yes
        QMessageBox.question = staticmethod(  # type: ignore[method-assign]
            lambda *_, **__: yes
        )
