"""Fixtures of the qt tier: the real dock on a viewer model, without a canvas."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points
from qtpy.QtCore import QThreadPool
from qtpy.QtWidgets import (
    QInputDialog,
    QLabel,
    QMessageBox,
    QPushButton,
    QToolButton,
)
from scipy import ndimage as ndi
from skimage.draw import disk

from napari_dinoprompt import layers
from napari_dinoprompt._qt.dock import PromptSegmentation
from napari_dinoprompt.core.backbones import filterbank
from napari_dinoprompt.core.tiling.tiles import TilePlan, plan_abutting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from pytestqt.qtbot import QtBot

    from napari_dinoprompt._qt.controller import Controller
    from napari_dinoprompt.session.image_state import ImageState

WAIT_MS = 20_000


@dataclass(frozen=True)
class Scene:
    """Bright discs, dim larger ones, and a bright bar, on dark noise."""

    image: NDArray[np.uint8]
    bright: NDArray[np.float64]
    dim: NDArray[np.float64]
    bar: tuple[float, float]
    empty: tuple[float, float]


def draw_scene(seed: int = 0, shape: tuple[int, int] = (96, 120)) -> Scene:
    rng = np.random.default_rng(seed)
    bright = np.array([(15, 15), (15, 45), (40, 20), (65, 15), (45, 50)], float)
    dim = np.array([(20, 80), (50, 85), (20, 108)], float)
    clean = np.zeros(shape)
    for centre in bright:
        clean[disk(centre, 6, shape=shape)] = 1.0
    for centre in dim:
        clean[disk(centre, 9, shape=shape)] = 0.45
    clean[84:90, 20:100] = 1.0
    noisy = 20 + 180 * ndi.gaussian_filter(clean, 1.0) + rng.normal(0, 4, shape)
    return Scene(
        noisy.clip(0, 255).astype(np.uint8), bright, dim, (87.0, 60.0), (70.0, 60.0)
    )


@dataclass
class Bench:
    """A viewer with the dock, and the hands of a user."""

    qtbot: QtBot
    viewer: ViewerModel
    docks: list[PromptSegmentation] = field(default_factory=list)

    def open(self) -> PromptSegmentation:
        """Open a dock, and another one each time."""
        dock = PromptSegmentation(self.viewer)
        self.docks.append(dock)
        return dock

    def close(self) -> None:
        """Close all docks as a window does it, and forget them."""
        for dock in self.docks:
            dock.deleteLater()
        self.docks.clear()
        self.qtbot.wait(1)

    @property
    def dock(self) -> PromptSegmentation:
        return self.docks[0]

    @property
    def work(self) -> Controller:
        return self.dock.controller

    @property
    def state(self) -> ImageState:
        state = self.work.session.current
        assert state is not None
        return state

    @property
    def hint(self) -> str:
        return self.dock.status.hint

    @property
    def prompts(self) -> Points:
        assert self.state.prompts is not None
        return self.state.prompts

    @property
    def mask_layer(self) -> Labels:
        assert self.state.mask is not None
        assert self.state.mask in self.viewer.layers
        return self.state.mask

    @property
    def similarity_layer(self) -> Image:
        assert self.state.similarity is not None
        assert self.state.similarity in self.viewer.layers
        return self.state.similarity

    @property
    def mask(self) -> NDArray[np.integer]:
        return np.array(self.mask_layer.data)

    def found(self, where: object) -> list[int]:
        """Return the mask at pixels."""
        rows, columns = np.asarray(where, dtype=int).reshape(-1, 2).T
        return [int(value) for value in self.mask[rows, columns]]

    def settle(self) -> None:
        """Wait until all is computed and shown."""
        self.qtbot.waitUntil(lambda: not self.work.working, timeout=WAIT_MS)

    def add_image(self, data: object, **options: object) -> Image:
        # Above a prompts layer, as a user's own image would come.
        layer = Image(data, **options)
        self.viewer.layers.append(layer)
        return layer

    def choose(self, image: Image, dock: PromptSegmentation | None = None) -> None:
        """Choose an image in the dock."""
        box = (dock or self.dock).image._image
        index = self.work.images().index(image)
        box.setCurrentIndex(index)
        box.activated.emit(index)

    def click(self, where: object, kind: str | None = None) -> None:
        """Click on pixels of the image, as prompts of a class."""
        if kind is not None:
            self.chip(kind).click()
        pixels = np.asarray(where, dtype=float).reshape(-1, 2)
        if not len(pixels):
            return
        points = layers.points_from_pixels(pixels, self.prompts, self.state.image)
        for point in points:
            self.prompts.add(point)
        self.settle()

    def chip(self, name: str) -> QToolButton:
        found = self.dock.prompts.findChild(QToolButton, name)
        assert found is not None, f"no chip {name}"
        return found

    def press(self, text: str) -> None:
        self.button(text).click()
        self.settle()

    def button(self, text: str) -> QPushButton:
        (found,) = [
            button
            for place in (self.dock.status, self.dock.tabs.currentWidget())
            for button in place.findChildren(QPushButton)
            if button.text().replace("&", "") == text
        ]
        return found

    def shows(self, text: str) -> bool:
        """Tell whether a label with a text is not hidden in the dock."""
        return any(
            text in label.text() and not label.isHidden()
            for label in self.dock.findChildren(QLabel)
        )

    def choose_backbone(self, name: str) -> None:
        box = self.dock.image._backbone
        box.setCurrentText(name)
        box.activated.emit(box.currentIndex())

    def choose_upscale(self, text: str) -> None:
        box = self.dock.image._upscale
        box.setCurrentText(text)
        box.activated.emit(box.currentIndex())

    @property
    def upscale_shown(self) -> str:
        return str(self.dock.image._upscale.currentText())

    def choose_checkpoint(self, path: object) -> None:
        """Put a path into the field, as its button does with what was chosen."""
        self.dock.image._advanced._checkpoint.line_edit.native.setText(str(path))
        self.settle()

    @property
    def checkpoint_shown(self) -> str:
        line = self.dock.image._advanced._checkpoint.line_edit.native
        return str(line.text())

    @property
    def backbone_shown(self) -> str:
        return str(self.dock.image._backbone.currentText())

    def drag_threshold(self, value: float) -> None:
        self.dock.result._slider.setValue(value)

    @property
    def threshold_shown(self) -> float:
        return float(self.dock.result._slider.value())

    def set_auto(self, auto: bool) -> None:
        self.dock.result._auto.setChecked(auto)

    @property
    def auto_shown(self) -> bool:
        return bool(self.dock.result._auto.isChecked())

    def choose_map(self, kind: str) -> None:
        """Choose what the map shows: fitted or plain."""
        box = self.dock.result._kind
        box.setCurrentText(kind)
        box.textActivated.emit(kind)
        self.settle()

    def turn_to(self, tab: str) -> None:
        """Turn to a tab of the dock."""
        bar = self.dock.tabs
        titles = [bar.tabText(i).replace("&", "") for i in range(bar.count())]
        bar.setCurrentIndex(titles.index(tab))
        self.settle()

    def library_lines(self) -> list[str]:
        """Return the names in the list of references."""
        shown = self.dock.references.library._list
        lines = [shown.item(row).text() for row in range(shown.count())]
        return [line.partition("\n")[0] for line in lines]

    def select(self, name: str) -> None:
        """Select a reference in the list."""
        names = self.library_lines()
        self.dock.references.library._list.setCurrentRow(names.index(name))

    def applied(self, image: Image, kind: str) -> NDArray[np.generic]:
        """Return what an applied reference found on an image."""
        layer = layers.find_owned(self.viewer.layers, image, f"applied {kind}")
        assert layer is not None
        return np.array(layer.data)

    def clean(self, **options: object) -> None:
        """Set cleaning in the dock: min_size, fill or split."""
        for name, value in options.items():
            getattr(self.dock.result, f"_{name}").value = value
        self.settle()


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the library, of this test alone."""
    folder = tmp_path / "library"
    monkeypatch.setenv("DINOPROMPT_LIBRARY", str(folder))
    return folder


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Answer the dialogs that will be asked for names, and yes to questions."""

    def prepare(text: str = "", *, accepted: bool = True) -> None:
        monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: (text, accepted))
        button = QMessageBox.StandardButton
        given = button.Yes if accepted else button.No
        monkeypatch.setattr(QMessageBox, "question", lambda *_, **__: given)

    return prepare


@pytest.fixture
def scene() -> Scene:
    return draw_scene()


@pytest.fixture
def other_scene() -> Scene:
    """Another picture of the same kind of things, mirrored."""
    scene = draw_scene(seed=1)
    return Scene(
        np.ascontiguousarray(scene.image[:, ::-1]),
        scene.bright * (1, -1) + (0, 119),
        scene.dim * (1, -1) + (0, 119),
        (87.0, 59.0),
        (70.0, 59.0),
    )


@pytest.fixture
def bench(qtbot: QtBot) -> Iterator[Bench]:
    """A viewer without images and without docks."""
    bench = Bench(qtbot, ViewerModel())
    yield bench
    for dock in bench.docks:
        dock.controller.stop()
    bench.close()
    assert QThreadPool.globalInstance().waitForDone(WAIT_MS)
    # What finished threads have posted is delivered while its receivers are there.
    qtbot.wait(1)


@pytest.fixture
def ready(bench: Bench, scene: Scene) -> Bench:
    """The dock on the scene, its features computed."""
    bench.add_image(scene.image, name="scene")
    bench.open()
    bench.settle()
    return bench


@pytest.fixture
def prompted(ready: Bench, scene: Scene) -> Bench:
    """The same with two prompts on bright discs."""
    ready.click(scene.bright[:2])
    return ready


@dataclass
class Gate:
    """Holds the filter bank up before each tile until it is opened."""

    opened: threading.Event = field(default_factory=threading.Event)
    tiles: int = 0

    def open(self) -> None:
        self.opened.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """The real filter bank on many small tiles, each of which waits for the gate."""
    gate = Gate()

    class Gated(filterbank.FilterBank):
        def plan(self, grid: tuple[int, int]) -> TilePlan:
            halo, align = filterbank._HALO, filterbank._ALIGN
            return plan_abutting(grid, size=24, halo=halo, align=align)

        def __call__(self, batch: object) -> object:
            gate.tiles += 1
            assert gate.opened.wait(WAIT_MS / 1000)
            return super().__call__(batch)

    monkeypatch.setattr(filterbank, "FilterBank", Gated)
    yield gate
    gate.open()


@pytest.fixture
def toy_file(tmp_path):
    from safetensors.torch import save_file

    from napari_dinoprompt.core.backbones.vit import import_timm

    model = import_timm().create_model("test_vit", num_classes=0)
    path = tmp_path / "test_vit.safetensors"
    save_file(model.state_dict(), path)
    return path


@pytest.fixture
def idle(qtbot: QtBot) -> Callable[[], None]:
    """Wait until no thread works any more, and all it said was heard."""

    def wait() -> None:
        pool = QThreadPool.globalInstance()
        qtbot.waitUntil(lambda: pool.activeThreadCount() == 0, timeout=WAIT_MS)
        qtbot.wait(5)

    return wait
