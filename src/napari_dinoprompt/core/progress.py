"""Jobs that say how far they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Progress", "run_through"]

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes
    ----------
    done, total : int
        Tiles, files, or bytes. A total of 0 is not known yet.
    """

    done: int
    total: int


def run_through(steps: Generator[object, None, _Result]) -> _Result:
    """Do a job without stopping and return its result.

    Parameters
    ----------
    steps : generator
        The job; what it yields on the way is dropped.

    Returns
    -------
    object
        What the generator returns.
    """
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            result: _Result = finished.value
            return result
