"""A disk that is full: a tmpfs, filled so that nothing, or only a part, still fits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fault_parts.disks import Disk, mounted
from fault_parts.jobs import JOBS, Job
from fault_parts.rows import Row, lost, quote
from fault_parts.whole import broken_files, leftovers

if TYPE_CHECKING:
    from fault_parts.commander import Said
    from fault_parts.ground import Case, Ground

GROUP = "disk full"


def _try(job: Job, ground: Ground) -> list[Row]:
    """Fill the disk at several marks, look, make room, and do it again."""
    messages: list[str] = []
    troubles: list[str] = []
    with mounted(ground.room("disk")) as disk:
        before = disk.free
        first = job.run(ground.ask, ground.inputs, disk.folder, 1)
        troubles += first.troubles()
        wanted = disk.content()
        needed = before - disk.free
        _empty(disk)
        old = job.run(ground.ask, ground.inputs, disk.folder, 0)
        troubles += old.troubles()
        for share in job.shares:
            kept = disk.content()
            # What is replaced has to fit beside what was there.
            disk.fill(int(share * needed))
            said = job.run(ground.ask, ground.inputs, disk.folder, 1)
            troubles += _look(job, said, disk, fitted=share > 0 and not said.code)
            troubles += _changed(kept, disk.content(), wanted)
            messages += said.complaints[-1:]
            disk.make_room()
            if share and not said.code:
                # It fitted after all. Where nothing does, it may not.
                job.run(ground.ask, ground.inputs, disk.folder, 0)
        after = job.run(ground.ask, ground.inputs, disk.folder, 1)
        troubles += [f"with room again: {one}" for one in after.troubles()]
        if not job.variable:
            troubles += _different(disk.content(), wanted)
        troubles += leftovers(disk.folder)
    return [
        Row(
            GROUP,
            f"{job.what}; room for {', '.join(f'{s:.0%}' for s in job.shares)} of it",
            len(job.shares),
            _tell(job, messages, len(job.shares)),
            lost(troubles),
        )
    ]


def _look(job: Job, said: Said, disk: Disk, *, fitted: bool) -> list[str]:
    if job.goes_on or fitted:
        return [*said.troubles(lines=0), *broken_files(disk.folder)]
    found = said.troubles(code=2, lines=1)
    found += [] if "full" in said.err or "free" in said.err else [f"says {said.err}"]
    return [*found, *broken_files(disk.folder), *leftovers(disk.folder)]


def _changed(
    old: dict[str, bytes], now: dict[str, bytes], wanted: dict[str, bytes]
) -> list[str]:
    """Each file is still the old one, or the whole new one."""
    gone = [name for name in old if name not in now and not _ours(name)]
    mixed = [
        name
        for name, content in now.items()
        if name in old
        and name.endswith((".tif", ".safetensors"))
        and content not in (old.get(name), wanted.get(name))
    ]
    return [f"gone: {name}" for name in gone] + [f"mixed: {name}" for name in mixed]


def _ours(name: str) -> bool:
    """Tell whether a file holds work in progress, or is a tile of the cache."""
    return name.startswith("place/") or any(
        part.startswith(".") for part in name.split("/")
    )


def _different(now: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    """Compare what is there in the end with what an undisturbed run writes."""
    kinds = (".tif", ".safetensors", ".csv")
    here = {name: one for name, one in now.items() if name.endswith(kinds)}
    there = {name: one for name, one in wanted.items() if name.endswith(kinds)}
    return [
        f"in the end another {name}"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]


def _empty(disk: Disk) -> None:
    import shutil

    for path in disk.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _tell(job: Job, messages: list[str], tries: int) -> str:
    if job.goes_on:
        return "goes on without keeping them; the result is there, and no line is said"
    said = quote(messages[0]) if messages else "no message"
    fitted = tries - len(messages)
    return (
        f"{said} {f'(It fitted {fitted} times.) ' if fitted else ''}Old files are as "
        "they were or whole new ones; with room again the same command gives what an "
        "undisturbed one gives"
    )


_PIECES = (2, 12, 25)


def _fill_meanwhile(ground: Ground) -> list[Row]:
    """Another program fills the disk while a large plane is written there."""
    job, troubles, messages = JOBS["cleaning"], [], []
    with mounted(ground.room("disk"), megabytes=16) as disk:
        call = job.arguments(ground.inputs, disk.folder, 0)
        env: dict[str, object] = {job.variable: disk.folder / "place"}
        for pieces in _PIECES:
            words = [str(disk.folder), str(pieces), *(str(one) for one in call)]
            said = ground.ask.do("compute_while_disk_fills", words, env=env)
            troubles += said.troubles(code=2, lines=1)
            troubles += [] if "full" in said.err else [f"says {said.err}"]
            messages += said.complaints[-1:]
            disk.make_room()
            # What is left of it is removed by the next run.
        troubles += job.run(ground.ask, ground.inputs, disk.folder, 0).troubles()
        troubles += leftovers(disk.folder)
    told = quote(messages[0]) if messages else "no message"
    happened = f"{told} With room again the same command works"
    what = "the scratch disk of a large plane, filled by another program meanwhile"
    return [Row(GROUP, what, len(_PIECES), happened, lost(troubles))]


CASES: dict[str, Case] = {
    **{f"full-{name}": partial(_try, job) for name, job in JOBS.items()},
    "full-meanwhile": _fill_meanwhile,
}
