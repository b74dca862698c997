"""Taking JSON apart that may come from anywhere.

Each function returns what it was given if that is what belongs there, and raises a
ValueError otherwise, which says what is wrong with "it", the file.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["take_fields", "take_items", "take_number", "take_text", "take_whole"]

_LONGEST_TEXT = 1000
_MOST = 2**62


def take_fields(value: Any, what: str, names: set[str]) -> dict[str, Any]:
    """Take an object that has exactly these fields.

    Raises
    ------
    ValueError
        If it is none, or a field is missing or too much.
    """
    if not isinstance(value, dict) or value.keys() != names:
        msg = f"its {what} does not hold exactly what belongs there"
        raise ValueError(msg)
    return value


def take_items(value: Any, what: str, check: Callable[[Any, str], T]) -> tuple[T, ...]:
    """Take a list, each item by a function like those here.

    Raises
    ------
    ValueError
        If it is none, or an item is wrong.
    """
    if not isinstance(value, list):
        msg = f"its {what} are no list"
        raise ValueError(msg)
    return tuple(check(one, what) for one in value)


def take_text(value: Any, what: str) -> str:
    """Take a text of at most a thousand letters.

    Raises
    ------
    ValueError
        If it is none, or longer, or could neither be shown nor saved.
    """
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        msg = f"its {what} is not a text of at most {_LONGEST_TEXT} letters"
        raise ValueError(msg)
    try:
        value.encode()
    except UnicodeEncodeError:
        # Half of a pair of code units: it could be neither shown nor saved.
        msg = f"its {what} is not Unicode"
        raise ValueError(msg) from None
    return value


def take_whole(value: Any, what: str, *, least: int) -> int:
    """Take a whole number.

    Raises
    ------
    ValueError
        If it is none, below the least or beyond 2**62.
    """
    # True is an int to Python.
    if type(value) is not int or not least <= value <= _MOST:
        msg = f"its {what} is not a whole number from {least}"
        raise ValueError(msg)
    return value


def take_number(value: Any, what: str) -> float:
    """Take a finite number.

    Raises
    ------
    ValueError
        If it is none.
    """
    if type(value) is int and abs(value) <= _MOST:
        value = float(value)
    if type(value) is not float or not math.isfinite(value):
        msg = f"its {what} is not a number"
        raise ValueError(msg)
    return value
