"""The road of the dock: napari's own Open, then what a user presses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from napari import Viewer
from napari.layers import Image, Labels, Points
from napari.utils.notifications import notification_manager
from napari_dinoprompt._qt.common.window_box import WindowChoice
from qtpy.QtWidgets import QApplication

from napari_dinoprompt import layers
from napari_dinoprompt._qt.compare.panel import CompareRequest
from napari_dinoprompt._qt.dock import PromptSegmentation
from situation_parts.contents import Situation, grey, prompts
from situation_parts.roads import Ground, Seen

if TYPE_CHECKING:
    from pathlib import Path


class Dock:
    """A viewer with the dock."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.viewer = Viewer(show=False)
        self.dock = PromptSegmentation(self.viewer)
        self.work = self.dock.controller
        self.said: list[str] = []
        notification_manager.notification_ready.connect(self._hear)

    def _hear(self, notification: Any) -> None:
        self.said.append(str(notification.message))

    def settle(self) -> None:
        """Wait until all is done."""
        application = QApplication.instance()
        assert application is not None
        until = time.monotonic() + 0.05
        while time.monotonic() < until or self.work.working:
            application.processEvents()
            time.sleep(0.005)

    def clear(self) -> None:
        """Close all layers."""
        self.viewer.layers.clear()
        self.settle()
        self.said.clear()
        self.work.session.said = self.work.session.message = ""

    def walk(self, situation: Situation, path: Path) -> Seen:
        """Open the file and use it as a user does."""
        self.clear()
        if path.is_fifo():
            return Seen(None, "not tried: napari itself waits for a pipe", refused=True)
        like = "grey8" if situation.like in ("binary", "none") else situation.like
        if situation.role != "image":
            self.viewer.add_image(grey(), name="real")
        if path.is_dir() and situation.name.startswith("folder"):
            path = path / "image.tif"
        try:
            opened = self.viewer.open(path, plugin="napari")
        except Exception as error:  # noqa: BLE001 - napari's own readers
            said = str(error).strip().splitlines() or [type(error).__name__]
            return Seen(None, f"napari cannot open it: {said[0][:120]}", refused=True)
        if not opened:
            return Seen(None, "napari opens no layer", refused=True)
        seen = getattr(self, f"_{situation.role}")(situation, opened[-1], like)
        lines = [*self.said, seen.said]
        return Seen(
            seen.found, "\n".join(one for one in lines if one.strip()), seen.refused
        )

    def _image(self, situation: Situation, layer: Any, like: str) -> Seen:
        if not isinstance(layer, Image):
            return Seen(None, f"napari opens it as {type(layer).__name__}", True)
        self.work.choose_image(layer)
        self.settle()
        if situation.plane is not None:
            self.viewer.dims.set_point(
                range(layer.ndim - 2),
                np.unravel_index(situation.plane, layers.stack_shape(layer)),
            )
            self.settle()
        self.work.tab_jobs.applying.apply(
            self.ground.reference(like), [layer], WindowChoice(), all_planes=False
        )
        self.settle()
        found = layers.find_owned(self.viewer.layers, layer, "applied mask")
        session = self.work.session
        trouble = session.message
        if found is None:
            return Seen(None, session.said or trouble, bool(session.said or trouble))
        told = session.said.split(". ", 1)[1:] if ". " in session.said else []
        mask = np.asarray(found.data)
        if layers.stack_shape(layer) and situation.plane is None:
            mask = mask[layers.plane_in_view(self.viewer, layer)]
        return Seen(mask, " ".join(told))

    def _compare(self, fake: Any, truth: Any) -> Seen:
        job = self.work.tab_jobs.comparing
        real = self.viewer.layers["real"]
        request = CompareRequest(
            self.ground.reference("grey8"),
            real,
            [fake],
            None,
            truth,
            WindowChoice(),
            None,
            0,
        )
        job.compare(request)
        self.settle()
        if job.comparison is None:
            return Seen(None, job.message, refused=True)
        return Seen(float(job.comparison.table[-1]["iou"]), job.message)

    def _fake(self, _situation: Situation, layer: Any, _like: str) -> Seen:
        return self._compare(layer, None)

    def _truth(self, _situation: Situation, layer: Any, _like: str) -> Seen:
        fake = self.viewer.add_image(grey(1), name="fake")
        offered = getattr(layers, "truth_layers", _labels_only)(self.viewer.layers)
        if not any(layer is one for one in offered):
            return Seen(None, "not offered as truth", refused=True)
        return self._compare(fake, layer)

    def _points(self, _situation: Situation, layer: Any, _like: str) -> Seen:
        real = self.viewer.layers["real"]
        self.work.choose_image(real)
        self.settle()
        if not isinstance(layer, Points) or not layers.can_prompt(layer, real):
            return Seen(None, "not offered as prompts", refused=True)
        self.work.choose_prompts(layer)
        self.settle()
        state = self.work.session.current
        assert state is not None
        if state.mask is None:
            return Seen(None, self.dock.status.hint, refused=True)
        return Seen(np.asarray(state.mask.data), "")

    def _spacing(self, _situation: Situation, _layer: Any, _like: str) -> Seen:
        # The dock takes the scale of the layer, which the user sees.
        return Seen(None, "the dock takes the scale of the layer", refused=True)


def _labels_only(stack: Any) -> list[Any]:
    return [layer for layer in stack if isinstance(layer, Labels)]


__all__ = ["Dock", "prompts"]
