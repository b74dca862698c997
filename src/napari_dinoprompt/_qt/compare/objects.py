"""The objects of a comparison that have no partner; a click goes there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QListWidget, QVBoxLayout, QWidget

from napari_dinoprompt._qt.common.widgets import NarrowBox, explain, label_of

if TYPE_CHECKING:
    from napari_dinoprompt.core.comparison.objects import UnmatchedObject
    from napari_dinoprompt.core.comparison.report import Comparison


_KEYS = {
    "only in fake": "only_in_fake",
    "only in real": "only_in_real",
    "displaced or split": "displaced",
}
_HEIGHT = 110


class CompareObjects(QWidget):
    """A list for one fake: hallucinated or only in fake first, large ones first."""

    clicked = Signal(object)
    """The centre (y, x) of an object, in pixels of the real."""

    def __init__(self) -> None:
        super().__init__()
        self._comparison: Comparison | None = None
        self._objects: list[UnmatchedObject] = []
        self._fake = NarrowBox()
        explain(self._fake, "The image whose objects are listed.")
        self._fake.currentIndexChanged.connect(self._fill)
        self._list = QListWidget()
        self._list.setMinimumHeight(_HEIGHT)
        self._list.setUniformItemSizes(True)
        explain(
            self._list,
            "Objects with their area in pixels and their centre (y, x). Click on one, "
            "or turn to it with the arrow keys, to look at it; Enter looks again.",
            "objects without a partner",
        )
        self._list.itemClicked.connect(self._on_click)
        self._list.itemActivated.connect(self._on_click)
        self._list.currentRowChanged.connect(self._on_row)
        self._title = label_of("Ob&jects without a partner", self._fake)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._title)
        layout.addWidget(self._fake)
        layout.addWidget(self._list)

    @property
    def lines(self) -> list[str]:
        """What is listed."""
        items = (self._list.item(row) for row in range(self._list.count()))
        return [item.text() for item in items if item is not None]

    def show_comparison(self, comparison: Comparison | None) -> None:
        """Show the objects of the first fake, or none."""
        self._comparison = comparison
        blocked = self._fake.blockSignals(True)
        self._fake.clear()
        if comparison is not None:
            self._fake.addItems([report.name for report in comparison.rows])
            self._fake.setCurrentIndex(comparison.real_report is not None)
        self._fake.blockSignals(blocked)
        self._fill()

    def choose(self, place: int) -> None:
        """List the objects of another image, by its place in `rows`."""
        if place < self._fake.count():
            self._fake.setCurrentIndex(place)

    def _fill(self, _index: int = 0) -> None:
        blocked = self._list.blockSignals(True)
        self._list.clear()
        self._objects = []
        place = self._fake.currentIndex()
        if self._comparison is not None and place >= 0:
            unmatched = self._comparison.rows[place].measures.unmatched
            order = list(_KEYS)
            self._objects = sorted(
                unmatched, key=lambda one: (order.index(one.kind), -one.area)
            )
            titles = {
                column.key: self._comparison.title(column)
                for column in self._comparison.columns
            }
            self._list.addItems([_line(one, titles) for one in self._objects])
        self._list.blockSignals(blocked)

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
