"""Files of records: whose they are, which are found, and which go."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from napari_dinoprompt.core.autosave.files import (
    KEPT_DAYS,
    MOST_FILES,
    OwnFile,
    find_records,
    forget,
    lock_path,
    tidy,
)
from napari_dinoprompt.core.autosave.keeper import Keeper
from napari_dinoprompt.core.errors import CannotWriteError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ä b" / "recovery"


def leave(folder: Path, *records) -> Path:
    """Keep records as a program that has ended."""
    own = OwnFile(folder)
    own.save(records)
    own.close()
    return own.path


def test_records_are_found_when_their_program_has_ended(folder, record) -> None:
    own = OwnFile(folder)
    own.save([record])
    assert find_records(folder, record.fingerprint) == []
    own.close()
    (found,) = find_records(folder, record.fingerprint)
    assert (found.record, found.path) == (record, own.path)
    assert find_records(folder, "0b" * 32) == []
    assert find_records(folder / "nowhere", record.fingerprint) == []


def test_the_newest_comes_first(folder, record) -> None:
    for changed in (5.0, 9.0, 7.0):
        leave(folder, replace(record, changed=changed))
    found = find_records(folder, record.fingerprint)
    assert [one.record.changed for one in found] == [9, 7, 5]


KILLED = """
import os, signal, sys
from pathlib import Path
from napari_dinoprompt.core.autosave.records import decode_records
from napari_dinoprompt.core.autosave.files import OwnFile

