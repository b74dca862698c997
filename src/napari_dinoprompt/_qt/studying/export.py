"""Where the user wants what the study found, and the steps that write it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_dinoprompt._qt.studying import steps as study_steps

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_dinoprompt._qt.studying.request import StudyResult

__all__ = ["ask_for_path", "writing"]

_PLOT, _TABLE = "PNG (*.png);;PDF (*.pdf)", "CSV (*.csv)"


def writing(
    result: StudyResult, path: Path, *, plot: bool
) -> Generator[object, None, Path]:
    """Return the steps that write the table of a result, or its plot."""
    if plot:
        return study_steps.save_plot(result.part, result.found, result.light, path)
    return study_steps.save_table(result.found, path)


def ask_for_path(parent: QWidget, part: str, *, plot: bool) -> Path | None:
    """Ask the user where to write; None if they think better of it.

    Parameters
    ----------
    parent : QWidget
        Of the dialog.
    part : str
        The part of the study.
    plot : bool
        Its plot, not its table.

    Returns
    -------
    Path or None
        With a suffix that says what it is.
    """
    suffix, kinds = (".png", _PLOT) if plot else (".csv", _TABLE)
    name, _ = QFileDialog.getSaveFileName(parent, "Save as", f"{part}{suffix}", kinds)
    if not name:
        return None
    path = Path(name)
    known = (".png", ".pdf") if plot else (".csv",)
    # Added, as what is behind a dot may be part of the name.
    good = path.suffix.lower() in known
    return path if good else path.with_name(path.name + suffix)
