"""safetensors files that may come from anywhere, read with care.

Everything that the file declares is held against its size before memory is taken.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from numpy.typing import NDArray

__all__ = [
    "LARGEST_FILE",
    "LARGEST_HEADER",
    "TensorLayout",
    "check_tensors",
    "parse_json",
    "read_layout",
    "read_tensors",
]

LARGEST_FILE = 512 * 2**20
"""In bytes; tens of thousands of prompts of the largest backbone."""
LARGEST_HEADER = 16 * 2**20
Shape = tuple[int, ...]
_DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
}


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
    """Read the head of a file.

    Parameters
    ----------
    file : binary file

    Returns
    -------
    TensorLayout

    Raises
    ------
    ValueError
        If this is no safetensors file.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size == 0:
        msg = "it is empty"
        raise ValueError(msg)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        msg = "it is no safetensors file, or ends too early"
        raise ValueError(msg)
    if length > LARGEST_HEADER:
        msg = f"its header of {length / 1e6:.0f} MB is too large"
        raise ValueError(msg)
    declared = parse_json(file.read(length))
    if not isinstance(declared, dict):
        msg = "its header is none"
        raise ValueError(msg)
    metadata = declared.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        msg = "its metadata are not text"
        raise ValueError(msg)
    return TensorLayout(metadata, declared, 8 + length, size)


def read_tensors(
    file: BinaryIO, layout: TensorLayout, expected: Mapping[str, tuple[str, Shape]]
) -> dict[str, NDArray[Any]]:
    """Read the numbers of a file, if they are those that are expected.

    Parameters
    ----------
    file : binary file
    layout : TensorLayout
        Of this file.
    expected : mapping of str to (str, tuple of int)
        Each tensor's dtype, as safetensors calls it, and its shape.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    ValueError
        If there are other tensors, of another dtype or shape, or the file is too
        large, too short or too long for them.
    """
    check_tensors(layout, expected)
    found = {}
    for name, (kind, shape) in expected.items():
        begin, end = layout.tensors[name]["data_offsets"]
        file.seek(layout.start + begin)
        content = file.read(end - begin)
        if len(content) != end - begin:
            msg = "it ends too early"
            raise ValueError(msg)
        dtype = _DTYPES[kind]
        # Writable and in the machine's own byte order, as if made here.
        numbers = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))
        found[name] = numbers.reshape(shape)
    return found


def check_tensors(
    layout: TensorLayout, expected: Mapping[str, tuple[str, Shape]]
) -> None:
    """Hold what a file declares against its size and against what is expected.

    Raises
    ------
    ValueError
        As `read_tensors`.
    """
    if layout.size > LARGEST_FILE:
        msg = f"with {layout.size / 1e6:.0f} MB it is too large"
        raise ValueError(msg)
    if layout.tensors.keys() != expected.keys():
        msg = f"it does not hold exactly {', '.join(expected)}"
        raise ValueError(msg)
    spans = []
    for name, (kind, shape) in expected.items():
        size = math.prod(shape) * _DTYPES[kind].itemsize
        begin, end = _check_entry(name, layout.tensors[name], kind, shape)
        if end - begin != size:
            msg = f"{name} does not have the size that its shape needs"
            raise ValueError(msg)
        spans.append((begin, end))
    place = 0
    for begin, end in sorted(spans):
        if begin != place:
            msg = "its tensors do not lie one after the other"
            raise ValueError(msg)
        place = end
    if layout.start + place != layout.size:
        msg = f"it has {layout.size} bytes where {layout.start + place} are declared"
        raise ValueError(msg)


def _check_entry(name: str, entry: Any, kind: str, shape: Shape) -> tuple[int, int]:
    if not isinstance(entry, dict) or entry.keys() != {
        "dtype",
        "shape",
        "data_offsets",
    }:
        msg = f"{name} is not described"
        raise ValueError(msg)
    if entry["dtype"] != kind or entry["shape"] != list(shape):
        wanted = " x ".join(map(str, shape))
        msg = f"{name} is not {wanted} numbers of {kind}"
        raise ValueError(msg)
    offsets = entry["data_offsets"]
    if not (
        isinstance(offsets, list)
        and len(offsets) == 2
        and all(type(at) is int for at in offsets)
        and 0 <= offsets[0] <= offsets[1]
    ):
        msg = f"{name} has no place"
        raise ValueError(msg)
    return offsets[0], offsets[1]


def parse_json(text: str | bytes) -> Any:
    """Read JSON that may come from anywhere.

    Parameters
    ----------
    text : str or bytes

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If it is none, or holds NaN or infinity, or is nested without end.
    """

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
