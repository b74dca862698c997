"""The library: a folder of references that two programs may use at once."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from napari_dinoprompt.core.errors import ReferenceFileError
from napari_dinoprompt.core.io.atomic import clean_name, free_name
from napari_dinoprompt.core.references.file import SUFFIX
from napari_dinoprompt.core.references.library import (
    Entry,
    Library,
    default_library_folder,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari_dinoprompt.core.references.reference import Reference


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "references")


def visible(library: Library) -> list[str]:
    return sorted(name for name in os.listdir(library.folder) if name[0] != ".")


def test_a_library_that_is_not_there_is_empty(library: Library) -> None:
    assert library.entries() == []
    assert not library.folder.exists()


def test_what_is_added_is_listed_and_loaded(
    library: Library, blob_reference: Reference
) -> None:
    entry = library.add(blob_reference, "nuclei")
    assert (entry.name, entry.error) == ("nuclei", "")
    assert entry.path == library.folder / f"nuclei{SUFFIX}"
    assert entry.summary is not None
    assert entry.summary.classes == ("object",) * 5
    assert library.entries() == [entry]
    loaded = library.load(entry)
    assert (loaded.vectors == blob_reference.vectors).all()


def test_a_name_that_is_taken_gets_a_number(
    library: Library, blob_reference: Reference
) -> None:
    names = ["nuclei", "nuclei", "Nuclei", "Kern ä", "zellen", "a.b"]
    added = [library.add(blob_reference, name).name for name in names]
    assert added == ["nuclei", "nuclei 2", "Nuclei 3", "Kern ä", "zellen", "a.b"]
    listed = [entry.name for entry in library.entries()]
    assert listed == ["a.b", "Kern ä", "nuclei", "nuclei 2", "Nuclei 3", "zellen"]


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("Zellkerne, früh (×2) 核", "Zellkerne, früh (×2) 核"),
        ("../../etc/passwd", "-..-etc-passwd"),
        ("a/b\\c:d*e?f", "a-b-c-d-e-f"),
        ("  .hidden. ", "hidden"),
        ("", "reference"),
        ("...", "reference"),
        ("con", "con_"),
        ("NUL.txt", "NUL.txt_"),
        ("conifer", "conifer"),
        ("two\nlines\x00\x1b", "two lines"),
        ("a\u0308", "ä"),
        ("\ud800", "reference"),
        ("a" * 500, "a" * 180),
        ("ä" * 500, "ä" * 90),
    ],
)
def test_names_fit_every_system(
    library: Library, blob_reference: Reference, name: str, cleaned: str
) -> None:
    assert clean_name(name) == cleaned
    assert clean_name(cleaned) in (cleaned, f"{cleaned}_")
    entry = library.add(blob_reference, name)
    assert entry.name == cleaned
    assert entry.path.parent == library.folder
    assert [one.name for one in library.entries()] == [cleaned]


def test_free_names_count_on() -> None:
    assert free_name("a", []) == "a"
    assert free_name("a", ["A", "a 2", "a 4"]) == "a 3"


def test_damaged_files_are_listed_with_what_is_wrong(
    library: Library, blob_reference: Reference
) -> None:
    whole = library.add(blob_reference, "whole")
    damaged = library.folder / f"damaged{SUFFIX}"
    damaged.write_bytes(whole.path.read_bytes()[:-1])
    (library.folder / f"folder{SUFFIX}").mkdir()
    (library.folder / "notes.txt").write_text("")
    (library.folder / f".hidden{SUFFIX}").write_text("")
    first, second, third = library.entries()
    assert (first.name, first.summary) == ("damaged", None)
    assert "is damaged" in first.error
    assert second.name == "folder"
    assert second.summary is None
    assert third == whole
    with pytest.raises(ReferenceFileError, match="damaged"):
        library.load(first)
    library.remove(first)
    assert not damaged.exists()


def test_renaming_keeps_the_file(library: Library, blob_reference: Reference) -> None:
    entry = library.add(blob_reference, "a")
    library.add(blob_reference, "b")
    content = entry.path.read_bytes()
    renamed = library.rename(entry, "b")
    assert renamed.name == "b 2"
    assert renamed.path.read_bytes() == content
    assert visible(library) == [f"b 2{SUFFIX}", f"b{SUFFIX}"]
    assert library.rename(renamed, "b 2") == renamed
    assert library.rename(renamed, "B 2").name == "B 2"
    assert visible(library) == [f"B 2{SUFFIX}", f"b{SUFFIX}"]
    with pytest.raises(ReferenceFileError, match="No such file"):
        library.rename(entry, "c")


def test_removing_takes_one_file_and_no_other(
    library: Library, blob_reference: Reference, tmp_path: Path
) -> None:
    entry = library.add(blob_reference, "a")
    library.add(blob_reference, "b")
    elsewhere = tmp_path / f"c{SUFFIX}"
    elsewhere.write_text("precious")
    outside = library.folder / f"../c{SUFFIX}"
    for path, name in (
        (elsewhere, "c"),
        (outside, "../c"),
        (library.folder / "d", "d"),
        (elsewhere, "a"),
    ):
        with pytest.raises(ReferenceFileError, match="does not belong"):
            library.remove(Entry(name, path, None))
        with pytest.raises(ReferenceFileError, match="does not belong"):
            library.rename(Entry(name, path, None), "x")
    assert elsewhere.read_text() == "precious"
    library.remove(entry)
    library.remove(entry)
    assert visible(library) == [f"b{SUFFIX}"]


def test_files_are_imported_as_they_are(
    library: Library, blob_reference: Reference, tmp_path: Path
) -> None:
    path = blob_reference.save(tmp_path / "mine")
    entry = library.import_file(path)
    assert entry.name == "mine"
    assert entry.path.read_bytes() == path.read_bytes()
    # Dropped once more, or dropped out of the library itself: nothing doubles.
    assert library.import_file(path) == entry
    assert library.import_file(entry.path) == entry
    blob_reference.with_thresholds({"object": 0.5}).save(path)
    assert library.import_file(path).name == "mine 2"
    renamed = path.rename(tmp_path / "odd.bin")
    assert library.import_file(renamed).name == "mine 2"
    blob_reference.with_thresholds({"object": 0.6}).save(path).rename(renamed)
    assert library.import_file(renamed).name == "odd.bin"


def test_what_is_no_reference_is_not_imported(library: Library, tmp_path: Path) -> None:
    path = tmp_path / f"a{SUFFIX}"
    path.write_bytes(b"no")
    with pytest.raises(ReferenceFileError, match="damaged"):
        library.import_file(path)
    with pytest.raises(ReferenceFileError, match="no reference file"):
        library.import_file(tmp_path / "none")
    assert library.entries() == []


def test_a_place_that_is_no_folder_is_one_message(
    blob_reference: Reference, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    library = Library(tmp_path / "file")
    with pytest.raises(ReferenceFileError, match="cannot be used"):
        library.entries()
    with pytest.raises(ReferenceFileError, match="cannot be used"):
        library.add(blob_reference, "a")


def test_the_library_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DINOPROMPT_LIBRARY", str(tmp_path))
    assert default_library_folder() == Library().folder == tmp_path
    monkeypatch.setenv("DINOPROMPT_LIBRARY", "")
    assert default_library_folder().name == "references"
    assert "napari-dinoprompt" in default_library_folder().parts


@pytest.mark.slow
def test_two_programs_may_add_at_once(
    library: Library, blob_reference: Reference, tmp_path: Path
) -> None:
    code = """
import sys
from pathlib import Path
from napari_dinoprompt.core.references.library import Library
library = Library(Path(sys.argv[1]))
reference = library.load(library.entries()[0])
print("ready", flush=True)
input()
for _ in range(12):
    library.add(reference, "same")
"""
    library.add(blob_reference, "same")
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(library.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()
    for program in programs:
        program.communicate()
        assert program.returncode == 0
    expected = ["same", *(f"same {number}" for number in range(2, 26))]
    assert sorted(entry.name for entry in library.entries()) == sorted(expected)
    assert all(entry.summary for entry in library.entries())
    left = [name for name in os.listdir(library.folder) if name.endswith(".tmp")]
    assert not left
