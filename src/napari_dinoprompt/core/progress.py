"""Jobs that say how far they are."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Said = TypeVar("_Said")
_Passed = TypeVar("_Passed")

_YIELDS = re.compile(r"^( *)Yields\n\1-+\n(?:(?!\1\w.*\n\1---).*\n)*", re.MULTILINE)


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


def scaled_progress(
    steps: Generator[object, None, _Result], first: int, length: int, total: int
) -> Generator[Progress | Notice, None, _Result]:
    """Do a part of a job and say how far the whole is: never less than before."""
    reached = first

    def of_the_whole(said: object) -> tuple[Progress | Notice, ...]:
        nonlocal reached
        if isinstance(said, Progress):
            done = first + length * said.done // max(1, said.total)
            reached = max(reached, done)
            return (Progress(reached, total),)
        return (said,) if isinstance(said, Notice) else ()

    return (yield from map_steps(steps, of_the_whole))


def without_repeats(
    steps: Generator[_Said, None, _Result], said: set[str]
) -> Generator[_Said, None, _Result]:
    """Do a part of a job and drop notices that are in a set; new ones are added."""

    def unless_said(one: _Said) -> tuple[_Said, ...]:
        if isinstance(one, Notice):
            if one.message in said:
                return ()
            said.add(one.message)
        return (one,)

    return (yield from map_steps(steps, unless_said))


def map_steps(
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


def run_to_end(steps: Generator[object, None, _Result]) -> _Result:
    """Do a job without stopping and return its result; notices become warnings."""
    while True:
        try:
            said = next(steps)
        except StopIteration as finished:
            result: _Result = finished.value
            return result
        if isinstance(said, Notice):
            warnings.warn(said.message, RuntimeWarning, stacklevel=3)


def runs_to_end(
    name: str, steps: Callable[_Parameters, Generator[object, None, _Result]]
) -> Callable[_Parameters, _Result]:
    """Make of a function that works step by step one that does all at once.

    It has the parameters and the docstring of the other, without what that yields.

    Examples
    --------
    >>> def iter_squares(count: int) -> "Generator[Progress, None, list[int]]":
    ...     for done in range(count):
    ...         yield Progress(done + 1, count)
    ...     return [number**2 for number in range(count)]
    >>> squares = runs_to_end("squares", iter_squares)
    >>> squares(4)
    [0, 1, 4, 9]
    """

    @functools.wraps(steps)
    def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        return run_to_end(steps(*args, **kwargs))

    function: Any = run
    function.__name__ = name
    function.__qualname__ = re.sub(r"[^.]+$", name, steps.__qualname__)
    function.__doc__ = _YIELDS.sub("", steps.__doc__ or "")
    signature = inspect.signature(steps)
    returns = _returned(str(signature.return_annotation))
    function.__annotations__ = {**steps.__annotations__, "return": returns}
    function.__signature__ = signature.replace(return_annotation=returns)
    return run


def _returned(annotation: str) -> str:
    """Take the last part of ``Generator[yielded, sent, returned]``."""
    generator = ast.parse(annotation, mode="eval").body
    assert isinstance(generator, ast.Subscript)
    assert isinstance(generator.slice, ast.Tuple)
    return ast.unparse(generator.slice.elts[-1])
