"""The resolutions that were tried: one line each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

from napari_dinoprompt._qt.common.widgets import explain, shorten, wrap

if TYPE_CHECKING:
    from napari_dinoprompt.core.prompt_study.resolution import Resolution, Trial


_COLUMNS = (
    ("s", "Seconds for the features; nothing was taken from the disk."),
    ("MB", "Memory that the features take."),
    ("cells", "Rows and columns of cells."),
    ("agree", "IoU with the mask of the first line, which is in use."),
)
_MOST_LETTERS = 16
_TRUTH = ("IoU", "IoU with the truth.")


class StudyTable(QTableWidget):
    """Settings down, figures across; the recommended one is bold."""

    def __init__(self) -> None:
        super().__init__()
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        explain(
            self,
            "The settings that were tried: seconds for the features, megabytes of "
            "memory, rows and columns of cells, IoU. The recommended one is bold.",
            "resolutions",
        )
        self._fit()

    def show_resolution(self, found: Resolution | None) -> None:
        """Show the settings, or none."""
        self.clear()
        self.setRowCount(0)
        self.setColumnCount(0)
        if found is not None:
            known = not all(math.isnan(one.iou) for one in found.trials)
            columns = (*_COLUMNS, _TRUTH) if known else _COLUMNS
            self.setRowCount(len(found.trials))
            self.setColumnCount(len(columns))
            for place, (title, tooltip) in enumerate(columns):
                item = QTableWidgetItem(title)
                item.setToolTip(wrap(tooltip))
                self.setHorizontalHeaderItem(place, item)
            for row, trial in enumerate(found.trials):
                self._show_trial(row, trial, best=row == found.best)
        self._fit()

    def _show_trial(self, row: int, trial: Trial, *, best: bool) -> None:
        tooltip = wrap(_explain(trial, best=best))
        head = QTableWidgetItem(shorten(trial.name, _MOST_LETTERS))
        head.setToolTip(tooltip)
        self.setVerticalHeaderItem(row, head)
        for place, text in enumerate(_figures(trial)[: self.columnCount()]):
            item = QTableWidgetItem(text)
            item.setTextAlignment(
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            )
            item.setToolTip(tooltip)
            self.setItem(row, place, item)
            if best:
                font = item.font()
                font.setBold(True)
                item.setFont(font)
                head.setFont(font)

    def _fit(self) -> None:
        """Be as high as the lines, and use the width that there is."""
        self.resizeColumnsToContents()
        height = self.fontMetrics().lineSpacing() + 8
        down, across = self.verticalHeader(), self.horizontalHeader()
        if down is None or across is None:
            return
        down.setDefaultSectionSize(height)
        across.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        across.setStretchLastSection(True)
        lines = self.rowCount() * height + across.sizeHint().height()
        self.setFixedHeight(lines + 2 * self.frameWidth() + 2)


def _figures(trial: Trial) -> tuple[str, ...]:
    rows, columns = trial.cells
    return (
        f"{trial.seconds:.2g}" if trial.seconds < 10 else f"{trial.seconds:.0f}",
        f"{trial.bytes / 1e6:.3g}",
        f"{rows}×{columns}",
        f"{trial.agreement:.3f}",
        f"{trial.iou:.3f}",
    )


def _explain(trial: Trial, *, best: bool) -> str:
    lines = [
        trial.name,
        f"a cell is {trial.cell:.3g} pixels wide",
        f"automatic threshold {trial.threshold:.2f}",
        f"{100 * trial.fraction:.3g} % of the image is in the mask",
        f"{trial.objects} connected regions, not cleaned",
    ]
    if not math.isnan(trial.width):
        lines.append(f"a typical object is {trial.width:.3g} pixels wide")
    if best:
        lines.append("recommended")
    return "\n".join(lines)
