"""Jobs that say how far they are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Notice", "Progress", "along", "once", "run_through"]

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
    while True:
        try:
            said = next(steps)
        except StopIteration as finished:
            result: _Result = finished.value
            return result
        if isinstance(said, Notice):
            yield said
        elif isinstance(said, Progress):
            yield Progress(first + length * said.done // max(1, said.total), total)


def once(
    steps: Generator[Progress | Notice, None, _Result], said: set[str]
) -> Generator[Progress | Notice, None, _Result]:
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
    while True:
        try:
            one = next(steps)
        except StopIteration as finished:
            result: _Result = finished.value
            return result
        if isinstance(one, Notice):
            if one.message in said:
                continue
            said.add(one.message)
        yield one


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
