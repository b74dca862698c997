"""A long session with the dock: clicks, images, cancels, saves, for half an hour.

Usage, on a display (`xvfb-run -a -s "-screen 0 1920x1200x24"` makes one):

    python tools/faults/soak.py [--minutes 30] [--seed 1] [--output soak.md]

A user who does not wait does at random all that the dock offers. Every minute the work
is let come to its end, and memory, threads, widgets and open files are read. At the
end everything is closed. Prints a table of beginning, middle and end, and the longest
time in which the window did not answer, with what it was at. Exits with 1 if something
was reported that is no message of ours, if work did not come to an end, or if threads
or layers were left.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from time import monotonic

sys.path.append(str(Path(__file__).parent))

_BREATH_S = 60.0


def main() -> None:
    """Read the options, and keep away from the user's own folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("soak.md"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dinoprompt-soak-") as folder:
        own = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR")
        for name in (*own, "DINOPROMPT_LIBRARY", "DINOPROMPT_CACHE"):
            place = Path(folder, name.lower())
            place.mkdir()
            os.environ[name] = str(place)
        tempfile.tempdir = None  # read TMPDIR anew
        sys.exit(session(options, Path(folder)))


def session(options: argparse.Namespace, folder: Path) -> int:
    """Live through the session, write what was seen; return the exit code."""
    import napari
    from napari.utils.notifications import notification_manager
    from pydantic.warnings import PydanticDeprecatedSince20
    from qtpy.QtCore import QThreadPool
    from qtpy.QtWidgets import QApplication
    from soak_parts.pictures import open_images
    from soak_parts.report import Faults, write_report
    from soak_parts.user import User
    from soak_parts.watch import StallWatch, read_process

    warnings.simplefilter("ignore", PydanticDeprecatedSince20)  # raised inside npe2
    viewer = napari.Viewer(show=True)
    open_images(viewer, folder)
    user = User(viewer, folder, options.seed)
    user.settle()
    watch = StallWatch(lambda: user.last)
    began = breath = monotonic()
    readings, longest_settle = [read_process(0.0)], 0.0
    while monotonic() - began < options.minutes * 60:
        user.act()
        if monotonic() - breath > _BREATH_S:
            longest_settle = max(longest_settle, user.settle())
            watch.paused = True  # collecting garbage is ours
            readings.append(read_process(monotonic() - began))
            watch.resume()
            breath = monotonic()
            print(readings[-1], f"longest stall {watch.longest:.2f} s", flush=True)
    longest_settle = max(longest_settle, user.settle())
    watch.stop()
    layers = len(viewer.layers)
    images = len(user.images)
    records = [str(record) for record in notification_manager.records]
    viewer.layers.clear()
    user.wait(1.0)
    left = [layer.name for layer in viewer.layers]
    user.dock.controller.stop()
    finished = QThreadPool.globalInstance().waitForDone(60_000)
    user.wait(0.5)
    emptied = read_process(monotonic() - began)
    scratch = sorted(path.name for path in Path(os.environ["TMPDIR"]).iterdir())
    faults = Faults(records, left, finished, scratch)
    viewer.close()
    QApplication.processEvents()
    text = write_report(
        user, watch, [*readings, emptied], faults, layers, images, longest_settle
    )
    options.output.write_text(text, encoding="utf-8")
    with options.output.with_suffix(".csv").open("w", newline="") as file:
        table = csv.DictWriter(file, asdict(readings[0]))
        table.writeheader()
        table.writerows(asdict(reading) for reading in [*readings, emptied])
    print(text)
    return int(faults.any)


if __name__ == "__main__":
    main()
