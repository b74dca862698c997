"""Prompts that other programs saved: Fiji's tables, ImageJ's regions, QuPath's points.

Only on one plane; what could mean something else is refused by name.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError, first_line
from napari_dinoprompt.core.prompts import OBJECT, Prompts

from .safetensors import parse_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path


ROI_SUFFIXES = (".roi", ".zip")
JSON_SUFFIXES = (".geojson", ".json")
# Bytes of a region of ImageJ; points have 64 and 12 for each.
_LARGEST_ROI = 2**24


def is_fiji_table(header: Sequence[str]) -> bool:
    """Tell whether a table has Fiji's columns of places."""
    return "X" in header and "Y" in header


def fiji_place(values: Mapping[str, str], where: str) -> list[float]:
    """Take y and x of a row of Fiji's table of results, in pixels.

    Measured in units, they would be taken for other pixels.
    """
    try:
        x, y = float(values["X"]), float(values["Y"])
    except ValueError:
        msg = f"{where}: X and Y must be numbers, not {values['X']!r}, {values['Y']!r}."
        raise InputError(msg) from None
    if x * 2 % 1 or y * 2 % 1:
        raise InputError(
            f"{where}: X and Y seem to be in units, not in pixels. In Fiji choose "
            "Analyze > Set Scale > Click to Remove Scale and measure again, or save "
            "the points as a ROI."
        )
    return [y, x]


def read_rois(path: Path) -> Prompts:
    """Read the points of ImageJ's .roi file, or of a zip of such files."""
    from roifile import ROI_TYPE, ImagejRoi

    try:
        contents = [path.read_bytes()] if path.suffix == ".roi" else _unzip(path)
        rois = [ImagejRoi.frombytes(one) for one in contents]
    except InputError:
        raise
    # The decoder raises whatever it stumbles over in a damaged file.
    except Exception as error:
        msg = f"{path} is no file of ImageJ's regions ({first_line(error)})."
        raise InputError(msg) from error
    points: list[Any] = []
    slices: set[int] = set()
    for roi in rois:
        if roi.roitype != ROI_TYPE.POINT:
            raise InputError(
                f"{path} holds a region that is no point ({roi.name or 'nameless'}). "
                "Place points with Fiji's multi-point tool; to prompt by regions, save "
                "them as a label image."
            )
        points += np.asarray(roi.coordinates())[:, ::-1].tolist()
        slices.add(max(roi.position, roi.z_position))
    return on_one_plane(path, points, [OBJECT] * len(points), slices)


def _unzip(path: Path) -> list[bytes]:
    with zipfile.ZipFile(path) as folder:
        names = [one for one in folder.infolist() if one.filename.endswith(".roi")]
        if sum(one.file_size for one in names) > _LARGEST_ROI:
            msg = f"{path} unpacks to more than {_LARGEST_ROI} bytes of regions."
            raise InputError(msg)
        return [folder.read(one) for one in names]


def read_geojson(path: Path) -> Prompts:
    """Read the points of a GeoJSON file as QuPath exports it, with their classes."""
    points: list[tuple[float, float]] = []
    classes: list[str] = []
    slices: set[int] = set()
    others: set[str] = set()
    try:
        parsed = parse_json(path.read_bytes())
        for one in parsed["features"] if isinstance(parsed, dict) else parsed:
            geometry = one["geometry"]
            if geometry["type"] not in ("Point", "MultiPoint"):
                others.add(str(geometry["type"]))
                continue
            held = geometry["coordinates"]
            some = held if geometry["type"] == "MultiPoint" else [held]
            # Corners of pixels have whole numbers there; here their middles have.
            points += [(float(y) - 0.5, float(x) - 0.5) for x, y, *_ in some]
            kind = (one.get("properties") or {}).get("classification") or {}
            classes += [kind.get("name") or OBJECT] * len(some)
            slices.add(int((geometry.get("plane") or {}).get("z", 0)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{path} is no GeoJSON of points as QuPath exports it."
        raise InputError(msg) from error
    if others:
        raise InputError(
            f"{path} holds {', '.join(sorted(others))}; only points can be prompts. In "
            "QuPath choose the points tool."
        )
    return on_one_plane(path, points, classes, slices)


def on_one_plane(
    path: Path,
    points: Sequence[Any],
    classes: Sequence[str],
    slices: Collection[object],
) -> Prompts:
    """Make prompts of points; those of several slices, and none, are refused."""
    if len(slices) > 1:
        msg = f"{path} holds points on {len(slices)} slices; save those of one plane."
        raise InputError(msg)
    if not points:
        raise InputError(f"{path} holds no points.")
    return Prompts(np.asarray(points, dtype=np.float64), tuple(classes))
