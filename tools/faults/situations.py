"""Try files as people have them: what comes of each, by command, API and dock.

    python tools/faults/situations.py --write now.json [NAME ...]
    python tools/faults/situations.py --before before.json --now now.json \
        --page docs/measurements/situations.md

Makes each file in a temporary folder and gives it to `dinoprompt`, to the functions of
the package, and by napari's own Open to the dock (on a virtual screen). The end is
*right* (IoU with the mask of the same content as a plain TIFF of at least 0.95, or the
same figures of a comparison), *refused* in one line, *told* (used, with a warning),
*WRONG* without a word, *TRACE* (what is no message), or *over 30 s*. With PYTHONPATH on
the source of an earlier version it tries that one. Exits with 1 if anything is wrong
without a word.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
_HOME = tempfile.mkdtemp(prefix="dinoprompt-situations-")
for _name in ("DINOPROMPT_CACHE", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
    os.environ[_name] = f"{_HOME}/{_name}"
os.environ |= {"COLUMNS": "1000", "HF_HUB_OFFLINE": "1", "NAPARI_CONFIG": ""}
sys.path.insert(0, str(Path(__file__).parent))

from situation_parts.table import ROADS, as_markdown  # noqa: E402

_HEAD = """# Situations: files as people have them

Written by `python tools/faults/situations.py`; *before* is the version before the work
on what files mean (commit 3286582). Each file goes three roads: the command; the API,
to which the package's own reader gives it; and napari's Open into the dock, where the
pixels are napari's. Where all three end alike it is said once. Views (3-D, other axes,
thick slices, grids) are tried by `tests/qt/test_view.py`.

- *right*: the mask has an IoU of at least 0.95 with that of the same content as a plain
  TIFF, or the comparison the same figures.
- *told*: used, and a line says what is different.
- *refused*: not used, with one line that says what to do.
- **WRONG**: another result without a word. **TRACE**: what is no message.

Further situations are linked to the public thread they are taken from; the files are
made by the program."""
_BAD = ("WRONG", "TRACE", "over 30 s")


def try_all(
    names: list[str], roads: list[str], folder: Path, write: Path | None
) -> list[dict[str, Any]]:
    """Try situations on some roads; ends that were written before are kept."""
    # Only now: they read the environment when they are imported.
    from situation_parts.dock import Dock
    from situation_parts.further import FURTHER
    from situation_parts.listed import LISTED
    from situation_parts.roads import Ground, by_api, by_command, expectation, judge

    ground = Ground(folder)
    dock = Dock(ground) if "dock" in roads else None
    known = json.loads(write.read_text()) if write and write.exists() else []
    rows: dict[str, dict[str, Any]] = {one["name"]: one for one in known}
    for number, one in enumerate([*LISTED, *FURTHER]):
        if names and not any(name in one.name for name in names):
            continue
        place = folder / f"in {number}"
        place.mkdir()
        path = Path(one.write(place))
        expected = expectation(ground, one)
        begun = time.monotonic()
        walks: dict[str, Any] = {
            "command": partial(by_command, ground, one, path),
            "API": partial(by_api, ground, one, path),
            "dock": dock and partial(dock.walk, one, path),
        }
        ends = {road: judge(one, expected, walks[road]) for road in roads}
        shown = {
            road: (end, said.replace(f"{place}/", "").replace(f"{folder}/", ""))
            for road, (end, said) in ends.items()
        }
        row = rows.setdefault(one.name, {"ends": {}})
        row |= {"kind": one.kind, "name": one.name, "source": one.source}
        row["ends"] |= shown
        seconds = f"{time.monotonic() - begun:.0f} s"
        print(
            one.name, *(end for end, _ in ends.values()), seconds, sep=" | ", flush=True
        )
        if write is not None:
            # Piece by piece: it may take a while.
            write.write_text(json.dumps(list(rows.values()), indent=1))
        for road, (end, said) in shown.items():
            if end in _BAD or names:
                print(f"    {road} {end}: {' '.join(said.split())[:600]}", flush=True)
    if dock is not None:
        dock.viewer.close()
    return list(rows.values())


def main() -> int:
    """Try, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--roads", nargs="+", choices=ROADS, default=list(ROADS))
    for name in ("before", "now", "page"):
        parser.add_argument(f"--{name}", type=Path)
    asked = parser.parse_args()
    if asked.page is not None:
        before, now = (
            json.loads(path.read_text()) for path in (asked.before, asked.now)
        )
        asked.page.write_text(as_markdown(before, now, _HEAD))
        return 0
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(dir=_HOME) as folder:
        rows = try_all(asked.names, asked.roads, Path(folder), asked.write)
    wrong = any(end in _BAD for row in rows for end, _ in row["ends"].values())
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
