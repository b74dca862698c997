"""Threshold and cleaning of the mask."""

from __future__ import annotations

from magicgui.widgets import CheckBox, Container, SpinBox, Widget
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider
from superqt.utils import signals_blocked

from napari_dinoprompt.core.masks import Cleaning

__all__ = ["ResultPanel"]


class ResultPanel(QWidget):
    """Where the similarity is cut, and what is done to the mask."""

    threshold_requested = Signal(object)
    """The user set the threshold, a float, or None for auto."""
    cleaning_requested = Signal(object)
    """The user chose a `Cleaning`."""

    def __init__(self, cleaning: Cleaning, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = QLabel("threshold")
        self._slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(-1.0, 1.0)
        self._slider.setDecimals(2)
        self._slider.setToolTip(
            "Cells more similar to the prompts than this become the mask."
        )
        self._auto = QCheckBox("Auto")
        self._auto.setChecked(True)
        self._auto.setToolTip("Let the prompts' agreement with each other decide.")
        self._min_size = SpinBox(
            label="smallest object",
            value=cleaning.min_size,
            max=1_000_000_000,
            tooltip="Objects of fewer pixels are removed.",
        )
        self._fill = CheckBox(
            text="Fill holes",
            value=cleaning.fill_holes,
            tooltip="Fill holes inside objects.",
        )
        self._split = CheckBox(
            text="Split touching",
            value=cleaning.split,
            tooltip="Separate touching objects; each gets a number and a colour.",
        )
        widgets: list[Widget] = [self._min_size, self._fill, self._split]
        self._form = Container(widgets=widgets)
        self._form.margins = (0, 0, 0, 0)
        row = QHBoxLayout()
        row.addWidget(self._slider)
        row.addWidget(self._auto)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._title)
        layout.addLayout(row)
        layout.addWidget(self._form.native)
        self._slider.valueChanged.connect(self._on_slider)
        self._auto.toggled.connect(self._on_auto)
        self._form.changed.connect(self._on_cleaning)

    def show_threshold(self, name: str, value: float | None, auto: bool) -> None:
        """Show the threshold in force.

        Parameters
        ----------
        name : str
            Its class.
        value : float or None
            None while there is no result.
        auto : bool
            Whether the prompts decide.
        """
        self._title.setText(f"threshold of {name}")
        with signals_blocked(self._slider), signals_blocked(self._auto):
            self._auto.setChecked(auto)
            if value is not None:
                self._slider.setValue(value)

    def show_cleaning(self, cleaning: Cleaning) -> None:
        """Show the cleaning in force."""
        with self._form.changed.blocked():
            self._min_size.value = cleaning.min_size
            self._fill.value = cleaning.fill_holes
            self._split.value = cleaning.split

    def _on_slider(self, value: float) -> None:
        with signals_blocked(self._auto):
            self._auto.setChecked(False)
        self.threshold_requested.emit(float(value))

    def _on_auto(self, auto: bool) -> None:
        self.threshold_requested.emit(None if auto else float(self._slider.value()))

    def _on_cleaning(self, _form: object) -> None:
        self.cleaning_requested.emit(
            Cleaning(
                min_size=int(self._min_size.value),
                fill_holes=bool(self._fill.value),
                split=bool(self._split.value),
            )
        )
