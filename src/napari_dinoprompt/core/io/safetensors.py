"""safetensors and JSON that may come from anywhere, read with care.

Everything that the file declares is held against its size before memory is taken.
safetensors' own check lets in entries that say more than they should.

Taking JSON apart that may come from anywhere. Each function takes a value and what it
is called. It returns the value if that is what belongs there, and raises a ValueError
otherwise, which says what is wrong with "it", the file.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from numpy.typing import NDArray

    Expected = Mapping[str, tuple[str, tuple[int, ...]]]
    Check = Callable[[Any, str], Any]


# In bytes; tens of thousands of prompts of the largest backbone.
LARGEST_FILE = 512 * 2**20
LARGEST_HEADER = 16 * 2**20
_DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
}

T = TypeVar("T")

_LONGEST_TEXT = 1000
_MOST = 2**62


@dataclass(frozen=True)
class TensorLayout:
    """What the head of a safetensors file declares.

    Attributes
    ----------
    metadata : mapping of str to str
    tensors : mapping of str to object
        As declared; nothing has been checked.
    start : int
        Where the numbers begin, in bytes.
    size : int
        Of the file, in bytes.
    """

    metadata: Mapping[str, str]
    tensors: Mapping[str, Any]
    start: int
    size: int


def read_layout(file: BinaryIO) -> TensorLayout:
    """Read the head of a file; a ValueError says why it is no safetensors file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    require(size > 0, "it is empty")
    length = int.from_bytes(file.read(8), "little")
    require(8 + length <= size, "it is no safetensors file, or ends too early")
    require(
        length <= LARGEST_HEADER, f"its header of {length / 1e6:.0f} MB is too large"
    )
    declared = parse_json(file.read(length))
    if not isinstance(declared, dict):
        raise ValueError("its header is none")
    metadata = declared.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise ValueError("its metadata are not text")
    return TensorLayout(metadata, declared, 8 + length, size)


def read_tensors(
    file: BinaryIO, layout: TensorLayout, expected: Expected
) -> dict[str, NDArray[Any]]:
    """Read the numbers of a file, if they are those that `check_tensors` expects."""
    check_tensors(layout, expected)
    found = {}
    file.seek(layout.start)
    for name in layout.tensors:
        kind, shape = expected[name]
        dtype = _DTYPES[kind]
        content = file.read(math.prod(shape) * dtype.itemsize)
        # Writable and in the machine's own byte order, as if made here.
        numbers = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))
        found[name] = numbers.reshape(shape)
    return found


def check_tensors(layout: TensorLayout, expected: Expected) -> None:
    """Hold what a file declares against its size and against what is expected."""
    size = layout.size
    require(size <= LARGEST_FILE, f"with {size / 1e6:.0f} MB it is too large")
    require(
        layout.tensors.keys() == expected.keys(),
        f"it does not hold exactly {', '.join(expected)}",
    )
    place = 0
    for name, entry in layout.tensors.items():
        kind, shape = expected[name]
        end = place + math.prod(shape) * _DTYPES[kind].itemsize
        right = {"data_offsets": [place, end], "dtype": kind, "shape": list(shape)}
        # As text: to Python 1, 1.0 and True are the same.
        require(
            json.dumps(entry, sort_keys=True) == json.dumps(right),
            f"{name} is not described as {' x '.join(map(str, shape))} numbers of "
            f"{kind} from byte {place}",
        )
        place = end
    end = layout.start + place
    require(end == size, f"it has {size} bytes where {end} are declared")


def parse_json(text: str | bytes) -> Any:
    """Read JSON; refuse NaN and infinity too, and what is nested without end."""

    def refuse(word: str) -> float:
        raise ValueError(f"it holds {word}")

    try:
        if isinstance(text, bytes):
            text = text.decode()
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError("its header is not JSON") from None


def require(right: bool, wrong: str) -> None:
    """Raise a ValueError that says what is wrong, unless all is right."""
    if not right:
        raise ValueError(wrong)


def take_fields(value: Any, what: str, names: set[str]) -> dict[str, Any]:
    """Take an object that has exactly these fields."""
    if not isinstance(value, dict) or value.keys() != names:
        raise ValueError(f"its {what} does not hold exactly what belongs there")
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
        raise ValueError(f"its {what} is not a text of at most {_LONGEST_TEXT} letters")
    try:
        value.encode()
    except UnicodeEncodeError:
        # Half of a pair of code units.
        raise ValueError(f"its {what} is not Unicode") from None
    return value


def take_flag(value: Any, what: str) -> bool:
    """Take true or false."""
    if type(value) is not bool:
        raise ValueError(f"its {what} is neither on nor off")
    return value


def take_whole(value: Any, what: str, *, least: int, most: int = _MOST) -> int:
    """Take a whole number."""
    # True is an int to Python.
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"its {what} is not a whole number from {least} to {most:g}")
    return value


def take_number(
    value: Any, what: str, *, least: float = -math.inf, most: float = math.inf
) -> float:
    """Take a finite number."""
    if type(value) is int and abs(value) <= _MOST:
        value = float(value)
    if type(value) is not float or not math.isfinite(value):
        raise ValueError(f"its {what} is not a number")
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
