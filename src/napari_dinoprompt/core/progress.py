"""Jobs that say how far they are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Notice", "Progress", "along", "once", "run_through"]

_Result = TypeVar("_Result")
_Said = TypeVar("_Said")
_Passed = TypeVar("_Passed")


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


@dataclass(frozen=True)
class Notice:
    """Something about a job that the user should know, though it goes on.

    Attributes
    ----------
    message : str
        One sentence.
    """

    message: str


def along(
    steps: Generator[object, None, _Result], first: int, length: int, total: int
) -> Generator[Progress | Notice, None, _Result]:
    """Do a part of a job and say how far the whole is.

    Parameters
    ----------
    steps : generator
        The part; notices are passed on, and all else but progress is dropped.
    first, length : int
        Where the part begins in the whole, and how much of it it is.
    total : int
        Of the whole.

    Yields
    ------
    Progress
        Of the whole.
    Notice

    Returns
    -------
    object
        What the generator returns.
    """

    def of_the_whole(said: object) -> tuple[Progress | Notice, ...]:
        if isinstance(said, Progress):
            done = first + length * said.done // max(1, said.total)
            return (Progress(done, total),)
        return (said,) if isinstance(said, Notice) else ()

    return (yield from _passing(steps, of_the_whole))


def once(
    steps: Generator[_Said, None, _Result], said: set[str]
) -> Generator[_Said, None, _Result]:
    """Do a part of a job and drop notices that another part has given.

    Parameters
    ----------
    steps : generator
        The part.
    said : set of str
        Messages so far; those of this part are added.

    Yields
    ------
    Progress
    Notice

    Returns
    -------
    object
        What the generator returns.
    """

    def unless_said(one: _Said) -> tuple[_Said, ...]:
        if isinstance(one, Notice):
            if one.message in said:
                return ()
            said.add(one.message)
        return (one,)

    return (yield from _passing(steps, unless_said))


def _passing(
    steps: Generator[_Said, None, _Result],
    change: Callable[[_Said], tuple[_Passed, ...]],
) -> Generator[_Passed, None, _Result]:
    """Do a part of a job; pass on what a function makes of what it says."""
    while True:
        try:
            said = next(steps)
        except StopIteration as finished:
            result: _Result = finished.value
            return result
        yield from change(said)


def run_through(steps: Generator[object, None, _Result]) -> _Result:
    """Do a job without stopping and return its result.

    Parameters
    ----------
    steps : generator
        The job; of what it yields on the way, notices become warnings.

    Returns
    -------
    object
        What the generator returns.
    """
    while True:
        try:
            said = next(steps)
        except StopIteration as finished:
            result: _Result = finished.value
            return result
        if isinstance(said, Notice):
            warnings.warn(said.message, RuntimeWarning, stacklevel=3)
