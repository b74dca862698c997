"""Places where nothing may be written: by the disk, or by their permissions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fault_parts.disks import mounted
from fault_parts.jobs import JOBS, Job
from fault_parts.rows import Row, lost, quote

if TYPE_CHECKING:
    from pathlib import Path

    from fault_parts.ground import Case, Ground

GROUP = "read-only"


def _try(job: Job, ground: Ground) -> list[Row]:
    rows = []
    with mounted(ground.room("disk")) as disk:
        old = job.run(ground.ask, ground.inputs, disk.folder, 0)
        kept = disk.content()
        for how in ("a disk mounted read-only", "permissions that forbid it"):
            humble = not how.startswith("a disk")
            disk.protect(not humble)
            if humble:
                _forbid(disk.folder)
            said = job.run(ground.ask, ground.inputs, disk.folder, 1, humble=humble)
            troubles = old.troubles()
            if job.goes_on:
                troubles += said.troubles(lines=0)
            else:
                troubles += said.troubles(code=2, lines=1)
                troubles += _unhelpful(said.err)
            if disk.content() != kept:
                troubles.append("files have changed")
            told = quote(said.last_line) if said.err else "goes on without a word"
            rows.append(Row(GROUP, f"{job.what}; {how}", 1, told, lost(troubles)))
            disk.protect(False)
    return rows


def _forbid(folder: Path) -> None:
    """Leave only the right to look."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def _unhelpful(said: str) -> list[str]:
    """A message has to say what to do."""
    advice = ("Choose another", "choose another", "Name another", "permissions")
    return [] if any(words in said for words in advice) else ["no word of what to do"]


CASES: dict[str, Case] = {
    f"readonly-{name}": partial(_try, job) for name, job in JOBS.items()
}
