"""The user's references on disk: a folder of reference files, and nothing else.

The folder is the index. What another napari adds or removes is therefore seen at
once, and there is nothing that could go out of step with the files.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_dinoprompt.core.errors import (
    CannotWriteError,
    ReferenceFileError,
    reason_of,
)
from napari_dinoprompt.core.io.atomic import (
    clean_name,
    free_name,
    remove_leftovers,
    user_folder,
    write_bytes,
)

from .file import SUFFIX, encode_reference, read_header
from .reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .header import ReferenceHeader


# Environment variable that names the folder of the library.
FOLDER_VARIABLE = "DINOPROMPT_LIBRARY"
_LOCK = ".dinoprompt.lock"
# Another napari only holds the lock while it writes one file.
_PATIENCE = 10.0


def default_library_folder() -> Path:
    """Return where the library is: as the environment says, or in the user's data."""
    return user_folder(FOLDER_VARIABLE, "references")


@dataclass(frozen=True)
class Entry:
    """A reference in the library.

    Attributes
    ----------
    name : str
        That of its file, without suffix.
    path : Path
    summary : ReferenceHeader or None
        None if the file cannot be used.
    error : str
        What is wrong with the file; empty if nothing is.
    """

    name: str
    path: Path
    summary: ReferenceHeader | None
    error: str = ""


@dataclass(frozen=True)
class Library:
    """References in a folder.

    Attributes
    ----------
    folder : Path
        Made when the first reference is added.
    """

    folder: Path = field(default_factory=default_library_folder)

    def entries(self) -> list[Entry]:
        """List the references, sorted by name.

        Files that cannot be used are among them, with what is wrong.
        """
        with _explaining(self.folder):
            try:
                paths = [path for path in self.folder.iterdir() if _belongs(path)]
            except FileNotFoundError:
                return []
        found = [_describe(path) for path in paths]
        return sorted(found, key=lambda entry: (entry.name.casefold(), entry.name))

    def add(self, reference: Reference, name: str) -> Entry:
        """Save a reference under a name that is free."""
        return self._put(encode_reference(reference), name)

    def import_file(self, path: Path) -> Entry:
        """Copy a reference file into the library.

        The one that is there already, if a file of the same content is.
        """
        Reference.load(path)
        with _explaining(path):
            content = path.read_bytes()
            for known in self.entries():
                if known.path.is_file() and _holds(known.path, content):
                    return known
        return self._put(content, path.name.removesuffix(SUFFIX))

    def load(self, entry: Entry) -> Reference:
        """Read a reference."""
        return Reference.load(entry.path)

    def rename(self, entry: Entry, name: str) -> Entry:
        """Give a reference another name."""
        path = self._own(entry)
        with self._locked(), _explaining(path):
            others = [one for one in self._names() if one != entry.name]
            target = self.folder / (free_name(clean_name(name), others) + SUFFIX)
            path.rename(target)
        return _describe(target)

    def remove(self, entry: Entry) -> None:
        """Delete the file of a reference, no other; it may have gone already."""
        path = self._own(entry)
        with _explaining(path):
            path.unlink(missing_ok=True)

    def _put(self, content: bytes, name: str) -> Entry:
        with self._locked(), _explaining(self.folder):
            remove_leftovers(self.folder)
            free = free_name(clean_name(name), self._names())
            path = write_bytes(self.folder / (free + SUFFIX), content)
        return _describe(path)

    def _names(self) -> list[str]:
        return [
            path.name.removesuffix(SUFFIX)
            for path in self.folder.iterdir()
            if path.name.endswith(SUFFIX)
        ]

    def _own(self, entry: Entry) -> Path:
        """Return the file of an entry; nothing outside the library is ever touched."""
        path = self.folder / (entry.name + SUFFIX)
        if path != entry.path or path.parent != self.folder or not _belongs(path):
            msg = f"{entry.path} does not belong to the library {self.folder}."
            raise ReferenceFileError(msg)
        return path

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep another napari from taking the same name meanwhile."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / _LOCK, timeout=_PATIENCE)
        with _explaining(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout as error:
                raise ReferenceFileError(
                    f"Another program is busy in the library {self.folder}; try again."
                ) from error
        try:
            yield
        finally:
            lock.release()


def _belongs(path: Path) -> bool:
    return path.name.endswith(SUFFIX) and not path.name.startswith(".")


def _describe(path: Path) -> Entry:
    name = path.name.removesuffix(SUFFIX)
    try:
        return Entry(name, path, read_header(path))
    except ReferenceFileError as error:
        return Entry(name, path, None, str(error))


def _holds(path: Path, content: bytes) -> bool:
    # Most differ in size already.
    return path.stat().st_size == len(content) and path.read_bytes() == content


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Make one kind of error of all that may happen to a file or folder."""
    try:
        yield
    except CannotWriteError as error:
        raise ReferenceFileError(str(error)) from error
    except (OSError, NotImplementedError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise ReferenceFileError(f"{path} cannot be used: {reason}.") from error
