"""All figures of a comparison: one line each, a column for every image."""

from __future__ import annotations

import math
import re
from itertools import takewhile
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QTableWidget, QTableWidgetItem

from napari_dinoprompt._qt.common.widgets import explain, shorten, wrap
from napari_dinoprompt.core.comparison.columns import Column, format_figure

if TYPE_CHECKING:
    from napari_dinoprompt.core.comparison.measures import Report
    from napari_dinoprompt.core.comparison.report import Comparison


_ARROWS = {"higher": " ↑", "lower": " ↓", "none": ""}
_DIRECTIONS = {
    "higher": "Higher is more like the real.",
    "lower": "Lower is more like the real.",
    "none": "Neither high nor low is better in itself.",
}
_FLOOR = "noise\nfloor"
_ROWS_ON_SHOW = 11
_MOST_LETTERS = 14


class CompareTable(QTableWidget):
    """Figures with their meaning, intervals and noise floor in tooltips.

    In a narrow dock the figures go down and the images across.
    """

    chosen = Signal(int)
    """The user turned to the column of an image, by its place in `rows`."""
    explained = Signal(str)
    """What the figure that the user turned to means."""

    def __init__(self) -> None:
        super().__init__()
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setWordWrap(False)
        # Tab leaves the table; arrow keys go through it.
        self.setTabKeyNavigation(False)
        explain(
            self,
            "All figures: one line each, a column for every image. What a figure means "
            "is told below.",
            "figures of the comparison",
        )
        self._meanings: list[str] = []
        header = self.verticalHeader()
        if header is not None:
            height = self.fontMetrics().lineSpacing() + 8
            header.setDefaultSectionSize(height)
            self.setMinimumHeight(_ROWS_ON_SHOW * height)
        self.currentCellChanged.connect(self._on_cell)

    def show_comparison(self, comparison: Comparison | None) -> None:
        """Show the figures, or none."""
        self.clear()
        self.setRowCount(0)
        self.setColumnCount(0)
        self._meanings = []
        if comparison is None:
            return
        self._meanings = [
            f"{comparison.title(column)}: {column.meaning} {_DIRECTIONS[column.better]}"
            for column in comparison.columns
        ]
        reports, floor = comparison.rows, comparison.noise_floor
        self.setRowCount(len(comparison.columns))
        self.setColumnCount(len(reports) + bool(floor))
        names = [report.name for report in reports]
        for place, name in enumerate(_tell_apart(names)):
            self._set_header(place, shorten(name, _MOST_LETTERS), names[place])
        if floor:
            self._set_header(
                len(reports),
                _FLOOR,
                "What the real makes of itself under other draws of the prompts: the "
                "median. A difference from the real that is no larger says nothing.",
            )
        for row, column in enumerate(comparison.columns):
            title = QTableWidgetItem(comparison.title(column) + _ARROWS[column.better])
            title.setToolTip(_explain(column))
            self.setVerticalHeaderItem(row, title)
            for place, report in enumerate(reports):
                self.setItem(row, place, _cell(column, report, floor))
            if floor:
                self.setItem(row, len(reports), _floor_cell(column, floor))
        self.resizeColumnsToContents()

    def _set_header(self, place: int, text: str, tooltip: str) -> None:
        item = QTableWidgetItem(text)
        item.setToolTip(wrap(tooltip))
        self.setHorizontalHeaderItem(place, item)

    def _on_cell(self, row: int, column: int, *_before: int) -> None:
        if 0 <= row < len(self._meanings):
            self.explained.emit(self._meanings[row])
        if column >= 0:
            self.chosen.emit(column)


def _cell(
    column: Column, report: Report, floor: dict[str, tuple[float, float]]
) -> QTableWidgetItem:
    value = report.measures.figures.get(column.key, math.nan)
    lines = [f"{report.name}: {format_figure(column.key, value)}"]
    interval = report.intervals.get(column.key)
    if interval is not None:
        low, high = (format_figure(column.key, end) for end in interval)
        lines.append(f"{low} to {high} in 95 % of the draws of the prompts")
    if column.key in floor:
        lines.append(_floor_line(column, floor))
    return _right(format_figure(column.key, value), "\n".join(lines))


def _floor_cell(
    column: Column, floor: dict[str, tuple[float, float]]
) -> QTableWidgetItem:
    median, _ = floor.get(column.key, (math.nan, math.nan))
    tooltip = _floor_line(column, floor) if column.key in floor else ""
    return _right(format_figure(column.key, median), tooltip)


def _floor_line(column: Column, floor: dict[str, tuple[float, float]]) -> str:
    median, bound = (format_figure(column.key, value) for value in floor[column.key])
    return f"Noise floor: {median}, and {bound} for 95 % of the pairs of draws"


def _right(text: str, tooltip: str) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    item.setToolTip(wrap(tooltip))
    return item


def _explain(column: Column) -> str:
    # A paragraph is wrapped by Qt only as rich text.
    return (
        f"<p>{column.meaning}</p><p>{_DIRECTIONS[column.better]}</p>"
        f"<p><i>{column.source}</i></p>"
    )


def _tell_apart(names: list[str]) -> list[str]:
    """Leave out what all names begin and end with, but no part of a word."""
    parts = [re.findall(r"\w+|\W", name) for name in names]
    if len(names) < 2:
        return names
    first = _shared(parts)
    last = _shared([part[first:][::-1] for part in parts])
    kept = ["".join(part[first : len(part) - last]).strip() for part in parts]
    return [short or name for short, name in zip(kept, names, strict=True)]


def _shared(parts: list[list[str]]) -> int:
    """Count with how many equal parts all lists begin."""
    places = zip(*parts, strict=False)
    return sum(1 for _ in takewhile(lambda place: len(set(place)) == 1, places))
