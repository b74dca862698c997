"""What runs in threads for the library: calls into `core`, imported there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_dinoprompt.core.references.library import Entry, Library
    from napari_dinoprompt.core.references.reference import Reference

__all__ = [
    "LibraryState",
    "add",
    "export",
    "import_files",
    "join",
    "read",
    "remove",
    "rename",
    "resolve",
]


@dataclass(frozen=True, eq=False)
class LibraryState:
    """The library after a request.

    Attributes
    ----------
    folder : Path
    entries : list of Entry
    said : str
        What was done; empty after mere reading.
    """

    folder: Path
    entries: list[Entry]
    said: str = ""


def read() -> Generator[None, None, LibraryState]:
    """Read what the library holds."""
    return _state()
    yield


def add(reference: Reference, name: str) -> Generator[None, None, LibraryState]:
    """Save a reference in the library."""
    entry = _library().add(reference, name)
    return _state(f"Saved as {entry.name} in the library of references.")
    yield


def join(entry: Entry, reference: Reference) -> Generator[None, None, LibraryState]:
    """Add prompts to a reference of the library."""
    before = _library().load(entry)
    joined = before + reference
    joined.save(entry.path)
    new = len(joined.classes) - len(before.classes)
    prompts = "1 prompt was" if new == 1 else f"{new} prompts were"
    return _state(f"{prompts} added to {entry.name}.")
    yield


def rename(entry: Entry, name: str) -> Generator[None, None, LibraryState]:
    """Give a reference of the library another name."""
    renamed = _library().rename(entry, name)
    return _state(f"{entry.name} is called {renamed.name} now.")
    yield


def remove(entry: Entry) -> Generator[None, None, LibraryState]:
    """Remove a file from the library."""
    _library().remove(entry)
    return _state(f"{entry.name} was removed from the library.")
    yield


def import_files(paths: list[Path]) -> Generator[None, None, LibraryState]:
    """Copy reference files into the library."""
    library = _library()
    names = [library.import_file(path).name for path in paths]
    return _state(f"{', '.join(names)} is in the library now.")
    yield


def export(entry: Entry, path: Path) -> Generator[None, None, LibraryState]:
    """Copy a reference of the library to another place, as it is."""
    written = _library().load(entry).save(path)
    return _state(f"{entry.name} was written to {written}.")
    yield


def resolve(choice: Entry | Reference) -> Reference:
    """Return the reference that was chosen, read from the library where it is there."""
    from napari_dinoprompt.core.references.reference import Reference

    return choice if isinstance(choice, Reference) else _library().load(choice)


def _library() -> Library:
    from napari_dinoprompt.core.references.library import (
        Library,
        default_library_folder,
    )

    return Library(default_library_folder())


def _state(said: str = "") -> LibraryState:
    from napari_dinoprompt.core.references.library import default_library_folder

    return LibraryState(default_library_folder(), list(_library().entries()), said)
