"""Opens napari, which has to find the plugin by itself: sample, dock, clicks, mask."""

from __future__ import annotations

import sys
import time

import napari
from napari.layers import Labels
from qtpy.QtWidgets import QApplication

_PATIENCE_S = 120


def main() -> None:
    viewer = napari.Viewer()
    layers = viewer.open_sample("napari-dinoprompt", "early")
    _, dock = viewer.window.add_plugin_dock_widget("napari-dinoprompt")
    real = viewer.layers["early nuclei (real)"]
    points = [(214, 111), (22, 377), (445, 117), (64, 398), (310, 266)]
    dock.controller.place_prompts(points, ["object"] * len(points))
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        QApplication.processEvents()
        masks = [
            layer
            for layer in viewer.layers
            if isinstance(layer, Labels) and layer.data.max() > 0
        ]
        if masks:
            print(
                f"napari {napari.__version__} found the plugin: {len(layers)} sample "
                f"layers, a mask of {(masks[0].data > 0).mean():.1%} on {real.name}"
            )
            viewer.close()
            return
    sys.exit(f"no mask in {_PATIENCE_S} s")


if __name__ == "__main__":
    main()
