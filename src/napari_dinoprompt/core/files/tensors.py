"""safetensors files that may come from anywhere, read with care.

Everything that the file declares is held against its size before memory is taken.
safetensors' own check lets in entries that say more than they should.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.files.json_fields import parse_json, require

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from numpy.typing import NDArray

    Expected = Mapping[str, tuple[str, tuple[int, ...]]]

__all__ = [
    "LARGEST_FILE",
    "LARGEST_HEADER",
    "TensorLayout",
    "check_tensors",
    "read_layout",
    "read_tensors",
]

LARGEST_FILE = 512 * 2**20
"""In bytes; tens of thousands of prompts of the largest backbone."""
LARGEST_HEADER = 16 * 2**20
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
