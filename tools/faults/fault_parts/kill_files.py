"""SIGKILL while single files are written: references, tables and maps, tiles."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from fault_parts.disks import contents
from fault_parts.rows import Row, lost
from fault_parts.whole import broken_files

if TYPE_CHECKING:
    from pathlib import Path

    from fault_parts.ground import Case, Ground

GROUP = "kill -9"


def _kill(ground: Ground, after: float, task: str, *arguments: object) -> None:
    """Kill a task a while after it has begun to write."""
    begun = ground.folder / "begun"
    begun.unlink(missing_ok=True)
    ground.ask.do(
        *(task, *arguments),
        env={"FAULTS_BEGUN": begun},
        kill_after=after,
        kill_when=str(begun),
    )


def _temporary(folder: Path) -> list[Path]:
    return list(folder.rglob(".dinoprompt-*.tmp"))


def _age(paths: list[Path]) -> None:
    """Let files look two days old."""
    before = time.time() - 2 * 86_400
    for path in paths:
        os.utime(path, (before, before))


def _left(old: list[Path]) -> tuple[str, list[str]]:
    """Say what became of temporary files that were left."""
    if not old:
        return "no temporary file was left", []
    said = f"{len(old)} temporary files were left, and went with a later write"
    stay = any(path.exists() for path in old)
    return said, ["temporary files stay"] if stay else []


def kill_saving(ground: Ground) -> list[Row]:
    """A reference saved over another one."""
    folder, chance, kills = ground.room("files"), ground.chance, 24
    one, other = ground.inputs.reference, ground.inputs.other
    path = folder / "name.reference.safetensors"
    path.write_bytes(one.read_bytes())
    seen, troubles = {one.read_bytes(): 0, other.read_bytes(): 0}, []
    for _ in range(kills):
        after = chance.uniform(0.0, 0.3)
        _kill(ground, after, "save_in_turns", path, one, other)
        content = path.read_bytes() if path.exists() else b""
        if content in seen:
            seen[content] += 1
        else:
            troubles.append("neither the old nor the new reference is there")
    left = _temporary(folder)
    _age(left)
    _kill(ground, 2, "save_in_turns", path, one, other)
    said, more = _left(left)
    old, new = seen.values()
    happened = f"the one was there {old} times, the other {new} times, whole; {said}"
    return [
        Row(
            GROUP,
            "saving a reference over another",
            kills,
            happened,
            lost(troubles + more),
        )
    ]


def kill_library(ground: Ground) -> list[Row]:
    """A reference added to the library."""
    folder, chance, kills = ground.room("library"), ground.chance, 16
    troubles, slowest = [], 0.0
    for _ in range(kills):
        after = chance.uniform(0.0, 0.3)
        _kill(ground, after, "add_in_turns", folder, ground.inputs.reference)
        troubles += broken_files(folder)
        said = ground.ask.do(
            "add_once",
            [str(ground.inputs.other), "next"],
            env={"DINOPROMPT_LIBRARY": folder},
        )
        troubles += said.troubles(lines=0)
        slowest = max(slowest, said.seconds)
    count = len(list(folder.glob("*.reference.safetensors")))
    left = _temporary(folder)
    _age(left)
    _kill(ground, 2, "add_in_turns", folder, ground.inputs.reference)
    said, more = _left(left)
    happened = (
        f"all {count} references in it are whole; the next one was added within "
        f"{slowest:.1f} s, so no lock stayed; {said}"
    )
    return [Row(GROUP, "adding to the library", kills, happened, lost(troubles + more))]


def _kill_writing(ground: Ground, kind: str, what: str) -> list[Row]:
    folder, chance, kills = ground.room("out"), ground.chance, 12
    sides = []
    for number in (1, 0):
        ground.ask.do("write_once", kind, folder, number)
        sides.append(contents(folder))
    new, old = sides
    troubles, mixed = [], 0
    for _ in range(kills):
        after = chance.uniform(0.0, 1.5)
        _kill(ground, after, "write_in_turns", kind, folder)
        now = contents(folder)
        found = [name for name in old if now.get(name) not in (old[name], new[name])]
        # What a figure holds of the time when it was drawn.
        changing = [name for name in found if name.endswith((".pdf", ".json"))]
        troubles += [
            f"neither old nor new: {one}" for one in found if one not in changing
        ]
        troubles += broken_files(folder)
        same = [name for name in old if old[name] == now.get(name)]
        mixed += 0 < len(same) < len(old)
    left = _temporary(folder)
    _age(left)
    troubles += ground.ask.do("write_once", kind, folder, 1).troubles()
    troubles += [
        f"in the end another {name}"
        for name, content in contents(folder).items()
        if name.endswith((".csv", ".tif")) and content != new[name]
    ]
    said, more = _left(left)
    happened = (
        f"every file was whole, the old or the new one ({mixed} times some of both); "
        f"written again, all were as they should be; {said}"
    )
    return [
        Row(
            GROUP,
            f"writing {what} over another",
            kills,
            happened,
            lost(troubles + more),
        )
    ]


def kill_comparison(ground: Ground) -> list[Row]:
    """A comparison written over another one."""
    inputs = ground.inputs
    ground.ask.do(
        *("prepare_comparisons", inputs.real, inputs.fake),
        *(inputs.reference, inputs.other),
    )
    return _kill_writing(ground, "compare", "a comparison")


def kill_study(ground: Ground) -> list[Row]:
    """A study written over another one."""
    inputs = ground.inputs
    ground.ask.do("prepare_studies", inputs.real, inputs.points, inputs.fewer)
    return _kill_writing(ground, "study", "a study")


def kill_cache(ground: Ground) -> list[Row]:
    """Tiles of features kept in the cache."""
    folder, chance, kills = ground.room("cache"), ground.chance, 24
    troubles, whole = [], 0
    for _ in range(kills):
        after = chance.uniform(0.0, 0.08)
        _kill(ground, after, "keep_tiles", folder)
        troubles += broken_files(folder)
        whole += len(list(folder.rglob("*.tile")))
    left = _temporary(folder)
    _age(left)
    _kill(ground, 1, "keep_tiles", folder)
    said, more = _left(left)
    happened = f"all tiles that were there were whole ({whole} looked at); {said}"
    return [
        Row(
            GROUP,
            "writing tiles into the cache",
            kills,
            happened,
            lost(troubles + more),
        )
    ]


CASES: dict[str, Case] = {
    "kill-reference": kill_saving,
    "kill-library": kill_library,
    "kill-comparison": kill_comparison,
    "kill-study": kill_study,
    "kill-cache": kill_cache,
}
