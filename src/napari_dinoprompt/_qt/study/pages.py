"""What the user can choose for each part of the study, and the resolutions tried."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_dinoprompt._qt.common.layer_boxes import LayerBox
from napari_dinoprompt._qt.common.widgets import (
    button,
    explain,
    in_column,
    new_form,
    no_margins,
    put_in_tab_order,
    shorten,
    wrap,
)
from napari_dinoprompt.core.backbones.load import backbone_names
from napari_dinoprompt.core.backbones.weights import is_here

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari.layers import Image

    from napari_dinoprompt.core.prompt_study.influence import Influence
    from napari_dinoprompt.core.prompt_study.resolution import Resolution, Trial


_ORDERS, _MOST_ORDERS = 200, 5000
_UPSCALES = (1.0, 2.0, 4.0)
_OWN_LAYER = "The prompts are in a layer of your own, which no button changes."
_COLUMNS = (
    ("s", "Seconds for the features; nothing was taken from the disk."),
    ("MB", "Memory that the features take."),
    ("cells", "Rows and columns of cells."),
    ("agree", "IoU with the mask of the first line, which is in use."),
)
_MOST_LETTERS = 16
_TRUTH = ("IoU", "IoU with the truth.")


class ConvergencePage(QWidget):
    """In how many orders prompts are added."""

    def __init__(self) -> None:
        super().__init__()
        self._orders = explain(
            QSpinBox(),
            "In how many random orders the prompts are added; of few prompts all "
            "orders are taken.",
        )
        self._orders.setRange(1, _MOST_ORDERS)
        self._orders.setValue(_ORDERS)
        form = QFormLayout(self)
        no_margins(form)
        form.addRow("or&ders", self._orders)

    @property
    def orders(self) -> int:
        """How many."""
        return self._orders.value()


class InfluencePage(QWidget):
    """One button for each outlier that can be removed."""

    # The user wants a prompt removed, by its place in the reference.
    remove_requested = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        no_margins(self._column)
        self._buttons: list[QPushButton] = []
        self._shown: tuple[object, bool, bool] = (None, False, False)

    @property
    def buttons(self) -> list[QPushButton]:
        """Those that are offered."""
        return self._buttons

    def show_influence(
        self, found: Influence | None, *, current: bool, ours: bool
    ) -> None:
        """Offer to remove the outliers of a result."""
        if self._shown == (found, current, ours):
            return
        self._shown = (found, current, ours)
        _discard(self._buttons)
        self._buttons = []
        if found is None or not current:
            return
        for index in found.outliers:
            new = button(
                f"Remove prompt {index + 1}",
                f"Remove prompt {index + 1}, which looks like none of the others. Undo "
                "brings it back."
                if ours
                else f"Prompt {index + 1} looks like none of the others. {_OWN_LAYER}",
            )
            new.setEnabled(ours)
            new.clicked.connect(partial(self.remove_requested.emit, index))
            self._column.addWidget(new)
            self._buttons.append(new)


class ResolutionPage(QWidget):
    """What is tried; the table of what it gave is in `answer`, to be put below."""

    def __init__(self) -> None:
        super().__init__()
        self._upscales = {value: QCheckBox(f"×{value:g}") for value in _UPSCALES}
        self._backbones: dict[str, QCheckBox] = {}
        self._shown: Resolution | None = None
        self._other = explain(
            LayerBox("none"),
            "The same field with another number of pixels, such as an image that was "
            "enlarged by another program; its pixels are taken as they are.",
        )
        self.table = StudyTable()
        self.masks = button(
            "Show masks", "Show the masks side by side, moved with one camera."
        )
        self.masks.setCheckable(True)
        self._row, self._names = QHBoxLayout(), QVBoxLayout()
        for value, box in self._upscales.items():
            box.setChecked(True)
            explain(
                box,
                f"Try the image enlarged {value:g} times."
                if value != 1
                else "Try the image in its own size.",
                f"upscale {value:g}",
            )
            self._row.addWidget(box)
        self._row.addStretch()
        form = new_form()
        self.setLayout(form)
        form.addRow("upscales", self._row)
        self._also = QLabel("also with")
        form.addRow(self._also, self._names)
        form.addRow("sa&me field", self._other)
        self.answer = QWidget()
        in_column(self.answer, self.table, self.masks)
        self.show_resolution(None, current=False, masks=False)

    @property
    def upscales(self) -> tuple[float, ...]:
        """Those that are ticked."""
        return tuple(one for one, box in self._upscales.items() if box.isChecked())

    @property
    def backbones(self) -> tuple[str, ...]:
        """Those that are ticked."""
        return tuple(one for one, box in self._backbones.items() if box.isChecked())

    @property
    def other(self) -> Image | None:
        """The image of the same field, if one is chosen."""
        return self._other.layer

    def show_images(self, images: Sequence[Image], studied: Image | None) -> None:
        """Offer the images beside the one that is studied."""
        self._other.show_layers([one for one in images if one is not studied])

    def show_backbones(self, in_use: str, folder: str | None) -> None:
        """Offer the backbones that are here, beside the one in use.

        Looks on the disk, so it is called when the page comes on show.
        """
        here = [one for one in backbone_names() if one != in_use]
        here = [one for one in here if is_here(one, folder)]
        if here != list(self._backbones):
            _discard(self._backbones.values())
            self._backbones = {name: QCheckBox(name) for name in here}
            for name, box in self._backbones.items():
                explain(box, f"Try {name}, too.")
                self._names.addWidget(box)
            put_in_tab_order(self._upscales[_UPSCALES[-1]], *self._backbones.values())
        self._also.setVisible(bool(here))

    def show_resolution(
        self, found: Resolution | None, *, current: bool, masks: bool
    ) -> None:
        """Show a result, and whether its masks are on show."""
        self.answer.setVisible(found is not None)
        self.masks.setEnabled(current)
        with signals_blocked(self.masks):
            self.masks.setChecked(masks)
        if found is not self._shown:
            self._shown = found
            self.table.show_resolution(found)


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


def _discard(widgets: Iterable[QWidget]) -> None:
    """Take widgets from a page for good."""
    for one in widgets:
        one.hide()
        one.deleteLater()


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