own = OwnFile(Path(sys.argv[1]))
own.save(decode_records(sys.stdin.buffer.read()))
print("saved", flush=True)
input_closed = sys.stdin.buffer.read()
signal.pause()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_program_lets_go_of_its_records(folder, record) -> None:
    from napari_dinoprompt.core.autosave.records import encode_records

    with subprocess.Popen(
        [sys.executable, "-c", KILLED, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as program:
        assert program.stdin is not None and program.stdout is not None
        program.stdin.write(encode_records([record]))
        program.stdin.close()
        assert program.stdout.readline() == b"saved\n"
        assert find_records(folder, record.fingerprint) == []
        tidy(folder, now=1e12)
        assert len(list(folder.glob("*.json"))) == 1
        program.kill()
    (found,) = find_records(folder, record.fingerprint)
    assert found.record == record


def test_others_cannot_forget_what_is_at_work(folder, record) -> None:
    own = OwnFile(folder)
    own.save([record])
    own.close()
    found = find_records(folder, record.fingerprint)
    other = OwnFile(folder)
    other.path, other._lock = own.path, own._lock
    other._lock.acquire()
    forget(found)
    assert own.path.exists()
    other._lock.release()
    forget(found)
    assert list(folder.iterdir()) == []


def test_forgetting_one_image_leaves_the_others(folder, record) -> None:
    other = replace(record, key="other", fingerprint="0b" * 32)
    leave(folder, record, other)
    forget(find_records(folder, record.fingerprint))
    assert find_records(folder, record.fingerprint) == []
    assert [f.record for f in find_records(folder, other.fingerprint)] == [other]


def test_a_cleared_folder_does_not_unlock_what_is_at_work(folder, record) -> None:
    own = OwnFile(folder)
    own.save([record])
    for path in folder.iterdir():
        path.unlink()
    own.save([record])
    assert find_records(folder, record.fingerprint) == []
    own.close()
    assert len(find_records(folder, record.fingerprint)) == 1


def test_nothing_is_left_where_nothing_is_kept(folder, record) -> None:
    own = OwnFile(folder)
    own.save([record])
    own.save([])
    own.close()
    assert list(folder.iterdir()) == []
    own.save([record])
    assert list(folder.iterdir()) == [], "it was closed"


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format_version": 1}', b"\xff" * 9])
def test_damaged_files_are_set_aside(folder, record, content: bytes) -> None:
    good = leave(folder, record)
    bad = folder / "bad.prompts.json"
    bad.write_bytes(content)
    assert [f.path for f in find_records(folder, record.fingerprint)] == [good]
    assert not bad.exists()
    assert (folder / "bad.prompts.json.damaged").read_bytes() == content


def test_files_of_a_newer_version_stay(folder, record) -> None:
    path = leave(folder, record)
    path.write_text(
        path.read_text().replace('"format_version": 5', '"format_version": 6')
    )
    assert find_records(folder, record.fingerprint) == []
    assert path.exists()


def test_a_file_without_end_is_not_read(folder, record) -> None:
    leave(folder, record)
    with (folder / "huge.prompts.json").open("wb") as file:
        file.truncate(10**10)
    assert len(find_records(folder, record.fingerprint)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_neither_followed_nor_removed(folder, record, tmp_path) -> None:
    target = leave(tmp_path / "elsewhere", record)
    folder.mkdir(parents=True)
    link = folder / target.name
    link.symlink_to(target)
    assert find_records(folder, record.fingerprint) == []
    tidy(folder, now=1e12)
    assert link.is_symlink() and target.exists()


def test_old_files_go_and_so_do_too_many(folder, record) -> None:
    day, now = 86_400, 1_800_000_000
    ages = [0.0, KEPT_DAYS - 1, KEPT_DAYS + 1]
    paths = [leave(folder, record) for _ in ages]
    for path, age in zip(paths, ages, strict=True):
        os.utime(path, (now - age * day,) * 2)
    stray = lock_path(folder / "gone.prompts.json")
    stray.touch()
    tidy(folder, now=now)
    assert [path.exists() for path in paths] == [True, True, False]
    assert not stray.exists()
    for number in range(MOST_FILES):
        copy = folder / f"{number}.prompts.json"
        copy.write_bytes(paths[0].read_bytes())
        os.utime(copy, (now + 1 + number,) * 2)
    tidy(folder, now=now)
    assert len(list(folder.glob("*.prompts.json"))) == MOST_FILES
    assert not paths[0].exists() and (folder / "0.prompts.json").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path, record) -> None:
    (tmp_path / "file").touch()
    own = OwnFile(tmp_path / "file" / "recovery")
    with pytest.raises(CannotWriteError, match="cannot be written"):
        own.save([record])
    own.close()


def test_what_could_not_be_read_again_is_not_written(folder, record) -> None:
    own = OwnFile(folder)
    own.save([record])
    before = own.path.read_bytes()
    with pytest.raises(CannotWriteError, match="could not be read again"):
        own.save([replace(record, image="x" * 2000)])
    assert own.path.read_bytes() == before
    own.close()


# --- the keeper


def test_what_stays_the_same_keeps_its_time_and_is_not_written_again(
    folder, record
) -> None:
    keeper = Keeper(folder)
    keeper.note(replace(record, changed=0.0))
    (first,) = keeper.records
    assert first.changed > record.changed
    assert keeper.changed
    keeper.save(keeper.take())
    keeper.note(replace(record, changed=0.0))
    assert keeper.records[0] is first
    assert not keeper.changed
    keeper.note(replace(record, thresholds={}))
    assert keeper.changed
    keeper.close()
    (found,) = find_records(folder, record.fingerprint)
    assert found.record.thresholds == {}


def test_older_forms_go_when_the_newer_one_is_safe(folder, record) -> None:
    leave(folder, record)
    found = find_records(folder, record.fingerprint)
    keeper = Keeper(folder)
    keeper.note(replace(record, key="new"))
    keeper.succeed("new", found)
    keeper.save(keeper.take())
    assert found[0].path.exists(), "a crash now must lose neither"
    keeper.close()
    assert [f.record.key for f in find_records(folder, record.fingerprint)] == ["new"]


def test_older_forms_stay_where_nothing_became_of_them(folder, record) -> None:
    leave(folder, record)
    found = find_records(folder, record.fingerprint)
    keeper = Keeper(folder)
    keeper.succeed("new", found)
    keeper.close()
    assert find_records(folder, record.fingerprint) == found


def test_older_forms_stay_where_the_newer_one_cannot_be_written(
    folder, record, tmp_path
) -> None:
    leave(folder, record)
    found = find_records(folder, record.fingerprint)
    (tmp_path / "file").touch()
    keeper = Keeper(tmp_path / "file" / "recovery")
    keeper.note(replace(record, key="new"))
    keeper.succeed("new", found)
    keeper.close()
    assert find_records(folder, record.fingerprint) == found


def test_layers_that_are_gone_are_offered_by_their_own_dock(folder, record) -> None:
    keeper = Keeper(folder)
    keeper.note(record)
    assert keeper.put_away(record.fingerprint, {record.key}) == []
    (found,) = keeper.put_away(record.fingerprint, set())
    assert found.record == record
    keeper.close()
