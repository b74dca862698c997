"""All cases, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fault_parts import (
    bad_input,
    closing,
    crowds,
    full,
    kill_files,
    kill_work,
    memory,
    readonly,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fault_parts.ground import Case

_ALL: dict[str, Case] = {
    **kill_files.CASES,
    **kill_work.CASES,
    **full.CASES,
    **readonly.CASES,
    **memory.CASES,
    **bad_input.CASES,
    **closing.CASES,
    **crowds.CASES,
}


def choose(names: list[str]) -> dict[str, Case]:
    """Return the cases whose names begin with one of these; all if there is none."""
    return {
        name: case
        for name, case in _ALL.items()
        if not names or any(name.startswith(one) for one in names)
    }


def need_inputs(chosen: Iterable[str]) -> bool:
    """Tell whether any case starts from files; those in windows do not."""
    windows = {*closing.CASES, *crowds.CASES, "bad-dock"}
    return not windows.issuperset(chosen)
