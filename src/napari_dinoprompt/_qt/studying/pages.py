"""What the user can choose for each part of the study."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_dinoprompt._qt.widgets.explaining import (
    button,
    explain,
    no_margins,
)

if TYPE_CHECKING:
    from napari_dinoprompt.core.studying.influence import Influence

__all__ = [
    "ConvergencePage",
    "InfluencePage",
]

_ORDERS, _MOST_ORDERS = 200, 5000
_OWN_LAYER = "The prompts are in a layer of your own, which no button changes."


class ConvergencePage(QWidget):
    """In how many orders prompts are added."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._orders = QSpinBox()
        self._orders.setRange(1, _MOST_ORDERS)
        self._orders.setValue(_ORDERS)
        explain(
            self._orders,
            "In how many random orders the prompts are added; of few prompts all "
            "orders are taken.",
        )
        form = QFormLayout(self)
        no_margins(form)
        form.addRow("or&ders", self._orders)

    @property
    def orders(self) -> int:
        """How many."""
        return self._orders.value()


class InfluencePage(QWidget):
    """One button for each outlier that can be removed."""

    remove_requested = Signal(int)
    """The user wants a prompt removed, by its place in the reference."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
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
        """Offer to remove the outliers of a result.

        Parameters
        ----------
        found : Influence or None
        current : bool
            Whether it is of the prompts as they are now.
        ours : bool
            Whether the prompts are in a layer that buttons may change.
        """
        if self._shown == (found, current, ours):
            return
        self._shown = (found, current, ours)
        for old in self._buttons:
            self._column.removeWidget(old)
            old.hide()
            old.deleteLater()
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
