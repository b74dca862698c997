"""Prompts as files: napari's own points CSV, and what other programs save."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.labels import as_objects
from napari_dinoprompt.core.prompts import OBJECT, Prompts

from .atomic import write_bytes
from .foreign_points import (
    JSON_SUFFIXES,
    ROI_SUFFIXES,
    fiji_place,
    is_fiji_table,
    on_one_plane,
    read_geojson,
    read_rois,
)
from .limits import check_size
from .read import read_labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_PICTURES = (".tif", ".tiff", ".png")
# Of a label, on average: strokes are drawn in few.
_MOST_PIECES = 20
_AXES = ("axis-0", "axis-1")
# In bytes. People click a few; a program that writes more has mixed up files.
_LARGEST_FILE = 2**25
_MOST_POINTS = 100_000


def read_prompts(path: Path) -> Prompts:
    """Read prompts of one plane from a file.

    A label image, each label of which is a prompt by its inner pixels;
    ImageJ's points (.roi, or a .zip of these), QuPath's (.geojson), or a CSV: Fiji's
    table of results with the columns X and Y, or as napari writes it. There the columns
    ``axis-0`` (y) and ``axis-1`` (x) are needed, in any order; ``class`` is optional,
    and where it is empty the prompt is an ``object``. Other columns, such as napari's
    ``index``, are left alone. Blanks around a value do not count.

    At least one.
    """
    if not path.is_file():
        raise InputError(f"There is no points file {path}.")
    if path.suffix.lower() in _PICTURES:
        return _regions(path)
    check_size(path, _LARGEST_FILE, "a points file")
    if path.suffix in ROI_SUFFIXES + JSON_SUFFIXES:
        read = read_rois if path.suffix in ROI_SUFFIXES else read_geojson
        prompts = read(path)
        _check_count(path, len(prompts.points))
        return prompts
    reader = csv.reader(io.StringIO(_read_text(path), newline=""))
    try:
        rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        msg = f"{path}, line {reader.line_num}: this is not CSV ({error})."
        raise InputError(msg) from error
    if not rows:
        msg = f"{path} is empty; a points file as napari saves it is needed."
        raise InputError(msg)
    (line, names), *body = rows
    header = [name.strip() for name in names]
    fiji = _AXES[0] not in header and is_fiji_table(header)
    if not fiji:
        _check_header(header, f"{path}, line {line}")
    if not body:
        raise InputError(f"{path} holds no points, only the names of the columns.")
    _check_count(path, len(body))
    points: list[list[float]] = []
    classes: list[str] = []
    slices: set[str] = set()
    for line, row in body:
        where = f"{path}, line {line}"
        if len(row) != len(header):
            msg = f"{where}: there are {len(row)} values for {len(header)} columns."
            raise InputError(msg)
        values = {name: value.strip() for name, value in zip(header, row, strict=True)}
        points.append(
            fiji_place(values, where)
            if fiji
            else [_number(values[axis], axis, where) for axis in _AXES]
        )
        classes.append(values.get("class") or OBJECT)
        slices.add(values.get("Slice", ""))
    return on_one_plane(path, points, classes, slices if fiji else ())


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        msg = f"{path}, line {line}: this is not UTF-8 text; save it as CSV in UTF-8."
        raise InputError(msg) from error
    except OSError as error:
        msg = f"The points file {path} cannot be read: {error.strerror or error}."
        raise InputError(msg) from error


def _regions(path: Path) -> Prompts:
    """Take each label of a picture for a prompt; greys are none."""
    from skimage.measure import label

    labels = as_objects(read_labels(path))
    count = len(np.unique(labels))
    if label(labels, connectivity=2).max() > _MOST_PIECES * count:
        raise InputError(
            f"{path} is a picture rather than labels: its values lie in pieces all "
            "over. Give a points file, or labels of a few regions."
        )
    return Prompts.of_regions(labels)


def _check_count(path: Path, count: int) -> None:
    if count > _MOST_POINTS:
        msg = f"{path} holds {count} points; at most {_MOST_POINTS} can be prompts."
        raise InputError(msg)


def _check_header(header: Sequence[str], where: str) -> None:
    if "shape-type" in header:
        raise InputError(f"{where}: these are napari shapes; save a Points layer.")
    missing = [axis for axis in _AXES if axis not in header]
    if missing:
        raise InputError(
            f"{where}: the column {missing[0]!r} is missing, there is "
            f"{', '.join(header)[:80]!r}. Columns are axis-0 (y) and axis-1 (x), with "
            "commas between them; Fiji's are X and Y."
        )
    dimensions = sum(name.startswith("axis-") for name in header)
    if dimensions > len(_AXES):
        raise InputError(
            f"{where}: the points have {dimensions} axes; they must lie on one image "
            "plane, with axis-0 (y) and axis-1 (x)."
        )
    if header.count("class") > 1:
        raise InputError(f"{where}: the column 'class' is there twice.")


def _number(text: str, axis: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {axis} must be a number, not {text[:40]!r}.")
    return value


def write_prompts(path: Path, prompts: Prompts) -> None:
    """Write a points CSV that napari opens and `read_prompts` reads again."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["index", *_AXES, "class"])
    pairs = zip(prompts.points.tolist(), prompts.classes, strict=True)
    for index, (point, name) in enumerate(pairs):
        writer.writerow([index, *point, name])
    write_bytes(path, text.getvalue().encode())
