"""How long a click takes, and whether the window stays alive meanwhile.

``xvfb-run -a -s "-screen 0 1920x1200x24" python tools/benchmarks/click_latency.py``
opens napari with a 2048 x 2048 image and the dock, waits for the features, and then
measures the longest gap of the event loop while features are extracted, what is
computed after a click, and the time from a prompt being added to the new map and
plain mask being in their layers; the last holds napari's own drawing, which is slow
where there is no GPU.
"""

from __future__ import annotations

import argparse
import statistics
from time import perf_counter

import imageio.v3 as iio
import napari
import numpy as np
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_dinoprompt._qt.dock import PromptSegmentation
from napari_dinoprompt.core.segmentation.interactive import LiveResult, score_prompts
from napari_dinoprompt.layers import placed_prompts
from napari_dinoprompt.sample_data import sample_files


class Heartbeat:
    """Notes the longest time between two turns of the event loop."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = perf_counter()
        self._timer = QTimer()
        self._timer.setInterval(0)
        self._timer.timeout.connect(self.beat)
        self._timer.start()

    def beat(self) -> None:
        """Take the time since the last beat."""
        now = perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now

    def stop(self) -> None:
        """Leave the event loop its rest."""
        self._timer.stop()

    def reset(self) -> None:
        """Start anew."""
        self.longest, self._last = 0.0, perf_counter()


def settle(dock: PromptSegmentation) -> None:
    """Run the event loop until nothing is being computed."""
    wait(dock)
    QApplication.processEvents()


def wait(dock: PromptSegmentation) -> None:
    """Run the event loop as napari does, asleep while there is nothing to do."""
    awake = QTimer()
    awake.start(2)
    while dock.controller.working:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--clicks", type=int, default=25)
    options = parser.parse_args()
    tile = iio.imread(sample_files("late")["nuclei_real"])
    repeats = -(-options.size // tile.shape[0])
    image = np.tile(tile, (repeats, repeats))[: options.size, : options.size]
    viewer = napari.Viewer(show=True)
    viewer.add_image(image, name="image")
    dock = PromptSegmentation(viewer)
    viewer.window.add_dock_widget(dock)
    settle(dock)  # the first import of torch is not what is measured
    again = viewer.add_image(image.copy(), name="again")
    settle(dock)
    heart = Heartbeat()
    start = perf_counter()
    dock.controller.choose_image(again)
    heart.reset()
    settle(dock)
    print(f"extraction of {image.shape}: {perf_counter() - start:.2f} s")
    print(f"longest gap of the event loop meanwhile: {heart.longest * 1e3:.0f} ms")
    heart.stop()
    rng = np.random.default_rng(0)
    prompts = dock.controller.session.current.prompts
    bright = np.argwhere(image > np.percentile(image, 95))
    state = dock.controller.session.current
    shown: list[float] = []
    computed: list[float] = []
    for point in rng.choice(bright, options.clicks):
        start = perf_counter()
        prompts.add(point)
        QApplication.processEvents()
        wait(dock)
        shown.append(perf_counter() - start)
        settle(dock)
        placed = placed_prompts(prompts, state.image)
        start = perf_counter()
        steps = score_prompts(
            state.planes, placed, (), {}, placed.points, source="image"
        )
        next(one for one in steps if isinstance(one, LiveResult))
        computed.append(perf_counter() - start)
    # The first two make the layers.
    print(
        f"map and mask computed: median {statistics.median(computed[2:]) * 1e3:.0f} ms"
    )
    print(
        f"click to both in layers: median {statistics.median(shown[2:]) * 1e3:.0f} ms"
    )
    viewer.close()


if __name__ == "__main__":
    main()
