"""Records as CSV and JSON, and small files that are written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.files.atomic import open_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["as_csv", "as_json", "csv_lines", "write_bytes"]


def as_csv(
    rows: Sequence[Mapping[str, object]], keys: Sequence[str] | None = None
) -> bytes:
    """Turn records into CSV with a header.

    Parameters
    ----------
    rows : sequence of mapping
        All with the same keys; NaN becomes an empty cell.
    keys : sequence of str, optional
        The header where there may be no record.

    Returns
    -------
    bytes
    """
    header = keys or (rows[0] if rows else ())
    return csv_lines([header, *(row.values() for row in rows)])


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Turn values into lines of CSV.

    Parameters
    ----------
    rows : iterable of iterable
        NaN becomes an empty cell.

    Returns
    -------
    bytes
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(["" if _is_nan(one) else one for one in row] for row in rows)
    return text.getvalue().encode()


def as_json(content: Mapping[str, object]) -> bytes:
    """Turn records into JSON, which knows neither NaN nor infinity.

    Parameters
    ----------
    content : mapping
        Of numbers, texts, lists and mappings.

    Returns
    -------
    bytes
        NaN is null, infinity a string.
    """
    text = json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


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


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : Path
    content : bytes

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If it cannot be written; an older file of that name is kept.
    """
    try:
        with open_atomically(path) as file:
            file.write(content)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}."
        raise InputError(msg) from error
    return path
