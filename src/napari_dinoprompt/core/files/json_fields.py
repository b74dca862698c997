"""Taking JSON apart that may come from anywhere.

Each function takes a value and what it is called. It returns the value if that is what
belongs there, and raises a ValueError otherwise, which says what is wrong with "it",
the file.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[Any, str], Any]

T = TypeVar("T")

__all__ = [
    "parse_json",
    "require",
    "take_fields",
    "take_flag",
    "take_items",
    "take_number",
    "take_numbers",
    "take_record",
    "take_text",
    "take_whole",
]

_LONGEST_TEXT = 1000
_MOST = 2**62


def parse_json(text: str | bytes) -> Any:
    """Read JSON; refuse NaN and infinity too, and what is nested without end."""

    def refuse(word: str) -> float:
        msg = f"it holds {word}"
        raise ValueError(msg)

    try:
        if isinstance(text, bytes):
            text = text.decode()
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        msg = "its header is nested too deeply"
        raise ValueError(msg) from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        msg = "its header is not JSON"
        raise ValueError(msg) from None


def require(right: bool, wrong: str) -> None:
    """Raise a ValueError that says what is wrong, unless all is right."""
    if not right:
        raise ValueError(wrong)


def take_fields(value: Any, what: str, names: set[str]) -> dict[str, Any]:
    """Take an object that has exactly these fields."""
    if not isinstance(value, dict) or value.keys() != names:
        msg = f"its {what} does not hold exactly what belongs there"
        raise ValueError(msg)
    return value


def take_record(value: Any, what: str, kind: Callable[..., T], **checks: Check) -> T:
    """Take an object and make a dataclass of it, whose fields are checked in turn."""
    fields = take_fields(value, what, set(checks))
    return kind(
        **{
            name: check(fields[name], name.replace("_", " "))
            for name, check in checks.items()
        }
    )


def take_items(value: Any, what: str, check: Callable[[Any, str], T]) -> tuple[T, ...]:
    """Take a list, each item by a function like those here."""
    require(isinstance(value, list), f"its {what} are no list")
    return tuple(check(one, what) for one in value)


def take_text(value: Any, what: str) -> str:
    """Take a text of at most a thousand letters that can be shown and saved."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        msg = f"its {what} is not a text of at most {_LONGEST_TEXT} letters"
        raise ValueError(msg)
    try:
        value.encode()
    except UnicodeEncodeError:
        # Half of a pair of code units.
        msg = f"its {what} is not Unicode"
        raise ValueError(msg) from None
    return value


def take_flag(value: Any, what: str) -> bool:
    """Take true or false."""
    if type(value) is not bool:
        msg = f"its {what} is neither on nor off"
        raise ValueError(msg)
    return value


def take_whole(value: Any, what: str, *, least: int, most: int = _MOST) -> int:
    """Take a whole number."""
    # True is an int to Python.
    if type(value) is not int or not least <= value <= most:
        msg = f"its {what} is not a whole number from {least} to {most:g}"
        raise ValueError(msg)
    return value


def take_number(
    value: Any, what: str, *, least: float = -math.inf, most: float = math.inf
) -> float:
    """Take a finite number."""
    if type(value) is int and abs(value) <= _MOST:
        value = float(value)
    if type(value) is not float or not math.isfinite(value):
        msg = f"its {what} is not a number"
        raise ValueError(msg)
    require(least <= value <= most, f"its {what} is {value:g}")
    return value


def take_numbers(
    value: Any, what: str, *, limit: float, key: Callable[[Any, str], str] = take_text
) -> dict[str, float]:
    """Take an object of numbers between plus and minus a limit."""
    require(isinstance(value, dict), f"its {what} are none")
    return {
        key(name, what): take_number(one, what, least=-limit, most=limit)
        for name, one in value.items()
    }
