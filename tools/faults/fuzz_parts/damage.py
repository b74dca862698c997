"""Damage to files: a few edits, each described by a few words."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

_NUMBERS = (0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 65535, 2**16, 2**31 - 1, 2**31)
_HOSTILE_JSON: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2.5, 1e308, 10**18, -(10**18), 10**400, "", "../../x"),
    *("/etc/passwd", "x" * 5000, [], {}, [[]], ["a"], [1, 2], [10**9, 10**9]),
    *({"a": 1}, "NaN", "|O", "<U9", ">f8", "pickle", {"id": "pickle"}, "\0", "\ud800"),
)


@dataclass(frozen=True)
class Edit:
    """One change to the bytes of a file.

    Attributes
    ----------
    kind : str
    at : float
        Where, as a share of the file.
    value : int
    """

    kind: str
    at: float
    value: int = 0

    def apply(self, content: bytes, other: bytes) -> bytes:
        """Make the change; `other` is what is spliced in."""
        if not content:
            return content
        place = min(int(self.at * len(content)), len(content) - 1)
        changed = bytearray(content)
        match self.kind:
            case "flip":
                changed[place] ^= 1 << (self.value % 8)
            case "byte":
                changed[place] = self.value % 256
            case "head":
                # Most of what matters is in the first bytes.
                changed[min(int(self.at * 300), len(content) - 1)] = self.value % 256
            case "cut":
                del changed[place:]
            case "remove":
                del changed[place : place + 1 + self.value % 64]
            case "double":
                part = content[place : place + 1 + self.value % 256]
                changed[place:place] = part
            case "zeros":
                part = bytes(1 + self.value % 64)
                changed[place : place + len(part)] = part[: len(content) - place]
            case "number":
                width = (2, 4, 8)[self.value % 3]
                number = _NUMBERS[self.value % len(_NUMBERS)]
                order = "little" if self.value % 2 else "big"
                shifted = number % 256**width
                changed[place : place + width] = shifted.to_bytes(width, order)
            case "splice":
                start = int(self.at * len(other))
                changed[place:] = other[start:]
            case "append":
                changed += bytes(1 + self.value % 5000)
            case "json":
                return _edit_json(content, self.value)
        return bytes(changed)


def _edit_json(content: bytes, value: int) -> bytes:
    """Replace something in JSON, of a whole file or of a safetensors header."""
    length = int.from_bytes(content[:8], "little")
    head = content[8 : 8 + length] if length <= len(content) else b""
    for start, text in ((8 + length, head), (len(content), content)):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue
        changed = _dump(_replace(found, random.Random(value)))
        if text is content:
            return changed
        return len(changed).to_bytes(8, "little") + changed + content[start:]
    return content


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def _replace(value: Any, dice: random.Random, depth: int = 0) -> Any:
    """Walk to a random place, and put something hostile there."""
    if isinstance(value, str) and value[:1] in ("{", "[") and dice.random() < 0.8:
        try:
            return json.dumps(_replace(json.loads(value), dice, depth))
        except ValueError:
            pass
    deeper = isinstance(value, dict | list) and value and dice.random() < 0.85
    if not deeper:
        if depth == 0 and dice.random() < 0.1:
            nested: Any = 0
            for _ in range(500):
                nested = [nested]
            return nested
        return dice.choice(_HOSTILE_JSON)
    if isinstance(value, list):
        changed = list(value)
        at = dice.randrange(len(changed))
        if dice.random() < 0.2:
            changed += changed * dice.choice([1, 50])
        elif dice.random() < 0.2:
            del changed[at]
        else:
            changed[at] = _replace(changed[at], dice, depth + 1)
        return changed
    keyed = dict(value)
    name = dice.choice(list(keyed))
    if dice.random() < 0.1:
        del keyed[name]
    elif dice.random() < 0.1:
        keyed[dice.choice(["", "more", "x" * 2000, "__metadata__"])] = keyed[name]
    else:
        keyed[name] = _replace(keyed[name], dice, depth + 1)
    return keyed


_KINDS = (
    *("flip", "flip", "byte", "head", "cut", "remove", "double", "zeros", "number"),
    *("number", "number", "splice", "append", "json", "json", "json"),
)
edits = st.lists(
    st.builds(
        Edit,
        st.sampled_from(_KINDS),
        st.integers(0, 9999).map(lambda n: n / 10000),
        st.integers(0, 2**20),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
"""One to three edits."""


def damaged(content: bytes, changes: tuple[Edit, ...], other: bytes = b"") -> bytes:
    """Apply edits one after the other."""
    for change in changes:
        content = change.apply(content, other or content)
    return content
