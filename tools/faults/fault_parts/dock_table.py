"""A window with the dock, and the hands of a user, for programs of their own."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from time import monotonic

import napari
import numpy as np
from napari.utils.notifications import NotificationSeverity, notification_manager
from qtpy.QtCore import QThreadPool
from qtpy.QtWidgets import QApplication

sys.path.insert(0, str(Path(__file__).parents[1]))
from typing import TYPE_CHECKING

from fault_parts.inputs import centres, draw
from napari_dinoprompt._qt.dock import PromptSegmentation
from napari_dinoprompt.core.backbones.load import BackboneChoice
from napari_dinoprompt.session.image_state import FeatureRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Layer

LONGEST_S = 60.0
# The stand-in for the hub is in the same process.
_OF_THE_HUB = ("serve_forever", "process_request_thread")


class Table:
    """A viewer with images and the dock.

    Parameters
    ----------
    side : int
        Of the images, in pixels.
    planes : int
        Of the image to work on; 0 is one of two dimensions.
    """

    def __init__(self, side: int, planes: int = 0) -> None:
        self.side, self.planes = side, planes
        self.viewer = napari.Viewer(show=True)
        self.other = self.add("other", draw(5, (160, 180)))
        self.image = self.add_subject()
        self.fake = self.add("fake", draw(2, (side, side)))
        self.dock: PromptSegmentation | None = None
        self.open_dock()

    def add(self, name: str, data: np.ndarray) -> Image:
        """Open an image."""
        return self.viewer.add_image(data, name=name, contrast_limits=(0, 255))

    def add_subject(self) -> Image:
        """Open the image that is worked on, once more."""
        shape = (self.side, self.side)
        if not self.planes:
            return self.add("subject", draw(1, shape))
        return self.add(
            "subject", np.stack([draw(seed, shape) for seed in range(self.planes)])
        )

    def open_dock(self) -> PromptSegmentation:
        """Open a dock."""
        self.dock = PromptSegmentation(self.viewer)
        self.viewer.window.add_dock_widget(self.dock)
        choice = BackboneChoice("filterbank", device="cpu")
        self.dock.controller.features.choose(FeatureRequest(choice, 1.0))
        return self.dock

    def close_dock(self) -> None:
        """Close it, as its cross does when napari forgets it."""
        self.viewer.window.remove_dock_widget(self.dock)
        self.dock = None

    @property
    def work(self):
        """The controller."""
        assert self.dock is not None
        return self.dock.controller

    @property
    def state(self):
        """What is known of the image in view."""
        return self.work.session.current

    @property
    def working(self) -> bool:
        """Whether the dock computes anything."""
        busy = self.dock is not None and self.work.working
        fetching = self.dock is not None and self.dock.weights.fetching
        return busy or fetching

    def let_pass(self, seconds: float) -> None:
        """Let the window live for a while."""
        end = monotonic() + seconds
        while True:
            QApplication.processEvents()
            if monotonic() >= end:
                return

    def settle(self) -> float:
        """Wait until nothing is computed, and no thread is at it; tell how long."""
        began = monotonic()
        self.wait_until(lambda: not self.working)
        pool = QThreadPool.globalInstance()
        self.wait_until(lambda: pool.activeThreadCount() == 0)
        # The autosave is a thread of its own, which comes and goes.
        self.wait_until(lambda: not own_threads())
        self.let_pass(0.02)
        return monotonic() - began

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        end = monotonic() + LONGEST_S
        while not done():
            QApplication.processEvents()
            if monotonic() > end:
                raise TimeoutError("it does not come to an end")

    def prompts(self, count: int = 4) -> np.ndarray:
        """Where objects of the subject are, y and x."""
        return centres((self.side, self.side))[:count]

    def place(self, count: int = 4) -> None:
        """Place prompts on the subject."""
        points = self.prompts(count)
        self.work.place_prompts(points, ["object"] * len(points))

    def make_ready(self) -> None:
        """Have dock, image, prompts and results as at the beginning."""
        if self.dock is None:
            self.open_dock()
        if self.image not in self.viewer.layers:
            self.image = self.add_subject()
        self.let_pass(0.02)
        self.work.choose_image(self.image)
        self.work.add_prompts()
        self.settle()
        if self.state is None or not len(self.state.snapshot.points):
            self.place()
        self.settle()

    def owned_by(self, image: Image) -> list[Layer]:
        """Return the layers that were made for an image."""
        mark = str(image.unique_id)
        return [
            layer
            for layer in self.viewer.layers
            if mark in str(layer.metadata.get("napari-dinoprompt", layer.metadata))
        ]


def alarms() -> list[str]:
    """Return what napari was told of errors."""
    return [
        f"napari was told: {record.message}"
        for record in notification_manager.records
        if record.severity >= NotificationSeverity.ERROR
    ]


def own_threads() -> list[str]:
    """Name the threads of Python that are not always there."""
    return [
        thread.name
        for thread in threading.enumerate()
        if thread is not threading.main_thread()
        and not thread.daemon
        and not any(word in thread.name for word in _OF_THE_HUB)
    ]
