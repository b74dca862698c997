"""Files that are written whole or not at all, their names, and tables."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import re
import time
import unicodedata
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_dinoprompt.core.errors import CannotWriteError, DinopromptError, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import BinaryIO


_DAY = 86_400
# Of the folders above it, where they cannot be made.
_NO_SUCH_PLACE = (errno.ENOENT, errno.ENOTDIR)

_FORBIDDEN = re.compile(r'[/\\:*?"<>|]')
# What Windows keeps for devices, with or without a suffix.
_RESERVED = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE
)
# In bytes: file systems take 255, and a suffix and a number come behind.
_LONGEST = 180
_NAMELESS = "reference"

# What spreadsheets compute instead of showing it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def explaining_writes(path: Path) -> Iterator[None]:
    """Say in words that something cannot be written."""
    try:
        yield
    except DinopromptError:
        # Some of them are OSErrors, too.
        raise
    except OSError as error:
        if error.errno in _NO_SUCH_PLACE:
            reason = "there can be no such folder. Choose another place"
        else:
            reason = reason_of(error)
        raise CannotWriteError(f"{path} cannot be written: {reason}.") from error


def check_place(folder: Path) -> None:
    """Complain, before any work, about a folder where nothing can be written.

    Nothing is made. A disk may still turn out to be full.
    """
    # Path.exists takes a place below a file for one that could be made.
    whole = folder.absolute()
    there = next(path for path in (whole, *whole.parents) if os.path.lexists(path))
    with explaining_writes(folder):
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK | os.X_OK):
            number = errno.EROFS if _is_read_only(there) else errno.EACCES
            raise OSError(number, os.strerror(number))


def _is_read_only(folder: Path) -> bool:
    # Windows has no such thing as a disk that is mounted read-only.
    if not hasattr(os, "statvfs"):
        return False
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its place only once it is complete."""
    with explaining_writes(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not tempfile: its files can be read by their owner only, and so would these.
        temporary = temporary_path(path.parent)
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            # A disk that cannot be written to holds none.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all."""
    with open_atomically(path) as file:
        file.write(content)
    return path


def temporary_path(folder: Path) -> Path:
    """Return a name in a folder that nobody else uses."""
    return folder / f".dinoprompt-{uuid4().hex}.tmp"


def remove_leftovers(folder: Path, age: float = _DAY) -> None:
    """Remove what killed programs have left half-written."""
    before = time.time() - age
    for path in folder.glob(".dinoprompt-*.tmp"):
        # Somebody else may remove it at the same time.
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()


def user_folder(variable: str, name: str) -> Path:
    """Return a folder, which need not be there, of what the user keeps with us.

    It is where an environment variable says, or has a name in the user's data.
    """
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-dinoprompt", appauthor=False) / name


def clean_name(name: str) -> str:
    """Replace what a file cannot be called.

    Letters of all scripts and blanks stay; never empty, and never hidden.
    """
    composed = unicodedata.normalize("NFC", name)
    readable = "".join(
        " " if letter.isspace() else letter
        for letter in composed
        # Control and formatting characters, and halves of pairs.
        if letter.isspace() or unicodedata.category(letter)[0] != "C"
    )
    text = _FORBIDDEN.sub("-", readable).strip().lstrip(".").strip()
    text = text.encode()[:_LONGEST].decode(errors="ignore").rstrip(". ")
    if not text:
        return _NAMELESS
    return f"{text}_" if _RESERVED.fullmatch(text) else text


def free_name(name: str, taken: Iterable[str]) -> str:
    """Add a number to a name if it is taken.

    "nuclei", "nuclei 2", "nuclei 3" and so on; upper and lower case are one.
    """
    known = {_fold(one) for one in taken}
    free, number = name, 1
    while _fold(free) in known:
        number += 1
        free = f"{name} {number}"
    return free


def _fold(name: str) -> str:
    # File systems that tell neither case nor composed letters apart are common.
    return unicodedata.normalize("NFC", name.casefold())


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


def software_version() -> str:
    """Return the installed version, or ``"unknown"`` from a bare source tree."""
    try:
        return version("napari-dinoprompt")
    except PackageNotFoundError:
        return "unknown"
