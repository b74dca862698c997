"""Two docks in one window, and two windows in one process, at work together.

Usage: dock_pairs.py KIND SEED, with ``docks`` or ``viewers``. Prints lines of JSON.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

from napari.utils.notifications import notification_manager

sys.path.insert(0, str(Path(__file__).parents[1]))
from fault_parts.dock_crowd import agrees
from fault_parts.dock_table import Table, alarms
from napari_dinoprompt._qt.dock import PromptSegmentation


def try_docks() -> list[str]:
    """Use two docks in turn; close one while both show that it works."""
    wrong = []
    table = Table(420)
    table.make_ready()
    first = table.dock
    second = PromptSegmentation(table.viewer)
    table.viewer.window.add_dock_widget(second)
    if second.controller is not first.controller:
        wrong.append("the docks do not share their work")
    for turn in range(8):
        dock = (first, second)[turn % 2]
        dock.prompts.class_requested.emit("object")
        table.state.prompts.add(table.prompts(8)[turn])
        table.let_pass(0.01 * turn)
        if first.status.hint != second.status.hint:
            wrong.append("the docks say different things")
    table.settle()
    if not agrees(table):
        wrong.append("the mask is another one than core's")
    table.place(5)
    table.let_pass(0.01)
    table.close_dock()
    del first, dock
    gc.collect()
    table.dock = second
    table.settle()
    if not agrees(table):
        wrong.append("after one dock was closed the mask is another one than core's")
    names = [layer.name for layer in table.viewer.layers]
    if len(set(names)) < len(names):
        wrong.append(f"a layer is there twice: {names}")
    table.viewer.close()
    return wrong


def try_viewers() -> list[str]:
    """Let two viewers compute at once; close one, and the other goes on."""
    wrong = []
    one, other = Table(420), Table(380)
    one.work.choose_image(one.image)
    other.work.choose_image(other.image)
    for table in (one, other):
        table.place(4)
    busy = one.working and other.working
    for table in (one, other):
        table.settle()
        table.make_ready()
        if not agrees(table):
            wrong.append("the mask is another one than core's")
    if not busy:
        wrong.append("they did not work at once")
    for table in (one, other):
        table.place(6)
        table.let_pass(0.005)
    one.viewer.close()
    del one
    gc.collect()
    other.settle()
    if not agrees(other):
        wrong.append("after one window was closed the mask is another one than core's")
    other.place(3)
    other.let_pass(0.005)
    other.viewer.close()
    return wrong


def main(kind: str) -> None:
    """Do what is asked for."""
    with notification_manager:
        wrong = try_docks() if kind == "docks" else try_viewers()
        print(json.dumps({"wrong": wrong + alarms()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
