"""Many prompts, many edits, several docks and windows at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fault_parts.rows import Row, lost
from fault_parts.windows import show

if TYPE_CHECKING:
    from fault_parts.ground import Case, Ground

GROUP = "crowds"
_PROMPTS, _OWN, _EDITS = 1000, 5000, 10_000
_MEGABYTES = 150
# Another thread of Qt's pool may have been needed, and brings those of torch.
_THREADS = 6


def _many(kind: str, count: int, ground: Ground) -> list[Row]:
    shown = show("dock_crowd.py", kind, count, ground.seed, folder=ground.room("home"))
    troubles = shown.said.troubles(lines=0)
    where = "placed at once" if kind == "prompts" else "in a Points layer of the user's"
    happened = "there was no answer"
    for line in shown.lines:
        troubles += line["wrong"]
        troubles += [] if line["same"] else ["the mask is another one than core's"]
        happened = (
            f"the window stood still for {line['blocked']:.2f} s; the mask was there "
            f"after {line['seconds']:.1f} s, and is core's bit for bit"
        )
    return [Row(GROUP, f"{count} prompts {where}", 1, happened, lost(troubles))]


def _edits(ground: Ground) -> list[Row]:
    shown = show(
        "dock_crowd.py", "edits", _EDITS, ground.seed, folder=ground.room("home")
    )
    troubles = shown.said.troubles(lines=0)
    happened = "there was no answer"
    for line in shown.lines:
        troubles += line["wrong"]
        troubles += [] if line["same"] else ["the mask is another one than core's"]
        (memory, later), (threads, after) = line["megabytes"], line["threads"]
        if later > memory + _MEGABYTES:
            troubles.append("memory has grown")
        if after > threads + _THREADS:
            troubles.append("threads stay")
        happened = (
            f"{line['seconds']:.0f} s; the last mask is core's bit for bit; memory "
            f"{memory} MB after the first 1,000 and {later} MB at the end, threads "
            f"{threads} and {after}, {line['layers']} layers"
        )
    what = "10,000 rapid edits: add, move, remove, class, undo"
    return [Row(GROUP, what, _EDITS, happened, lost(troubles))]


_PAIRS = {
    "docks": "two docks in one window, used in turn; one closed while it works",
    "viewers": "two windows in one process, at work at once; one closed meanwhile",
}


def _pair(kind: str, ground: Ground) -> list[Row]:
    shown = show("dock_pairs.py", kind, folder=ground.room("home"))
    troubles = shown.said.troubles(lines=0)
    troubles += [one for line in shown.lines for one in line["wrong"]]
    troubles += [] if shown.lines else ["there was no answer"]
    happened = "every mask was core's bit for bit; the process ended with 0"
    return [Row(GROUP, _PAIRS[kind], 1, happened, lost(troubles))]


CASES: dict[str, Case] = {
    "crowds-prompts": partial(_many, "prompts", _PROMPTS),
    "crowds-own": partial(_many, "own", _OWN),
    "crowds-edits": _edits,
    "crowds-docks": partial(_pair, "docks"),
    "crowds-viewers": partial(_pair, "viewers"),
}
