"""Inside napari: says where things are on the screen, and how good the mask is.

It reads and never acts, except for opening the image: all input comes from outside,
through the mouse and the keyboard. ``python watch.py STATE [IMAGE]`` writes a JSON file
several times a second.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Image, Labels, Points
from qtpy.QtCore import QPoint, QTimer
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QMenu,
    QMenuBar,
    QWidget,
)

_EVERY_MS = 100
_OWNER = "napari-dinoprompt"


class Watch:
    """Writes what a user could see into a file."""

    def __init__(self, viewer: napari.Viewer, file: Path, truth: Path) -> None:
        self._viewer = viewer
        self._file = file
        self._truth_file = truth
        self._truth: Any = None
        self._measured: tuple[float, int] | None = None
        self._iou = 0.0
        self._timer = QTimer()
        self._timer.timeout.connect(self._write)
        self._timer.start(_EVERY_MS)

    def _write(self) -> None:
        found = {
            "time": time.time(),
            "widgets": _widgets(),
            "menus": _menus(),
            "iou": self._measure(),
            **self._look(),
        }
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.replace(self._file)

    def _measure(self) -> float:
        """Compare the mask with the truth, once whenever either is another one."""
        mask = _owned(self._viewer, "mask", Labels)
        if self._truth is None and self._truth_file.exists():
            self._truth = np.load(self._truth_file)
        if mask is None or self._truth is None:
            return 0.0
        found = np.asarray(mask.data) > 0
        key = (float(found.sum()), hash(found.tobytes()))
        if key != self._measured:
            self._measured = key
            both = (found & self._truth).sum()
            self._iou = float(both / max(1, (found | self._truth).sum()))
        return self._iou

    def _look(self) -> dict[str, Any]:
        images = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image) and _OWNER not in layer.metadata
        ]
        prompts = _owned(self._viewer, "prompts", Points)
        docks = self._viewer.window.dock_widgets.values()
        work = next((d.controller for d in docks if hasattr(d, "controller")), None)
        session = None if work is None else work.session
        canvas = next(
            (
                w
                for w in QApplication.allWidgets()
                if "CanvasBackend" in type(w).__name__
            ),
            None,
        )
        place: dict[str, Any] = {}
        if canvas is not None:
            corner = canvas.mapToGlobal(QPoint(0, 0))
            camera = self._viewer.scene.camera
            place = {
                "corner": (corner.x(), corner.y()),
                "size": (canvas.width(), canvas.height()),
                "centre": [float(at) for at in camera.center[-2:]],
                "zoom": float(camera.zoom),
            }
        return {
            "canvas": place,
            "images": [image.name for image in images],
            "prompts": 0 if prompts is None else len(prompts.data),
            "dock": work is not None,
            "working": work is not None and work.working,
            "hint": "" if session is None else session.hint(),
            "phase": "" if session is None else session.phase.value,
            "backbone": "" if session is None else session.request.backbone.name,
            "checkpoint": None
            if session is None
            else session.request.backbone.checkpoint,
        }


def _owned(viewer: napari.Viewer, role: str, kind: type) -> Any:
    for layer in viewer.layers:
        noted = layer.metadata.get(_OWNER, {})
        if isinstance(layer, kind) and noted.get("role") == role:
            return layer
    return None


def _widgets() -> list[dict[str, Any]]:
    """Return what can be named and is on show: where the middle of its seen part is."""
    found = []
    for widget in QApplication.allWidgets():
        if not widget.isVisible() or not isinstance(
            widget, QAbstractButton | QComboBox | QLineEdit | QLabel
        ):
            continue
        text = widget.text() if hasattr(widget, "text") else widget.currentText()
        seen = widget.visibleRegion().boundingRect()
        whole = seen.height() >= 0.8 * widget.height() and seen.width() > 0
        middle = widget.mapToGlobal(seen.center() if whole else widget.rect().center())
        found.append(
            {
                "kind": type(widget).__mro__[0].__name__,
                "name": widget.accessibleName() or _label(widget),
                "text": text.replace("&", ""),
                "at": (middle.x(), middle.y()),
                "left": widget.mapToGlobal(QPoint(12, 0)).x(),
                "seen": whole,
            }
        )
    return found


def _label(widget: QWidget) -> str:
    """Return the text of the label beside a widget, if one names it."""
    parent = widget.parentWidget()
    if parent is None:
        return ""
    return next(
        (
            one.text().replace("&", "")
            for one in parent.findChildren(QLabel)
            if one.buddy() is widget
        ),
        "",
    )


def _menus() -> list[dict[str, Any]]:
    """Return the entries of the menu bar and of the menus that are open."""
    found = []
    for menu in QApplication.allWidgets():
        if not isinstance(menu, QMenuBar | QMenu) or not menu.isVisible():
            continue
        for action in menu.actions():
            box = menu.actionGeometry(action)
            if action.isVisible() and not box.isEmpty():
                at = menu.mapToGlobal(box.center())
                text = action.text().replace("&", "")
                found.append(
                    {
                        "text": text,
                        "at": (at.x(), at.y()),
                        "bar": isinstance(menu, QMenuBar),
                    }
                )
    return found


def main() -> None:
    state, truth = Path(sys.argv[1]), Path(sys.argv[2])
    viewer = napari.Viewer()
    width, height = (int(side) for side in os.environ["WALK_SCREEN"].split("x"))
    # As somebody who works maximises the window; without settings napari's is small.
    QTimer.singleShot(200, lambda: viewer.window.set_geometry(0, 0, width, height))
    if len(sys.argv) > 3:
        # A file is opened once the window is there; a sample by the user.
        QTimer.singleShot(1000, lambda: viewer.open(sys.argv[3]))
    watch = Watch(viewer, state, truth)
    napari.run()
    del watch


if __name__ == "__main__":
    main()
