"""TIFF files written tag by tag, for what no library writes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SHORT, _LONG = 3, 4


def write_raw(
    path: Path,
    pages: Sequence[tuple[Mapping[int, Sequence[int]], bytes]],
) -> Path:
    """Write pages, each of tags of unsigned numbers and one strip of bytes."""
    content = bytearray(b"II*\0\0\0\0\0")
    link = 4
    for tags, strip in pages:
        start = len(content)
        content += strip + bytes(len(strip) % 2)
        full = {**tags, 273: [start], 279: [len(strip)]}
        extra = bytearray()
        at = len(content)
        end = at + 2 + 12 * len(full) + 4
        content[link : link + 4] = struct.pack("<I", at)
        content += struct.pack("<H", len(full))
        for tag, values in sorted(full.items()):
            wide = max(values) > 65535 or tag in (273, 279)
            kind, letter = (_LONG, "I") if wide else (_SHORT, "H")
            data = struct.pack(f"<{len(values)}{letter}", *values)
            if len(data) > 4:
                place = struct.pack("<I", end + len(extra))
                extra += data + bytes(len(data) % 2)
            else:
                place = data.ljust(4, b"\0")
            content += struct.pack("<HHI", tag, kind, len(values)) + place
        link = len(content)
        content += b"\0\0\0\0" + extra
    path.write_bytes(content)
    return path


def picture_tags(
    height: int, width: int, bits: Sequence[int], meaning: int | None, **more: int
) -> dict[int, Sequence[int]]:
    """Return the tags that every page has; no photometric meaning for None."""
    tags: dict[int, Sequence[int]] = {
        256: [width],
        257: [height],
        258: bits,
        259: [1],
        277: [more.pop("samples", len(bits))],
        278: [height],
    }
    if meaning is not None:
        tags[262] = [meaning]
    names = {"planar": 284, "alpha": 338, "fill": 266, "format": 339, "sub": 254}
    tags |= {names[name]: [value] for name, value in more.items()}
    return tags
