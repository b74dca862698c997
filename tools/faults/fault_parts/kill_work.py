"""SIGKILL while the command works: batches, stacks, planes too large to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fault_parts.disks import contents
from fault_parts.killed_batches import try_batches
from fault_parts.rows import Row, lost
from fault_parts.whole import broken_files

if TYPE_CHECKING:
    from pathlib import Path

    from fault_parts.ground import Case, Ground

GROUP = "kill -9"


def kill_batch(ground: Ground) -> list[Row]:
    """`dinoprompt segment` on a folder, in forks that die at random moments."""
    kills = 8
    call = ["segment", ground.inputs.images, "--reference", ground.inputs.reference]
    alone = ground.room("alone")
    whole = ground.ask.command(*call, "--output", alone)
    folder, troubles = ground.room("out"), whole.troubles()
    finished: dict[str, int] = {}
    most, redone = 0, 0
    for _ in range(kills):
        after = ground.chance.uniform(0.2, 0.6 * whole.seconds)
        ground.ask.command(*call, "--output", folder, kill_after=after)
        now = _records(folder)
        redone += sum(now.get(name) != when for name, when in finished.items())
        finished, most = now, max(most, len(now))
        troubles += broken_files(folder)
    troubles += ground.ask.command(*call, "--output", folder).troubles(lines=0)
    now = _records(folder)
    redone += sum(now.get(name) != when for name, when in finished.items())
    troubles += ["a finished image was done again"] if redone else []
    troubles += _differ(folder, alone)
    happened = (
        f"{most} of 12 images were finished when it was killed for the last time; they "
        "were kept, the rest was done, and all files are those of a batch left alone"
    )
    return [
        Row(GROUP, "`dinoprompt segment` on a folder", kills, happened, lost(troubles))
    ]


def _records(folder: Path) -> dict[str, int]:
    """When each image was finished."""
    return {
        path.name: path.stat().st_mtime_ns
        for path in folder.glob("*_record.json")
        if b"unfinished" not in path.read_bytes()
    }


def kill_stack(ground: Ground) -> list[Row]:
    """`dinoprompt segment` on a stack: planes that are finished are kept."""
    kills = 8
    call = ["segment", ground.inputs.stack, "--reference", ground.inputs.reference]
    alone = ground.room("alone")
    whole = ground.ask.command(*call, "--output", alone)
    folder, troubles = ground.room("out"), whole.troubles()
    planes: dict[str, int] = {}
    redone, most = 0, 0
    for _ in range(kills):
        ground.ask.command(
            *(*call, "--output", folder),
            kill_after=ground.chance.uniform(0, 0.3 * whole.seconds),
            kill_when=str(folder / ".stack_*_planes.zarr" / "objects"),
        )
        now = _planes(folder)
        if now:
            redone += sum(now.get(name) != when for name, when in planes.items())
            planes, most = now, max(most, len(now))
        troubles += broken_files(folder)
    troubles += ground.ask.command(*call, "--output", folder).troubles(lines=0)
    troubles += ["a finished plane was done again"] if redone else []
    troubles += _differ(folder, alone)
    happened = (
        f"up to {most} of 8 planes were finished when it was killed; they were kept, "
        "the rest was done, and all files are those of a run left alone"
    )
    return [
        Row(GROUP, "`dinoprompt segment` on a stack", kills, happened, lost(troubles))
    ]


def _planes(folder: Path) -> dict[str, int]:
    """When each plane was noted as finished."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.glob(".*_planes.zarr/objects/c/**/*")
        if path.is_file() and "partial" not in path.name
    }


def kill_large(ground: Ground) -> list[Row]:
    """A plane done region by region: its scratch folder must not stay for ever."""
    kills = 6
    call = ["segment", ground.inputs.real, "--reference", ground.inputs.reference]
    call += [
        "--split",
        "--min-size",
        20,
        "--fill-holes",
        "--output",
        ground.room("out"),
    ]
    words = [str(one) for one in call]
    cache = ground.room("cache")
    env: dict[str, object] = {"DINOPROMPT_CACHE": cache}
    whole = ground.ask.do("compute_as_large", words, env=env)
    alone, troubles = contents(ground.room("out")), whole.troubles()
    left = 0
    for _ in range(kills):
        after = ground.chance.uniform(0.3, 0.95 * whole.seconds)
        again = [*words, "--again"]
        ground.ask.do("compute_as_large", again, env=env, kill_after=after)
        left += len(list(cache.glob("scratch-*")))
        troubles += broken_files(ground.room("out"))
    troubles += ground.ask.do(
        "compute_as_large", [*words, "--again"], env=env
    ).troubles()
    troubles += ["a scratch folder stays"] if list(cache.glob("scratch-*")) else []
    now = contents(ground.room("out"))
    troubles += [
        f"in the end another {name}"
        for name in alone
        if name.endswith(".tif") and alone[name] != now.get(name)
    ]
    happened = (
        f"scratch folders were seen {left} times after a kill; the next run removed "
        "them; results are those of a run left alone"
    )
    return [Row(GROUP, "a plane too large to hold", kills, happened, lost(troubles))]


def _differ(one: Path, other: Path) -> list[str]:
    here, there = contents(one), contents(other)
    kinds = (".tif", ".csv")
    return [
        f"in the end another {name}"
        for name in sorted(here.keys() | there.keys())
        if name.endswith(kinds) and here.get(name) != there.get(name)
    ]


def kill_workers(ground: Ground) -> list[Row]:
    """The same in processes of their own, and with workers that die."""
    rows = []
    for tried in try_batches(ground.folder, images=30, kills=3, seed=ground.seed):
        happened = (
            f"finished images after each kill: {tried.counts}; {tried.temporary} "
            f"temporary files seen; {tried.files} files, all as of a batch left alone"
        )
        what = f"30 images, {tried.name}"
        rows.append(Row(GROUP, what, tried.kills, happened, lost(tried.troubles)))
    return rows


CASES: dict[str, Case] = {
    "kill-batch": kill_batch,
    "kill-stack": kill_stack,
    "kill-large": kill_large,
    "kill-workers": kill_workers,
}
