"""Records as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["as_csv", "as_json", "csv_lines"]

# What spreadsheets compute instead of showing it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(
    rows: Sequence[Mapping[str, object]], keys: Sequence[str] | None = None
) -> bytes:
    """Turn records into CSV with a header."""
    header = keys or (rows[0] if rows else ())
    return csv_lines([header, *(row.values() for row in rows)])


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Turn values into lines of CSV.

    UTF-8; names of files that are none are written with backslashes.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_cell(one) for one in row] for row in rows)
    return _encode(text.getvalue())


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if _is_nan(value) else value


def _encode(text: str) -> bytes:
    # Not every name of a file on Linux is text.
    return text.encode(errors="backslashreplace")


def as_json(content: Mapping[str, object]) -> bytes:
    """Turn records into JSON, which knows neither NaN nor infinity.

    NaN is null, infinity a string.
    """
    text = json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False)
    return _encode(text) + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if _is_nan(value):
        return None
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
