"""The user's references on disk: a folder of reference files, and nothing else.

The folder is the index. What another napari adds or removes is therefore seen at
once, and there is nothing that could go out of step with the files.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dinoprompt.core.errors import CannotWriteError, ReferenceFileError
from napari_dinoprompt.core.explaining import reason_of
from napari_dinoprompt.core.files.atomic import open_atomically, remove_leftovers
from napari_dinoprompt.core.files.names import clean_name, free_name
from napari_dinoprompt.core.references.file import (
    SUFFIX,
    encode_reference,
    read_summary,
)
from napari_dinoprompt.core.references.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_dinoprompt.core.references.file import ReferenceSummary

__all__ = ["FOLDER_VARIABLE", "Entry", "Library", "default_library_folder"]

FOLDER_VARIABLE = "DINOPROMPT_LIBRARY"
"""Environment variable that names the folder of the library."""
_LOCK = ".dinoprompt.lock"
# Another napari only holds the lock while it writes one file.
_PATIENCE = 10.0


def default_library_folder() -> Path:
    """Return where the library is: where the environment says, or in the user's data.

    Returns
    -------
    Path
        It need not be there.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-dinoprompt", appauthor=False) / "references"


@dataclass(frozen=True)
class Entry:
    """A reference in the library.

    Attributes
    ----------
    name : str
        That of its file, without suffix.
    path : Path
    summary : ReferenceSummary or None
        None if the file cannot be used.
    error : str
        What is wrong with the file; empty if nothing is.
    """

    name: str
    path: Path
    summary: ReferenceSummary | None
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

        Returns
        -------
        list of Entry
            Files that cannot be used are among them, with what is wrong.

        Raises
        ------
        ReferenceFileError
            If the folder cannot be read; one that is not there is empty.
        """
        try:
            paths = [path for path in self.folder.iterdir() if _belongs(path)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _trouble(self.folder, error) from error
        found = [_describe(path) for path in paths]
        return sorted(found, key=lambda entry: (entry.name.casefold(), entry.name))

    def add(self, reference: Reference, name: str) -> Entry:
        """Save a reference under a name that is free.

        Parameters
        ----------
        reference : Reference
        name : str
            Any; what a file cannot be called is replaced, and a number is added where
            there is one of that name.

        Returns
        -------
        Entry

        Raises
        ------
        ReferenceFileError
            If it cannot be written.
        """
        return self._put(encode_reference(reference), name)

    def import_file(self, path: Path) -> Entry:
        """Copy a reference file into the library.

        Parameters
        ----------
        path : Path

        Returns
        -------
        Entry
            The one that is there already, if a file of the same content is.

        Raises
        ------
        ReferenceFileError
            If it is no reference that can be used, or cannot be written.
        """
        Reference.load(path)
        try:
            content = path.read_bytes()
            for known in self.entries():
                if known.path.is_file() and _holds(known.path, content):
                    return known
        except OSError as error:
            raise _trouble(path, error) from error
        return self._put(content, path.name.removesuffix(SUFFIX))

    def load(self, entry: Entry) -> Reference:
        """Read a reference.

        Raises
        ------
        ReferenceFileError
            If it has gone, or cannot be used.
        """
        return Reference.load(entry.path)

    def rename(self, entry: Entry, name: str) -> Entry:
        """Give a reference another name.

        Parameters
        ----------
        entry : Entry
        name : str
            As `add`.

        Returns
        -------
        Entry

        Raises
        ------
        ReferenceFileError
            If it has gone, or its file cannot be renamed.
        """
        path = self._own(entry)
        with self._locked():
            wanted = clean_name(name)
            if wanted == entry.name:
                return _describe(path)
            try:
                others = [one for one in self._names() if one != entry.name]
                target = self.folder / (free_name(wanted, others) + SUFFIX)
                path.rename(target)
            except OSError as error:
                raise _trouble(path, error) from error
        return _describe(target)

    def remove(self, entry: Entry) -> None:
        """Delete the file of a reference; no other, and it is no error if it has gone.

        Raises
        ------
        ReferenceFileError
            If it is none of this library, or cannot be deleted.
        """
        path = self._own(entry)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _trouble(path, error) from error

    def _put(self, content: bytes, name: str) -> Entry:
        with self._locked():
            remove_leftovers(self.folder)
            try:
                free = free_name(clean_name(name), self._names())
                path = self.folder / (free + SUFFIX)
                with open_atomically(path) as file:
                    file.write(content)
            except (CannotWriteError, OSError) as error:
                raise _trouble(self.folder, error) from error
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
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            msg = f"Another program is busy in the library {self.folder}; try again."
            raise ReferenceFileError(msg) from error
        except (OSError, NotImplementedError) as error:
            raise _trouble(self.folder, error) from error
        try:
            yield
        finally:
            lock.release()


def _belongs(path: Path) -> bool:
    return path.name.endswith(SUFFIX) and not path.name.startswith(".")


def _describe(path: Path) -> Entry:
    name = path.name.removesuffix(SUFFIX)
    try:
        return Entry(name, path, read_summary(path))
    except ReferenceFileError as error:
        return Entry(name, path, None, str(error))


def _holds(path: Path, content: bytes) -> bool:
    # Most differ in size already.
    return path.stat().st_size == len(content) and path.read_bytes() == content


def _trouble(path: Path, error: Exception) -> ReferenceFileError:
    if isinstance(error, CannotWriteError):
        return ReferenceFileError(str(error))
    reason = reason_of(error) if isinstance(error, OSError) else str(error)
    return ReferenceFileError(f"{path} cannot be used: {reason}.")
