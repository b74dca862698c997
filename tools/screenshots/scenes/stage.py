"""Opening viewer and dock, waiting for results, and taking the picture."""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING

import napari
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Layer
    from PIL import Image

    from napari_dinoprompt._qt.dock import PromptSegmentation

SIZE = (1500, 950)
LAPTOP = (1366, 768)
TIMEOUT_S = 600
COLOURS = 256
OWN_COLOURS = 96


def settle(dock: PromptSegmentation) -> None:
    """Let the event loop run until nothing is being computed."""
    start = monotonic()
    while dock.controller.working or monotonic() - start < 0.5:
        QApplication.processEvents()
        sleep(0.005)
        if monotonic() - start > TIMEOUT_S:
            raise TimeoutError(dock.status.hint)


def open_viewer(size: tuple[int, int] = SIZE) -> napari.Viewer:
    """Open a viewer of the size that the docs show."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*size)
    return viewer


def open_dock(viewer: napari.Viewer) -> PromptSegmentation:
    """Open the dock from the plugin, as the menu does."""
    _, dock = viewer.window.add_plugin_dock_widget(
        "napari-dinoprompt", "Prompt segmentation"
    )
    settle(dock)
    return dock


def in_few_colours(picture: Image.Image) -> Image.Image:
    """Draw a picture with 256 colours.

    The most frequent ones are kept as they are, for they are those of the window; the
    others cover the range and not the frequency, for a mark has few pixels.
    """
    from PIL import Image

    exact = sorted(picture.getcolors(2**24) or [], reverse=True)[:OWN_COLOURS]
    method = Image.Quantize.MAXCOVERAGE
    rest = picture.quantize(COLOURS - OWN_COLOURS, method).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(part for _, one in exact for part in one), *rest])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def shoot(viewer: napari.Viewer, path: Path, *, close: bool = True) -> None:
    """Save a screenshot of the window in few colours, which makes it smaller."""
    from PIL import Image

    viewer.screenshot(str(path), canvas_only=False, flash=False)
    with Image.open(path) as whole:
        few = in_few_colours(whole.convert("RGB"))
    few.save(path, optimize=True)
    print(path)
    if close:
        viewer.close()


def beside(viewer: napari.Viewer, rows: list[list[Layer]]) -> None:
    """Put layers into a grid: one cell for each place in the rows."""
    for place, layer in enumerate(
        one for cell in zip(*rows, strict=True) for one in cell
    ):
        viewer.layers.move(viewer.layers.index(layer), place)
    grid = viewer.canvas.grid
    grid.stride, grid.shape, grid.enabled = len(rows), (1, len(rows[0])), True
    viewer.reset_view()
