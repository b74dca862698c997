"""Prompts in napari's points CSV."""

from __future__ import annotations

import csv
import io
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.points import read_prompts, write_prompts
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.sample_data import FIELDS, sample_files


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "points.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("field", FIELDS)
def test_the_sample_prompts_are_read(field: str) -> None:
    prompts = read_prompts(sample_files(field)["prompts"])
    assert prompts.points.shape == (5, 2)
    assert prompts.points.dtype == np.float64
    assert prompts.classes == ("object",) * 5


@pytest.mark.parametrize(
    ("text", "points", "classes"),
    [
        ("index,axis-0,axis-1\n0,1.5,2\n1,3,4\n", [(1.5, 2), (3, 4)], ("object",) * 2),
        # any order, and columns that napari writes for other features
        ("size,axis-1,class,axis-0\n9,2,cell,1\n", [(1, 2)], ("cell",)),
        ("\ufeffindex,axis-0,axis-1\r\n0,1,2\r\n", [(1, 2)], ("object",)),
        ("axis-0,axis-1,class\n\n1,2,Fett Zelle\n\n", [(1, 2)], ("Fett Zelle",)),
        (
            "axis-0,axis-1,class\n1,2,Kern ä\n3,4,细胞\n",
            [(1, 2), (3, 4)],
            ("Kern ä", "细胞"),
        ),
        ('axis-0,axis-1,class\n1,2,"a, b ""c"""\n', [(1, 2)], ('a, b "c"',)),
        ("axis-0, axis-1, class\n 1 , 2e1 , background\n", [(1, 20)], ("background",)),
        ("axis-0,axis-1,class\n-0.25,2,\n", [(-0.25, 2)], ("object",)),
        ("axis-0,axis-1,class\n1,2,no end of line", [(1, 2)], ("no end of line",)),
    ],
)
def test_what_napari_and_people_write_is_read(write, text, points, classes) -> None:
    prompts = read_prompts(write(text))
    np.testing.assert_array_equal(prompts.points, points)
    assert prompts.classes == classes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("index,axis-0,axis-1\n", "no points"),
        ("index,axis-0\n0,1\n", "line 1: the column 'axis-1' is missing"),
        ("1.0,2.0\n", "line 1: the column 'axis-0' is missing"),
        ("index;axis-0;axis-1\n0;1;2\n", "commas"),
        ("index,axis-0,axis-1\n0,1,2\n1,x,2\n", "line 3: axis-0 must be a number"),
        ("index,axis-0,axis-1\n0,1,\n", "line 2: axis-1 must be a number, not ''"),
        ("index,axis-0,axis-1\n\n\n0,nan,2\n", "line 4: axis-0 must be a number"),
        ("index,axis-0,axis-1\n0,1,-inf\n", "line 2: axis-1 must be a number"),
        ('index,axis-0,axis-1\n0,"1,5",2\n', "line 2: axis-0 must be a number"),
        ("index,axis-0,axis-1\n0,1,5,2\n", "line 2: there are 4 values for 3"),
        ("index,axis-0,axis-1\n0,1\n", "line 2: there are 2 values for 3"),
        ("index,axis-0,axis-1,axis-2\n0,1,2,3\n", "line 1: the points have 3 axes"),
        ("axis-0,axis-1,axis-1\n0,1,2\n", "line 1: the points have 3 axes"),
        ("axis-0,axis-1,class,class\n0,1,a,b\n", "'class' is there twice"),
        ("index,shape-type,vertex-index,axis-0,axis-1\n", "shapes"),
        ("axis-0,axis-1,class\n1,2,ä\n".encode("latin-1"), "line 2: this is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00", "not UTF-8"),
    ],
)
def test_errors_name_the_file_and_the_line(write, text, words: str) -> None:
    path = write(text)
    with pytest.raises(InputError) as caught:
        read_prompts(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_csv_cannot_hold_is_one_error(write) -> None:
    with pytest.raises(InputError, match="line 2: this is not CSV"):
        read_prompts(write("axis-0,axis-1,class\n1,2," + "x" * 200_000))


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError, match="There is no points file"):
            read_prompts(path)


coordinates = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1
).filter(lambda name: name and name == name.strip())


@given(
    st.lists(st.tuples(coordinates, coordinates, names), min_size=1, max_size=5),
)
def test_what_is_written_is_read_again(tmp_path_factory, rows) -> None:
    path = tmp_path_factory.getbasetemp() / "round trip.csv"
    prompts = Prompts(
        np.array([row[:2] for row in rows]), tuple(row[2] for row in rows)
    )
    write_prompts(path, prompts)
    again = read_prompts(path)
    np.testing.assert_array_equal(again.points, prompts.points)
    assert again.classes == prompts.classes


def test_the_file_is_what_napari_writes(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "points.csv"
    write_prompts(path, Prompts(np.array([[1.0, 2.5]]), ("Zelle ä",)))
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert rows == [
        ["index", "axis-0", "axis-1", "class"],
        ["0", "1.0", "2.5", "Zelle ä"],
    ]


def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    plain, ours = tmp_path / "plain", tmp_path / "points.csv"
    plain.write_text("")
    write_prompts(ours, Prompts(np.zeros((1, 2)), ("object",)))
    assert stat.S_IMODE(ours.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "points.csv"
    path.write_text("old")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match="the disk is full"):
        write_prompts(path, Prompts(np.zeros((1, 2)), ("object",)))
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["points.csv"]


@pytest.mark.parametrize(
    ("points", "classes"),
    [
        (np.zeros((2, 3)), ("a", "b")),
        (np.zeros(2), ("a", "b")),
        (np.zeros((2, 2)), ("a",)),
    ],
)
def test_prompts_are_checked(points, classes) -> None:
    with pytest.raises(InputError):
        Prompts(points, classes)


def test_more_points_than_anybody_places_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("napari_dinoprompt.core.io.points._MOST_POINTS", 2)
    path = tmp_path / "many.csv"
    path.write_text("axis-0,axis-1\n1,2\n3,4\n")
    assert len(read_prompts(path).points) == 2
    path.write_text("axis-0,axis-1\n1,2\n3,4\n5,6\n")
    with pytest.raises(InputError, match="3 points; at most 2"):
        read_prompts(path)
