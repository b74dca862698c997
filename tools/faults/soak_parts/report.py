"""What the session did, in words and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soak_parts.user import User
    from soak_parts.watch import Reading, StallWatch


_SHOWN = 12


@dataclass(frozen=True)
class Faults:
    """What must not be.

    Attributes
    ----------
    records : list of str
        What napari was told of errors: no message of the dock goes there.
    layers : list of str
        Layers that are there after all were removed.
    finished : bool
        Whether all threads of work came to an end.
    scratch : list of str
        Temporary files that are there after all layers were removed.
    """

    records: list[str]
    layers: list[str]
    finished: bool
    scratch: list[str]

    @property
    def any(self) -> bool:
        return bool(self.records or self.layers or self.scratch) or not self.finished


def write_report(
    user: User,
    watch: StallWatch,
    readings: Sequence[Reading],
    faults: Faults,
    layers: int,
    images: int,
    longest_settle: float,
) -> str:
    """Write the report as Markdown.

    Parameters
    ----------
    user : User
    watch : StallWatch
    readings : sequence of Reading
        The last one is of the viewer without layers.
    faults : Faults
    layers, images : int
        Layers at the end, and images that are not ours among them.
    longest_settle : float
        Seconds until all work had come to its end, at worst.
    """
    during = readings[:-1]
    # The first minutes load what is loaded once: every tab, torch, matplotlib.
    warm = min(range(len(during)), key=lambda i: abs(during[i].seconds - 180))
    named = {
        "start": during[0],
        "after 3 min": during[warm],
        "middle": during[len(during) // 2],
        "end": during[-1],
        "all layers removed": readings[-1],
    }
    lines = [
        f"# A session of {during[-1].seconds / 60:.0f} minutes",
        "",
        "| | min | memory (MB) | threads | of Python | widgets | open files |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, at in named.items():
        lines.append(
            f"| {name} | {at.seconds / 60:.0f} | {at.megabytes:.0f} | {at.threads} "
            f"| {at.python_threads} | {at.widgets} | {at.files} |"
        )
    lines += [
        "",
        f"- {sum(user.done.values())} acts, {sum(user.passed.values())} more that were "
        "not possible at their moment.",
        f"- Longest time without an answer of the window: {watch.longest:.2f} s; "
        f"{len(watch.stalls)} longer than 0.5 s.",
        f"- Longest wait for all work to end: {longest_settle:.0f} s.",
        f"- Layers at the end: {layers}, {images} of them the user's images; after all "
        f"were removed: {faults.layers or 'none'}.",
        f"- Errors that napari was told: {len(faults.records)}.",
        f"- Threads of work that did not end: {'none' if faults.finished else 'some'}.",
        f"- Temporary files left: {faults.scratch or 'none'}.",
        "",
        "| act | done | not possible |",
        "|---|---|---|",
    ]
    for name in sorted({*user.done, *user.passed}):
        lines.append(f"| {name} | {user.done[name]} | {user.passed[name]} |")
    if watch.stalls:
        lines += ["", "| stall (s) | after | at |", "|---|---|---|"]
        worst = sorted(watch.stalls, key=lambda stall: -stall.seconds)[:_SHOWN]
        lines += [f"| {s.seconds:.2f} | {s.act} | {s.where} |" for s in worst]
    lines += ["", *faults.records]
    return "\n".join(lines) + "\n"
