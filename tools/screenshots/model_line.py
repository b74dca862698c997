"""Take pictures of the line about the model, in each of its states and two sizes.

Run it under ``xvfb-run -a -s "-screen 0 1920x1200x24"``:
``python tools/screenshots/model_line.py FOLDER [WEIGHTS]``. WEIGHTS is a folder with
``vit_tiny_patch16_224.safetensors``, for the picture of a model that is ready. Nobody
is asked over the network: the hub is a stand-in on this machine.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication
from scenes.stage import LAPTOP, open_viewer, settle, shoot

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))
from hub_stand_in import Hub, run_hub, stall

from napari_dinoprompt._qt.dock import prompt_sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_dinoprompt._qt.dock import PromptSegmentation

SIZES = (LAPTOP, (1600, 1000))
NOWHERE = "https://hub.invalid"
TIMEOUT_S = 60


def choose(dock: PromptSegmentation, name: str) -> None:
    """Choose a backbone, as somebody who types its name."""
    box = dock.image._backbone
    box.setCurrentText(name)
    box.activated.emit(box.currentIndex())
    settle(dock)


def wait(until: Callable[[], bool]) -> None:
    """Let the event loop run until something is so."""
    end = monotonic() + TIMEOUT_S
    while not until():
        QApplication.processEvents()
        sleep(0.005)
        if monotonic() > end:
            raise TimeoutError


def picture(folder: Path, size: tuple[int, int], hub: Hub, *, ready: bool) -> None:
    """Go through the states in one window."""
    from napari_dinoprompt.core.backbones import download

    viewer = open_viewer(size)
    dock = prompt_sample(viewer)
    panel = dock.weights

    def take(state: str) -> None:
        settle(dock)
        shoot(viewer, folder / f"{state}-{'x'.join(map(str, size))}.png", close=False)

    ask_hub = download.ask_hub
    take("missing-dinov2")
    panel._copy.click()
    take("address-copied")
    choose(dock, "dinov3-large")
    take("missing-licence")
    choose(dock, "timm:vit_small_patch16_384")
    take("missing-timm")
    choose(dock, "dinov2-small")
    try:
        download.ask_hub = lambda weights, _: ask_hub(weights, NOWHERE)
        panel._get.click()
        wait(lambda: not panel.fetching)
        take("offline")
        hub.get = [stall(hub.size // 2)]
        download.ask_hub = lambda weights, _: ask_hub(weights, hub.endpoint)
        panel._get.click()
        wait(lambda: panel._bar.value() >= hub.size // 2000 > 0)
        take("downloading")
        panel._cancel.click()
        take("stopped")
    finally:
        download.ask_hub = ask_hub
    if ready:
        choose(dock, "timm:vit_tiny_patch16_224")
        take("ready")
    viewer.close()


def main() -> None:
    """Take all pictures."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with run_hub(bytes(88_000_000)) as hub:
        for size in SIZES:
            picture(folder, size, hub, ready=len(sys.argv) > 2)


if __name__ == "__main__":
    with TemporaryDirectory() as home:
        # What is on this machine already is missing here.
        os.environ |= {
            "HF_HUB_CACHE": f"{home}/hub",
            "TORCH_HOME": f"{home}/torch",
            "DINOPROMPT_LIBRARY": f"{home}/library",
            "DINOPROMPT_RECOVERY": f"{home}/recovery",
            "DINOPROMPT_WEIGHTS": "".join(sys.argv[2:3]),
        }
        main()
