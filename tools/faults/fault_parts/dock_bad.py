"""Open layers with bad pixels in a window with the dock. Prints lines of JSON."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from napari.layers import Image
from napari.utils.notifications import notification_manager

sys.path.insert(0, str(Path(__file__).parents[1]))
from fault_parts.bad_pixels import BAD_PIXELS
from fault_parts.dock_crowd import agrees
from fault_parts.dock_table import Table, alarms


def try_layer(table: Table, name: str) -> None:
    """Choose a layer, click on it, and say what the dock said."""
    seen = len(alarms())
    try:
        layer = Image(BAD_PIXELS[name](), name=name, contrast_limits=(0, 255))
        table.viewer.layers.append(layer)
        table.let_pass(0.02)
    except Exception:  # noqa: BLE001 - what napari refuses never reaches the dock
        if "layer" in locals() and layer in table.viewer.layers:
            table.viewer.layers.remove(layer)
        return
    wrong, hint = [], "it cannot be chosen"
    seen = len(alarms())
    if any(layer is one for one in table.work.images()):
        table.work.choose_image(layer)
        table.settle()
        if table.state is not None and table.state.prompts is not None:
            table.state.prompts.add([0] * layer.ndim)
            table.settle()
        hint = table.dock.status.hint
        table.work.choose_image(None)
    table.viewer.layers.remove(layer)
    table.settle()
    wrong += alarms()[seen:]
    print(json.dumps({"name": name, "hint": hint, "wrong": wrong}), flush=True)


def main() -> None:
    """Try all, then a good one."""
    warnings.simplefilter("ignore")
    with notification_manager:
        table = Table(160)
        for name in BAD_PIXELS:
            try_layer(table, name)
        table.make_ready()
        wrong = [] if agrees(table) else ["the mask is another one than core's"]
        print(
            json.dumps({"name": "a good one", "hint": "", "wrong": wrong}), flush=True
        )
        table.viewer.close()


if __name__ == "__main__":
    main()
