"""Place prompts in a napari window and be killed while it is open.

Usage: killed_viewer.py IMAGE.npy MASK.npy POINTS.npy. The prompts are kept where
DINOPROMPT_RECOVERY says; the mask that was on show is written first.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from time import monotonic

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_dinoprompt._qt.dock import PromptSegmentation
from napari_dinoprompt.core.masks.cleaning import Cleaning

ALL = '"classes": ["object", "object", "background"]'


def wait(ready) -> None:
    end = monotonic() + 120
    while not ready():
        assert monotonic() < end, "it does not come to an end"
        QApplication.processEvents()


def main(image: Path, mask: Path, points: Path) -> None:
    """Work as a user, then die as a program."""
    viewer = napari.Viewer(show=True)
    viewer.add_image(np.load(image), name="discs", scale=(0.35, 0.35))
    dock = PromptSegmentation(viewer)
    viewer.window.add_dock_widget(dock)
    work = dock.controller
    wait(lambda: not work.working)
    where = np.load(points)
    work.place_prompts(where[:-1], ["object"] * (len(where) - 1))
    work.scoring.choose_threshold(0.45)
    work.choose_cleaning(Cleaning(min_size=10, fill_holes=True))
    wait(lambda: not work.working)
    work.choose_class("background")
    viewer.layers["discs prompts"].add(where[-1])
    wait(lambda: not work.working)
    np.save(mask, viewer.layers["discs mask"].data)
    folder = Path(os.environ["DINOPROMPT_RECOVERY"])
    wait(lambda: any(ALL in path.read_text() for path in folder.glob("*.json")))
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
