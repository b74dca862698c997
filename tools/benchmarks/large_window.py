"""Whether the window stays alive on a slide that is too large to hold.

``xvfb-run -a -s "-screen 0 1920x1200x24" python tools/benchmarks/large_window.py``
opens napari with a slide of 20,000 x 20,000 pixels in a zarr array (made of the sample
if ``--slide`` names none) and the dock, places five prompts in its middle, and prints
when the first of the map is there, the longest gap of the event loop meanwhile, while
it fills, while one pans and while a threshold moves, and the anonymous memory. With
``--to-the-end`` it waits until all is filled.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import napari
import numpy as np
import psutil
import zarr
from click_latency import Heartbeat
from qtpy.QtCore import QThreadPool
from qtpy.QtWidgets import QApplication
from scipy import ndimage as ndi

from napari_dinoprompt._qt.dock import PromptSegmentation
from napari_dinoprompt.core.backbones.load import BackboneChoice
from napari_dinoprompt.sample_data import sample_files
from napari_dinoprompt.session.image_state import FeatureRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_CHUNK = 1024


def make_slide(path: Path, side: int) -> None:
    """Fill a zarr array with fields of the sample, turned and mirrored at random."""
    fields = [iio.imread(sample_files(one)["nuclei_real"]) for one in ("early", "late")]
    slide = zarr.create_array(
        path, shape=(side, side), chunks=(_CHUNK, _CHUNK), dtype=fields[0].dtype
    )
    random = np.random.default_rng(0)
    tile = np.zeros((_CHUNK, _CHUNK), fields[0].dtype)
    half = _CHUNK // 2
    for y in range(0, side, _CHUNK):
        for x in range(0, side, _CHUNK):
            for row in (0, half):
                for column in (0, half):
                    field = np.rot90(fields[random.integers(2)], random.integers(4))
                    tile[row : row + half, column : column + half] = field[:half, :half]
            height, width = min(_CHUNK, side - y), min(_CHUNK, side - x)
            slide[y : y + height, x : x + width] = tile[:height, :width]


def anonymous_gigabytes() -> float:
    """Return the memory of this process that is no file's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024 / 1e9
    return float(psutil.Process().memory_info().rss) / 1e9


def wait(until: Callable[[], bool], seconds: float) -> float:
    """Run the event loop until something is so, and return how long that took."""
    start = perf_counter()
    while not until() and perf_counter() - start < seconds:
        QApplication.processEvents()
    return perf_counter() - start


def bright_spots(slide: Any, middle: int, count: int) -> NDArray[np.float64]:
    """Find some nuclei around the middle of a slide."""
    start = middle - 300
    part = np.asarray(slide[start : start + 600, start : start + 600], dtype=float)
    smooth = ndi.gaussian_filter(part, 4)
    labels, found = ndi.label(smooth > np.percentile(smooth, 90))
    spots = np.array(ndi.center_of_mass(smooth, labels, range(1, found + 1)))
    near = np.argsort(np.abs(spots - 300).max(axis=1))[:count]
    return np.asarray(spots[near] + start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slide", type=Path, help="a zarr array of grey values")
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--backbone", default="filterbank")
    parser.add_argument("--checkpoint")
    parser.add_argument("--seconds", type=float, default=20, help="of watching it fill")
    parser.add_argument("--to-the-end", action="store_true")
    parser.add_argument("--screenshot", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.slide or Path(folder) / "slide.zarr"
        if options.slide is None:
            make_slide(path, options.side)
        measure(zarr.open_array(path, mode="r"), options)


def measure(slide: Any, options: argparse.Namespace) -> None:
    """Open the slide, click, and watch."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1500, 950)
    # As slides come: with coarser levels beside them.
    levels = [slide, *(np.asarray(slide[:: 2**n, :: 2**n]) for n in (3, 4, 5))]
    viewer.add_image(levels, multiscale=True, name="slide")
    dock = PromptSegmentation(viewer)
    viewer.window.add_dock_widget(dock, name="Prompt segmentation")
    work = dock.controller
    choice = BackboneChoice(options.backbone, options.checkpoint)
    work.features.choose(FeatureRequest(choice, 1.0))
    heart = Heartbeat()
    print(f"ready after {wait(lambda: not work.working, 600):.1f} s")
    print(f"anonymous memory {anonymous_gigabytes():.2f} GB")
    middle = slide.shape[0] // 2
    viewer.scene.camera.center = (0, middle, middle)
    viewer.scene.camera.zoom = 1.0
    wait(lambda: False, 1)
    state: Any = work.session.current
    spots = bright_spots(slide, middle, 5)
    heart.reset()
    state.prompts.add(spots)
    y, x = spots[0].astype(int)

    def shown() -> bool:
        layer = state.similarity
        return layer is not None and bool(layer.data[0][y : y + 1, x : x + 1].any())

    print(f"first of the map after {wait(shown, 600):.1f} s")
    print(f"longest gap meanwhile {heart.longest * 1e3:.0f} ms")
    heart.reset()
    wait(lambda: not work.scoring.filling, options.seconds)
    print(f"longest gap while it fills {heart.longest * 1e3:.0f} ms")
    heart.reset()
    for step in range(30):
        viewer.scene.camera.center = (0, middle + 60 * step, middle + 40 * step)
        wait(lambda: False, 0.02)
    print(f"longest gap while panning {heart.longest * 1e3:.0f} ms")
    heart.reset()
    for value in np.linspace(0.3, 0.6, 10):
        work.scoring.choose_threshold(float(value))
        wait(lambda: False, 0.05)
    print(f"longest gap while a threshold moves {heart.longest * 1e3:.0f} ms")
    work.scoring.choose_threshold(None)
    if options.to_the_end:
        heart.reset()
        spent = wait(lambda: not work.scoring.filling, 3600)
        print(f"all filled after {spent:.0f} s more")
        print(f"longest gap meanwhile {heart.longest * 1e3:.0f} ms")
    viewer.scene.camera.center = (0, middle, middle)
    wait(lambda: False, 1)
    print(f"anonymous memory {anonymous_gigabytes():.2f} GB")
    if options.screenshot:
        viewer.screenshot(str(options.screenshot), canvas_only=False, flash=False)
    work.stop()
    # The tile under way is finished; nobody may hear of it in a window that is gone.
    QThreadPool.globalInstance().waitForDone()
    viewer.close()


if __name__ == "__main__":
    main()
