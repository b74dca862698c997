"""What a comparison found: all figures in a table, and objects without a partner."""

from __future__ import annotations

import math
import re
from itertools import takewhile
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QTableWidget, QTableWidgetItem, QWidget
from superqt.utils import signals_blocked

from napari_dinoprompt._qt.common.widgets import (
    NarrowBox,
    explain,
    in_column,
    label_of,
    shorten,
    wrap,
)
from napari_dinoprompt.core.comparison.columns import Column, format_figure

if TYPE_CHECKING:
    from napari_dinoprompt.core.comparison.measures import Report
    from napari_dinoprompt.core.comparison.objects import UnmatchedObject
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
_KEYS = {
    "only in fake": "only_in_fake",
    "only in real": "only_in_real",
    "displaced or split": "displaced",
}
_HEIGHT = 110


class CompareTable(QTableWidget):
    """Figures with their meaning, intervals and noise floor in tooltips.

    In a narrow dock the figures go down and the images across.
    """

    # The user turned to the column of an image, by its place in `rows`.
    chosen = Signal(int)
    # What the figure that the user turned to means.
    explained = Signal(str)

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


class CompareObjects(QWidget):
    """A list for one fake: hallucinated or only in fake first, large ones first."""

    # The centre (y, x) of an object, in pixels of the real.
    clicked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._comparison: Comparison | None = None
        self._objects: list[UnmatchedObject] = []
        self._fake = explain(NarrowBox(), "The image whose objects are listed.")
        self._fake.currentIndexChanged.connect(self._fill)
        self._list = explain(
            QListWidget(),
            "Objects with their area in pixels and their centre (y, x). Click on one, "
            "or turn to it with the arrow keys, to look at it; Enter looks again.",
            "objects without a partner",
        )
        self._list.setMinimumHeight(_HEIGHT)
        self._list.setUniformItemSizes(True)
        self._list.itemClicked.connect(self._on_click)
        self._list.itemActivated.connect(self._on_click)
        self._list.currentRowChanged.connect(self._on_row)
        self._title = label_of("Ob&jects without a partner", self._fake)
        in_column(self, self._title, self._fake, self._list)

    def show_comparison(self, comparison: Comparison | None) -> None:
        """Show the objects of the first fake, or none."""
        self._comparison = comparison
        with signals_blocked(self._fake):
            self._fake.clear()
            if comparison is not None:
                self._fake.addItems([report.name for report in comparison.rows])
                self._fake.setCurrentIndex(comparison.real_report is not None)
        self._fill()

    def choose(self, place: int) -> None:
        """List the objects of another image, by its place in `rows`."""
        if place < self._fake.count():
            self._fake.setCurrentIndex(place)

    def _fill(self, _index: int = 0) -> None:
        self._objects, titles = [], {}
        place, comparison = self._fake.currentIndex(), self._comparison
        if comparison is not None and place >= 0:
            order = list(_KEYS)
            self._objects = sorted(
                comparison.rows[place].measures.unmatched,
                key=lambda one: (order.index(one.kind), -one.area),
            )
            titles = {one.key: comparison.title(one) for one in comparison.columns}
        with signals_blocked(self._list):
            self._list.clear()
            self._list.addItems([_line(one, titles) for one in self._objects])

    def _on_row(self, row: int) -> None:
        # By the keys; a click on the line that is current already comes by itself.
        if 0 <= row < len(self._objects):
            self.clicked.emit(self._objects[row].centre)

    def _on_click(self, _item: object) -> None:
        self._on_row(self._list.currentRow())


def _line(one: UnmatchedObject, titles: dict[str, str]) -> str:
    y, x = one.centre
    side = f" ({one.side})" if one.kind == "displaced or split" else ""
    return f"{titles[_KEYS[one.kind]]}{side}: {one.area} px at ({y:.0f}, {x:.0f})"
