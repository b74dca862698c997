"""The records that docks and programs of before have left."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_dinoprompt.core.files.atomic import (
    explaining_writes,
    remove_leftovers,
    write_bytes,
)
from napari_dinoprompt.core.recovery.encoding import (
    NewerRecordError,
    decode_records,
    encode_records,
)
from napari_dinoprompt.core.recovery.places import SUFFIX, claim, remove_locks

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_dinoprompt.core.recovery.record import ImageRecord

__all__ = ["KEPT_DAYS", "MOST_FILES", "FoundRecord", "find_records", "forget", "tidy"]

KEPT_DAYS = 30
"""How long a file of records is kept after it was last written."""
MOST_FILES = 100
"""How many files of records are kept, the newest ones."""
_DAMAGED = ".damaged"
# A hundred thousand prompts take a tenth of it.
_MOST_BYTES = 64_000_000


@dataclass(frozen=True)
class FoundRecord:
    """A record, and the file that it lies in.

    Attributes
    ----------
    record : ImageRecord
    path : Path
    """

    record: ImageRecord
    path: Path


def find_records(folder: Path, fingerprint: str) -> list[FoundRecord]:
    """Find what was kept of an image by docks and programs that have ended.

    Damaged files are set aside: they get another name.

    The newest first.
    """
    found: list[FoundRecord] = []
    for path in _files(folder):
        with claim(path) as ours:
            records = _read(path) if ours else []
        found += [
            FoundRecord(record, path)
            for record in records
            if record.fingerprint == fingerprint
        ]
    return sorted(found, key=lambda one: one.record.changed, reverse=True)


def forget(found: Iterable[FoundRecord]) -> None:
    """Remove records, but for those that a program at work has taken over."""
    unwanted: dict[Path, set[str]] = {}
    for one in found:
        unwanted.setdefault(one.path, set()).add(one.record.key)
    for path, keys in unwanted.items():
        with claim(path) as ours:
            records = _read(path) if ours else []
            kept = [record for record in records if record.key not in keys]
            if len(kept) == len(records):
                continue
            if kept:
                write_bytes(path, encode_records(kept))
            else:
                with explaining_writes(path):
                    path.unlink(missing_ok=True)


def tidy(folder: Path, now: float | None = None) -> None:
    """Remove files that are old or too many; never those of others at work."""
    limit = (time.time() if now is None else now) - KEPT_DAYS * 86_400
    with suppress(OSError):
        remove_leftovers(folder)
        remove_locks(folder)
        dated = sorted(((p.stat().st_mtime, p) for p in _files(folder)), reverse=True)
        for rank, (changed, path) in enumerate(dated):
            if rank >= MOST_FILES or changed < limit:
                with claim(path) as ours:
                    if ours:
                        path.unlink(missing_ok=True)
        for path in folder.glob(f"*{SUFFIX}{_DAMAGED}"):
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    with suppress(OSError):
        # What somebody linked to lies elsewhere, and is not ours to change.
        return [
            path
            for path in folder.glob(f"*{SUFFIX}")
            if path.is_file() and not path.is_symlink()
        ]
    return []


def _read(path: Path) -> list[ImageRecord]:
    """Read a file that nobody is at work on; of one that cannot be used, nothing."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            msg = "it is too large"
            raise ValueError(msg)
        return decode_records(path.read_bytes())
    except (OSError, NewerRecordError):
        return []
    except ValueError:
        with suppress(OSError):
            path.replace(path.with_name(path.name + _DAMAGED))
        return []
