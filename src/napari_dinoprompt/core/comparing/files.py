"""A comparison as files."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from napari_dinoprompt.core.comparing.pixels import (
    BOTH,
    NEITHER,
    ONLY_IN_FAKE,
    ONLY_IN_REAL,
)
from napari_dinoprompt.core.files.atomic import remove_leftovers, write_bytes
from napari_dinoprompt.core.files.images import write_tiff
from napari_dinoprompt.core.files.tables import as_csv, as_json
from napari_dinoprompt.core.version import software_version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.comparing.report import Comparison

__all__ = ["comparison_paths", "save_comparison"]

TABLE, SETTINGS, OBJECTS = "comparison.csv", "comparison.json", "objects.csv"
_LONGEST = 180
_MAPS = ("agreement", "ssim", "squared_error", "feature_distance")
_OBJECT_KEYS = (
    *("name", "side", "kind", "label", "y", "x", "area"),
    *("first_row", "first_column", "end_row", "end_column"),
)


def comparison_paths(folder: Path, names: Sequence[str]) -> list[Path]:
    """List the files that a comparison is saved as.

    Parameters
    ----------
    folder : Path
    names : sequence of str
        Of the fakes.

    Returns
    -------
    list of Path
    """
    tables = [TABLE, SETTINGS, OBJECTS, "comparison.png", "comparison.pdf"]
    maps = [f"{stem}_{kind}.tif" for stem in _stems(names) for kind in _MAPS]
    return [folder / name for name in (*tables, *maps)]


def save_comparison(
    comparison: Comparison, folder: Path, input_image: ArrayLike | None = None
) -> list[Path]:
    """Write tables, maps and the figure, each file whole or not at all.

    Parameters
    ----------
    comparison : Comparison
    folder : Path
    input_image : array_like, optional

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    remove_leftovers(folder)
    written = [
        write_bytes(folder / TABLE, as_csv(comparison.table)),
        write_bytes(folder / SETTINGS, _settings(comparison)),
        write_bytes(folder / OBJECTS, as_csv(_objects(comparison), _OBJECT_KEYS)),
    ]
    stems = _stems([report.name for report in comparison.reports])
    for stem, report in zip(stems, comparison.reports, strict=True):
        for kind in _MAPS:
            array = getattr(report.measures.maps, kind)
            path = folder / f"{stem}_{kind}.tif"
            if array is not None:
                write_tiff(path, array)
                written.append(path)
    from napari_dinoprompt.core.comparing.figure import draw_comparison, render

    figure = draw_comparison(comparison, input_image)
    for suffix in ("png", "pdf"):
        path = folder / f"comparison.{suffix}"
        written.append(write_bytes(path, render(figure, suffix)))
    return written


def _stems(names: Sequence[str]) -> list[str]:
    """Make file names of the names of fakes, and keep them apart."""
    stems: list[str] = []
    for name in names:
        stem = re.sub(r"[^\w.-]+", "_", name).strip("._") or "fake"
        # File systems take 255 bytes, and a suffix and a number come behind.
        stem = stem.encode()[:_LONGEST].decode(errors="ignore")
        taken = {one.casefold() for one in stems}
        number = 2
        unique = stem
        while unique.casefold() in taken:
            unique = f"{stem}_{number}"
            number += 1
        stems.append(unique)
    return stems


def _objects(comparison: Comparison) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for report in comparison.rows:
        for one in report.measures.unmatched:
            values = (
                *(report.name, one.side, one.kind, one.label, *one.centre),
                *(one.area, *one.bbox),
            )
            rows.append(dict(zip(_OBJECT_KEYS, values, strict=True)))
    return rows


def _settings(comparison: Comparison) -> bytes:
    floor = {
        key: {"median": median, "95_percent": bound}
        for key, (median, bound) in comparison.noise_floor.items()
    }
    content = {
        "software": f"napari-dinoprompt {software_version()}",
        "settings": comparison.settings,
        "note": comparison.note,
        "columns": [
            {**asdict(one), "title": comparison.title(one)}
            for one in comparison.columns
        ],
        "intervals": "KEY_low and KEY_high are the 2.5 and 97.5 percentiles over draws "
        "of the prompts; null: none. Infinity is written as a string.",
        "agreement_values": {
            "neither": NEITHER,
            "both": BOTH,
            "only_in_real": ONLY_IN_REAL,
            "only_in_fake": ONLY_IN_FAKE,
        },
        "own_thresholds": {one.name: one.own_threshold for one in comparison.rows},
        "table": comparison.table,
        "noise_floor": floor,
    }
    return as_json(content)
