"""What the user can choose for each part of the study."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_dinoprompt._qt.widgets.explaining import (
    button,
    explain,
    literal,
    no_margins,
    shorten,
)

if TYPE_CHECKING:
    from napari_dinoprompt.core.studying.influence import Influence
    from napari_dinoprompt.core.studying.suggestion import Suggestion

__all__ = [
    "ConvergencePage",
    "InfluencePage",
    "SuggestionPage",
]

_ORDERS, _MOST_ORDERS = 200, 5000
_MOST_LETTERS = 28
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


class SuggestionPage(QWidget):
    """What to make of the suggested place."""

    object_requested = Signal()
    background_requested = Signal()
    skip_requested = Signal()
    look_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._object = button("It is an object", "Make it a prompt of the class.")
        self._background = button("It is bac&kground", "Make it a background prompt.")
        self._skip = button("Skip", "Show the next place.")
        self._look = button("Show m&e", "Move the camera there.")
        self._object.clicked.connect(self.object_requested)
        self._background.clicked.connect(self.background_requested)
        self._skip.clicked.connect(self.skip_requested)
        self._look.clicked.connect(self.look_requested)
        column = QVBoxLayout(self)
        no_margins(column)
        for pair in ((self._object, self._background), (self._skip, self._look)):
            row = QHBoxLayout()
            for one in pair:
                row.addWidget(one)
            column.addLayout(row)

    def show_ghost(
        self, ghost: tuple[int, int, Suggestion] | None, *, ours: bool, name: str
    ) -> None:
        """Offer what can be done with the suggestion.

        Parameters
        ----------
        ghost : (int, int, Suggestion) or None
            Its number, how many there are, and itself.
        ours : bool
            Whether the prompts are in a layer that buttons may change.
        name : str
            The class of objects.
        """
        self.setVisible(ghost is not None)
        words = "&It is an object" if name == "object" else f"&It is {literal(name)}"
        self._object.setText(shorten(words, _MOST_LETTERS))
        for one, tooltip in (
            (self._object, f"Make it a prompt of the class {name}."),
            (self._background, "Make it a background prompt."),
        ):
            one.setEnabled(ours)
            explain(one, tooltip if ours else f"{tooltip} {_OWN_LAYER}")
