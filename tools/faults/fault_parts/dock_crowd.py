"""A thousand prompts, and ten thousand edits, in a window with the dock.

Usage: dock_crowd.py KIND COUNT SEED. KIND is ``prompts``, ``own`` or ``edits``. Prints
a line of JSON with figures.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from random import Random
from time import monotonic

import numpy as np
from napari.utils.notifications import notification_manager

sys.path.insert(0, str(Path(__file__).parents[1]))
import napari_dinoprompt as dp
from fault_parts.dock_table import Table, alarms
from napari_dinoprompt.core.prompts import BACKGROUND


def expected(table: Table) -> np.ndarray:
    """Compute the mask from the points on show, with the Python API alone."""
    plane = np.asarray(table.state.image.data)
    upper = np.array(plane.shape) - 0.5
    points = np.asarray(table.state.prompts.data, dtype=float)
    inside = ((points >= -0.5) & (points <= upper)).all(axis=1)
    features = table.state.prompts.features
    names = (
        [str(name) for name in features["class"]]
        if "class" in features
        else ["object"] * len(points)
    )
    kept = [name for name, here in zip(names, inside, strict=True) if here]
    if all(name == BACKGROUND for name in kept):
        return np.zeros(plane.shape, dtype=np.uint8)
    found = dp.extract_features(plane, dp.load_backbone("filterbank", device="cpu"))
    reference = dp.Reference.from_prompts(found, points[inside], kept)
    return dp.segment(plane, reference).mask


def agrees(table: Table) -> bool:
    """Tell whether the mask on show is that of the Python API, bit for bit."""
    shown = table.state.mask
    wanted = expected(table)
    if shown is None:
        return not wanted.any()
    return bool(np.array_equal(np.asarray(shown.data), wanted))


def resident() -> float:
    """Memory of this process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def threads() -> int:
    """Count the threads of this process, those of Qt and torch too."""
    return len(list(Path("/proc/self/task").iterdir()))


def many(table: Table, count: int, seed: int, *, own: bool) -> dict[str, object]:
    """Place many prompts at once; in a layer of the user's own, if asked for."""
    table.make_ready()
    side = table.side
    points = np.random.default_rng(seed).uniform(0, side - 1, (count, 2))
    began = monotonic()
    if own:
        layer = table.viewer.add_points(points, name="own points")
        table.let_pass(0.02)
        began = monotonic()
        table.work.choose_prompts(layer)
    else:
        table.work.place_prompts(points, ["object"] * count)
    table.let_pass(0)
    blocked = monotonic() - began
    table.wait_until(lambda: not table.working)
    seconds = monotonic() - began
    same = agrees(table)
    return {"blocked": blocked, "seconds": seconds, "same": same}


class Editor:
    """Edits prompts without waiting for anything."""

    def __init__(self, table: Table, seed: int) -> None:
        self.table, self.dice = table, Random(seed)
        self.side = table.side
        self.acts = [self.add, self.add, self.move, self.remove, self.name, self.undo]

    @property
    def points(self):
        return self.table.state.prompts

    def act(self) -> None:
        self.dice.choice(self.acts)()

    def place(self) -> tuple[float, float]:
        return self.dice.uniform(-5, self.side + 5), self.dice.uniform(0, self.side)

    def add(self) -> None:
        if len(self.points.data) > 40:
            self.remove()
        name = self.dice.choice(("object", "object", BACKGROUND))
        self.table.work.choose_class(name)
        self.points.add(self.place())

    def move(self) -> None:
        data = np.array(self.points.data)
        if len(data):
            data[self.dice.randrange(len(data))] = self.place()
            self.points.data = data

    def remove(self) -> None:
        if len(self.points.data):
            self.points.selected_data = {self.dice.randrange(len(self.points.data))}
            self.points.remove_selected()

    def name(self) -> None:
        if len(self.points.data):
            self.points.mode = "select"
            self.points.selected_data = {self.dice.randrange(len(self.points.data))}
            self.table.work.choose_class("object")
            self.points.selected_data = set()
            self.points.mode = "add"

    def undo(self) -> None:
        self.table.work.prompts.undo()


def edit(table: Table, count: int, seed: int) -> dict[str, object]:
    """Edit many times; the window lives only now and then meanwhile."""
    table.make_ready()
    editor = Editor(table, seed)
    before = (0.0, 0)
    began = monotonic()
    for number in range(count):
        editor.act()
        if editor.dice.random() < 0.1:
            table.let_pass(0)
        if number == count // 10:
            table.settle()
            gc.collect()
            before = resident(), threads()
    table.wait_until(lambda: not table.working)
    seconds = monotonic() - began
    table.settle()
    if not any(name == "object" for name in editor.points.features["class"]):
        table.place(4)
        table.settle()
    gc.collect()
    after = resident(), threads()
    return {
        "seconds": seconds,
        "same": agrees(table),
        "prompts": len(editor.points.data),
        "megabytes": [round(before[0]), round(after[0])],
        "threads": [before[1], after[1]],
        "layers": len(table.viewer.layers),
    }


def main(kind: str, count: int, seed: int) -> None:
    """Do what is asked for."""
    with notification_manager:
        table = Table(240 if kind == "edits" else 500)
        if kind == "edits":
            found = edit(table, count, seed)
        else:
            found = many(table, count, seed, own=kind == "own")
        print(json.dumps({**found, "wrong": alarms()}), flush=True)
        table.viewer.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
