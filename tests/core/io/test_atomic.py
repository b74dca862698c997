"""Files are the old ones or the new ones, whole, and what cannot be is said well."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from napari_dinoprompt.core.batch.records import append_table, write_table
from napari_dinoprompt.core.errors import (
    CannotWriteError,
    WeightsNotFoundError,
    explain,
)
from napari_dinoprompt.core.io.atomic import (
    check_place,
    explaining_writes,
    open_atomically,
)
from napari_dinoprompt.core.references.library import Library

if TYPE_CHECKING:
    from napari_dinoprompt.core.references.reference import Reference

ROWS = [{"image": "a", "objects": 3}, {"image": "b", "objects": 4}]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full. Make room there, or choose another place"),
        (errno.EROFS, "the disk is read-only. Choose another place"),
        (errno.EACCES, "this user is not allowed to. Change the permissions, or"),
        (errno.ENOENT, "there can be no such folder. Choose another place"),
        (errno.ENAMETOOLONG, "the name is too long. Choose a shorter one"),
    ],
)
def test_a_message_says_what_to_do(number: int, words: str) -> None:
    with pytest.raises(CannotWriteError) as said, explaining_writes(Path("a.tif")):
        raise OSError(number, os.strerror(number))
    assert str(said.value).startswith(f"a.tif cannot be written: {words}")
    assert str(said.value).endswith(".")


def test_other_errors_pass() -> None:
    with pytest.raises(WeightsNotFoundError), explaining_writes(Path("a.tif")):
        raise WeightsNotFoundError("no weights")
    with pytest.raises(ValueError, match="odd"), explaining_writes(Path("a.tif")):
        raise ValueError("odd")


def test_what_cannot_be_read_is_explained_too() -> None:
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a.tif")
    said = explain(error)
    assert said is not None
    assert said.startswith("a.tif cannot be used: this user is not allowed to.")
    assert explain(OSError("the disk is gone")) == "The disk is gone."


def test_a_place_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CannotWriteError, match="cannot be written"),
        open_atomically(tmp_path / "file" / "a.tif"),
    ):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_table_that_does_not_fit_is_as_it_was(tmp_path: Path) -> None:
    """A disk that has room for some of the lines takes these, and says nothing."""
    import resource

    path = tmp_path / "table.csv"
    write_table(path, ROWS)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 3, hard))
    try:
        with pytest.raises(CannotWriteError, match=r"table\.csv cannot be written"):
            append_table(path, ROWS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    append_table(path, ROWS)
    assert len(path.read_text().splitlines()) == 5


def test_what_a_killed_program_left_goes_with_a_later_write(
    blob_reference: Reference, tmp_path: Path
) -> None:
    old, new = tmp_path / ".dinoprompt-old.tmp", tmp_path / ".dinoprompt-new.tmp"
    library = tmp_path / "library"
    library.mkdir()
    forgotten = library / ".dinoprompt-old.tmp"
    for path in (old, new, forgotten):
        path.write_text("half")
    before = time.time() - 2 * 86_400
    for path in (old, forgotten):
        os.utime(path, (before, before))
    blob_reference.save(tmp_path / "a")
    Library(library).add(blob_reference, "a")
    assert not old.exists()
    assert not forgotten.exists()
    # Somebody may still be writing it.
    assert new.exists()


def test_a_place_is_looked_at_before_the_work(tmp_path: Path) -> None:
    check_place(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWriteError, match="there can be no such folder"):
        check_place(tmp_path / "file" / "x")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a disk that is read-only")
def test_a_disk_that_is_read_only() -> None:
    place = next((one for one in _read_only_places() if one.is_dir()), None)
    if place is None:
        pytest.skip("there is none")
    with pytest.raises(CannotWriteError, match="the disk is read-only"):
        check_place(place / "x")


def _read_only_places() -> list[Path]:
    lines = Path("/proc/mounts").read_text().splitlines()
    mounts = [line.split() for line in lines]
    return [Path(at) for _, at, _, options, *_ in mounts if "ro" in options.split(",")]
