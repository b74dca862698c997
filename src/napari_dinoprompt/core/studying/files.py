"""A study as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt.core.comparing.figure import render
from napari_dinoprompt.core.files.atomic import remove_leftovers, write_bytes
from napari_dinoprompt.core.files.tables import as_csv, as_json
from napari_dinoprompt.core.version import software_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from napari_dinoprompt.core.studying.report import Study

__all__ = ["save_figure", "save_study", "save_table", "study_paths"]

SUMMARY = "study.json"


def study_paths(folder: Path, parts: Sequence[str]) -> list[Path]:
    """List the files that a study is saved as.

    Parameters
    ----------
    folder : Path
    parts : sequence of str
        Names of its parts.

    Returns
    -------
    list of Path
    """
    tables = [folder / f"{part}.csv" for part in parts]
    figures = [folder / f"{part}.png" for part in parts if part != "suggestion"]
    return [*tables, *figures, folder / SUMMARY]


def save_study(study: Study, folder: Path) -> list[Path]:
    """Write tables, figures and the summary, each file whole or not at all.

    Parameters
    ----------
    study : Study
    folder : Path

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
        save_table(folder / f"{name}.csv", part.rows(), keys=_keys(part.rows()))
        for name, part in study.parts.items()
    ]
    written += [
        save_figure(folder / f"{name}.png", figure)
        for name, figure in study.figures().items()
    ]
    return [*written, write_bytes(folder / SUMMARY, _summary(study))]


def save_table(
    path: Path,
    rows: Sequence[Mapping[str, object]],
    keys: Sequence[str] | None = None,
) -> Path:
    """Write records as CSV; what is not known stays empty.

    Parameters
    ----------
    path : Path
    rows : sequence of mapping
        All with the same keys.
    keys : sequence of str, optional
        The header where there may be no record.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    return write_bytes(path, as_csv(rows, keys))


def save_figure(path: Path, figure: Figure) -> Path:
    """Write a figure in the format that the name ends in.

    Parameters
    ----------
    path : Path
        ``.png`` or ``.pdf``.
    figure : matplotlib.figure.Figure

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    return write_bytes(path, render(figure, path.suffix.lstrip(".").lower()))


def _keys(rows: Sequence[Mapping[str, object]]) -> list[str]:
    return list(rows[0]) if rows else ["rank", "y", "x", "likely", "settles"]


def _summary(study: Study) -> bytes:
    content = {
        "software": f"napari-dinoprompt {software_version()}",
        "settings": dict(study.settings),
        "answers": list(study.sentences),
        "parts": {name: part.rows() for name, part in study.parts.items()},
        **study.figures_in_words,
    }
    return as_json(content)
