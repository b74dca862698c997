"""Do things to a window while the dock works, and close it at last, at work.

Usage: dock_closing.py WORK EXIT FOLDER SEED. EXIT is ``run``: the window is closed
under napari's event loop, after all else; or ``script``: at once, and the script ends
without any. Prints lines of JSON: what was done and what was wrong about it.
"""

from __future__ import annotations

import gc
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from random import Random
from time import monotonic, time

import napari
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QTimer

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "support"))
from hub_stand_in import run_hub

from fault_parts.dock_table import Table, alarms, own_threads
from fault_parts.dock_works import WORKS, count_as_large, image_count, use_hub

_DEEDS = (
    "the image switched",
    "mask and similarity deleted",
    "the prompts deleted",
    "the image deleted",
    "the dock closed",
)


def say(**what: object) -> None:
    """Print a line for the program that has started this one."""
    print(json.dumps(what), flush=True)


class Scene:
    """One kind of work, and what is done to it."""

    def __init__(self, name: str, seed: int) -> None:
        self.name, self.work = name, WORKS[name]
        self.dice = Random(f"{name} {seed}")
        self.table = Table(self.work.side, self.work.planes)
        self.length = self.measure()

    def begin(self) -> None:
        """Have all ready, and begin the work."""
        self.end_the_endless()
        self.table.make_ready()
        self.work.prepare(self.table)
        self.table.settle()
        self.work.begin(self.table)

    def end_the_endless(self) -> None:
        """Press Cancel where the work would not end by itself."""
        dock = self.table.dock
        if self.work.endless and dock is not None and dock.weights.fetching:
            dock.weights._cancel.click()

    def measure(self) -> float:
        """Do the work once, undisturbed; return how long it takes."""
        self.begin()
        if self.work.endless:
            return 1.0
        began = monotonic()
        self.table.wait_until(lambda: not self.table.working)
        return monotonic() - began

    def begin_and_wait(self) -> bool:
        """Come to a moment in the middle of the work, if it is long enough."""
        for attempt in range(4):
            self.begin()
            share = self.dice.uniform(0.02, 0.7) * 0.5**attempt
            self.table.let_pass(share * self.length)
            if self.table.working:
                return True
        return False

    def do(self, deed: str) -> None:
        """Begin the work, do something to the window meanwhile, and look."""
        table = self.table
        busy = self.begin_and_wait()
        seen = len(notification_manager.records)
        image, kept = table.image, None
        if deed == "the image switched":
            table.work.choose_image(table.other)
        elif deed == "mask and similarity deleted":
            for layer in (table.state.mask, table.state.similarity):
                if layer is not None and layer in table.viewer.layers:
                    table.viewer.layers.remove(layer)
        elif deed == "the prompts deleted":
            table.viewer.layers.remove(table.state.prompts)
        elif deed == "the image deleted":
            table.viewer.layers.remove(image)
            kept = set(map(id, table.owned_by(image)))
        else:
            table.close_dock()
            gc.collect()
            kept = set(map(id, table.viewer.layers))
        self.end_the_endless()
        seconds = table.settle()
        wrong = alarms()[seen:] + [f"a thread stays: {one}" for one in own_threads()]
        if kept is not None:
            now = table.owned_by(image) if table.dock else table.viewer.layers
            wrong += [f"{one.name} came back" for one in now if id(one) not in kept]
        say(deed=deed, busy=busy, seconds=seconds, wrong=wrong)

    def look_again(self) -> None:
        """See that the dock works as before after all this."""
        self.table.make_ready()
        table, wrong = self.table, []
        if self.name != "download":
            table.place(4)
            table.settle()
        mask = table.state.mask
        if mask is None or mask not in table.viewer.layers:
            wrong.append("afterwards there is no mask")
        say(deed="used as before", busy=False, seconds=0, wrong=wrong)

    def leave(self, how: str) -> None:
        """Close the window while it works."""
        if how == "script":
            busy = self.begin_and_wait()
            say(deed="closing", busy=busy, at=time())
            self.table.viewer.close()
            return
        self.begin()
        share = self.dice.uniform(0.02, 0.5)
        QTimer.singleShot(int(1000 * share * self.length), self._close)
        napari.run()

    def _close(self) -> None:
        say(deed="closing", busy=self.table.working, at=time())
        self.table.viewer.close()


def main(name: str, how: str, folder: Path, seed: int) -> None:
    """Do all that was asked for."""
    with ExitStack() as held:
        held.enter_context(notification_manager)
        if name == "download":
            hub = held.enter_context(run_hub(toy_weights()))
            use_hub(hub)
        if WORKS[name].large:
            count_as_large()
        if name == "batch":
            image_count(folder)
        scene = Scene(name, seed)
        if how == "run":
            for deed in _DEEDS:
                scene.do(deed)
            scene.look_again()
        scene.leave(how)
        wrong = alarms()
    say(deed="the end", busy=False, wrong=wrong)


def toy_weights() -> bytes:
    """Return what the stand-in serves; torch is imported for nobody else."""
    import toy_dinov2

    return toy_dinov2.toy_weights()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
