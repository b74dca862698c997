"""A real small disk that can be filled and made read-only: a tmpfs. Needs root."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FILLER = "filler.bin"
_OME_NUMBER = re.compile(rb"urn:uuid:[0-9a-f-]{36}")
_PAGE = 4096


@dataclass(frozen=True)
class Disk:
    """A mounted tmpfs.

    Attributes
    ----------
    folder : Path
        Where it is mounted.
    """

    folder: Path

    @property
    def free(self) -> int:
        """Bytes that can still be written."""
        about = os.statvfs(self.folder)
        return about.f_bavail * about.f_frsize

    def fill(self, leave: int) -> None:
        """Fill it, but for so many bytes."""
        self.make_room()
        wanted = self.free - leave // _PAGE * _PAGE
        with (self.folder / _FILLER).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(wanted, 1))

    def make_room(self) -> None:
        """Take away what it was filled with."""
        (self.folder / _FILLER).unlink(missing_ok=True)

    def protect(self, on: bool) -> None:
        """Mount it again, read-only or as before."""
        how = "remount,ro" if on else "remount,rw"
        subprocess.run(["mount", "-o", how, self.folder], check=True)

    def content(self) -> dict[str, bytes]:
        """Return all files, by their names, but for what it was filled with."""
        found = contents(self.folder)
        found.pop(_FILLER, None)
        return found


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files in a folder and below, by their names.

    Without the numbers that OME wants to be others in each file.
    """
    return {
        str(path.relative_to(folder)): _OME_NUMBER.sub(b"", path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextmanager
def mounted(folder: Path, megabytes: int = 64) -> Iterator[Disk]:
    """Mount a small disk; it is gone at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    size = f"size={megabytes}m,mode=0777"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True)
    try:
        yield Disk(folder)
    finally:
        # A child that still ends may hold it for a moment: lazily.
        subprocess.run(["umount", "-l", folder], check=True)


def can_mount() -> bool:
    """Tell whether this user may mount disks."""
    return os.name == "posix" and os.geteuid() == 0
