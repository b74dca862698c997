"""Closing and deleting things in the window during every kind of work."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fault_parts.rows import Row, lost
from fault_parts.windows import Shown, show

if TYPE_CHECKING:
    from fault_parts.ground import Case, Ground

GROUP = "closing"
WORKS = (
    *("features", "scoring", "cleaning", "all planes", "apply", "batch"),
    *("compare", "study", "export", "download", "large plane"),
)
_PATIENCE_S = 20.0


def _try(name: str, ground: Ground) -> list[Row]:
    folder = ground.room("home")
    long = show("dock_closing.py", name, "run", folder, ground.seed, folder=folder)
    short = show("dock_closing.py", name, "script", folder, ground.seed, folder=folder)
    deeds = [line for line in long.lines if "seconds" in line]
    troubles = [one for line in deeds for one in line["wrong"]]
    done = [line for line in deeds if line["deed"] != "used as before"]
    if len(done) < 5:
        troubles.append(f"only {len(done)} of 5 things could be done")
    busy = sum(line["busy"] for line in done)
    slowest = max((line["seconds"] for line in done), default=0.0)
    names = ", ".join(line["deed"] for line in done)
    happened = f"{names}: {busy} of {len(done)} times it was at work, which ended "
    happened += f"within {slowest:.1f} s; no layer came back, the dock went on"
    ends, times = [], []
    for shown in (long, short):
        said, seconds = _ending(shown)
        ends += said
        times.append(f"{seconds:.1f} s")
    closed = (
        "the window closed under napari.run() and at the end of a script: the process "
        f"ended with 0 after {' and '.join(times)}, without a word"
    )
    return [
        Row(GROUP, f"during {name}", len(done), happened, lost(troubles)),
        Row(GROUP, f"the window, during {name}", 2, closed, lost(ends)),
    ]


def _ending(shown: Shown) -> tuple[list[str], float]:
    troubles = shown.said.troubles(lines=0)
    closing = [line for line in shown.lines if line["deed"] == "closing"]
    if not closing:
        return [*troubles, "it did not come to closing"], 0.0
    seconds = shown.ended - closing[-1]["at"]
    if seconds > _PATIENCE_S:
        troubles.append(f"it took {seconds:.0f} s to end")
    for line in shown.lines:
        if line["deed"] == "the end":
            troubles += line["wrong"]
    return troubles, seconds


CASES: dict[str, Case] = {
    f"closing-{name.replace(' ', '-')}": partial(_try, name) for name in WORKS
}
