"""Threshold and cleaning of the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import CheckBox, SpinBox
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QLabel, QLineEdit, QSlider, QWidget
from superqt import QLabeledDoubleSlider
from superqt.utils import signals_blocked

from napari_dinoprompt._qt.common.keys import with_key
from napari_dinoprompt._qt.common.widgets import (
    MessageLabel,
    button,
    explain,
    in_column,
    literal,
    new_form,
    no_margins,
    row_of,
    shorten,
)
from napari_dinoprompt.core.masks.cleaning import Cleaning

if TYPE_CHECKING:
    from napari.layers import Layer

_MOST_LETTERS = 30


class VisibleBox(QCheckBox):
    """Whether a layer is visible, both ways; disabled without a layer."""

    def __init__(self, text: str, tooltip: str) -> None:
        super().__init__(text)
        explain(self, tooltip)
        self._layer: Layer | None = None
        self.toggled.connect(self._on_toggled)

    def follow(self, layer: Layer | None) -> None:
        """Stand for a layer from now on, or for none."""
        self._layer = layer
        self.setEnabled(layer is not None)
        if layer is not None:
            # Once, however often; one that was left may speak, and is not asked.
            layer.events.visible.connect(self._look)
        self._look()

    def _look(self, _event: object = None) -> None:
        with signals_blocked(self):
            self.setChecked(self._layer is not None and self._layer.visible)

    def _on_toggled(self, visible: bool) -> None:
        if self._layer is not None:
            self._layer.visible = visible


class ResultPanel(QWidget):
    """Where the similarity is cut, and what is done to the mask."""

    # The user set the threshold, a float, or None for auto.
    threshold_requested = Signal(object)
    # The user chose a `Cleaning`.
    cleaning_requested = Signal(object)
    # The user chose the kind of map on show: "fitted" or "plain".
    map_requested = Signal(str)
    # The user wants the threshold that fits the clicked objects.
    fit_requested = Signal()

    def __init__(self, cleaning: Cleaning) -> None:
        super().__init__()
        self._title = QLabel("threshold")
        self._slider = explain(
            QLabeledDoubleSlider(Qt.Orientation.Horizontal),
            "Cells more similar to the prompts than this, a cosine between -1 and 1, "
            "become the mask.",
            "threshold",
        )
        self._slider.setRange(-1.0, 1.0)
        self._slider.setDecimals(2)
        _explain_parts(self._slider)
        self._title.setBuddy(self._slider)
        self._auto = explain(QCheckBox("&Auto"), "Let the clicked objects decide.")
        self._auto.setChecked(True)
        self._min_size = SpinBox(value=cleaning.min_size, max=1_000_000_000)
        explain(
            self._min_size.native,
            "Objects of fewer pixels than this are removed (voxels, of 3-D objects).",
        )
        self._max_size = SpinBox(value=cleaning.max_size or 0, max=1_000_000_000)
        self._max_size.native.setSpecialValueText("none")
        explain(
            self._max_size.native,
            "Objects of more pixels than this are removed, after touching ones were "
            "separated.",
        )
        self._fill = CheckBox(text="Fill holes", value=cleaning.fill_holes)
        explain(self._fill.native, "Fill holes inside objects.")
        self._split = CheckBox(text="Split touchin&g", value=cleaning.split)
        explain(
            self._split.native,
            "Separate touching objects; each gets a number and a colour.",
        )
        tip = "Show the similarity map; off at first if the image is bright."
        self._map = VisibleBox("Map", with_key(tip, "map"))
        tip = "Show the mask. Its look is napari's to change."
        self._mask = VisibleBox("Mask", with_key(tip, "mask"))
        self._kind = explain(
            QComboBox(),
            "fitted: the map that the mask is cut from. plain: the cosine of the "
            "features alone, about 1 on what was clicked. The mask stays.",
            "kind of map",
        )
        self._kind.addItems(("fitted", "plain"))
        self._kind.textActivated.connect(self.map_requested)
        self._advice = MessageLabel("what is wrong with the mask")
        self._fit = button(
            "Fit to clicked objects",
            "Set the threshold that parts the clicked objects from what surrounds them "
            "best.",
        )
        self._fit.clicked.connect(self.fit_requested)
        self._mend = QWidget()
        mend = row_of(self._advice, self._fit)
        no_margins(mend)
        self._mend.setLayout(mend)
        self._mend.hide()
        self._count = MessageLabel("how many objects there are")
        form = new_form()
        form.addRow("smallest ob&ject (px)", self._min_size.native)
        form.addRow("largest object (px)", self._max_size.native)
        row = row_of(self._slider, self._auto)
        boxes = (self._fill.native, self._split.native)
        shown = row_of(self._map, self._kind, self._mask)
        in_column(self, self._title, row, self._count, self._mend, shown, form, *boxes)
        self._slider.valueChanged.connect(self._on_slider)
        self._auto.toggled.connect(self._on_auto)
        for widget in (self._min_size, self._max_size, self._fill, self._split):
            widget.changed.connect(self._on_cleaning)

    def show_threshold(self, name: str, value: float | None, auto: bool) -> None:
        """Show the threshold of a class, if there is one; auto: the prompts decide."""
        self._title.setText(f"threshold of {literal(shorten(name, _MOST_LETTERS))}")
        with signals_blocked(self._slider), signals_blocked(self._auto):
            self._auto.setChecked(auto)
            if value is not None:
                self._slider.setValue(value)

    def show_advice(self, advice: str) -> None:
        """Show what is wrong with the mask, and the button that mends it."""
        if advice:
            self._advice.setText(advice)
        elif self._fit.hasFocus():
            # Else it would go to the next widget, a number that a key would change.
            self._slider.setFocus()
        self._mend.setVisible(bool(advice))

    def show_count(self, text: str) -> None:
        """Show how many objects there are, and how large."""
        self._count.setText(text)

    def show_layers(self, kind: str, *held: Layer | None) -> None:
        """Mirror the map and the mask of an image, and which kind of map it is."""
        for box, layer in zip((self._map, self._mask), held, strict=True):
            box.follow(layer)
        self._kind.setCurrentText(kind)

    def show_cleaning(self, cleaning: Cleaning) -> None:
        """Show the cleaning in force."""
        for widget, value in (
            (self._min_size, cleaning.min_size),
            (self._max_size, cleaning.max_size or 0),
            (self._fill, cleaning.fill_holes),
            (self._split, cleaning.split),
        ):
            with widget.changed.blocked():
                widget.value = value

    def _on_slider(self, value: float) -> None:
        with signals_blocked(self._auto):
            self._auto.setChecked(False)
        self.threshold_requested.emit(float(value))

    def _on_auto(self, auto: bool) -> None:
        self.threshold_requested.emit(None if auto else float(self._slider.value()))

    def _on_cleaning(self, _value: object) -> None:
        smallest, largest = int(self._min_size.value), int(self._max_size.value)
        if 0 < largest < smallest:
            # While somebody types; the cleaning of before stays.
            self.show_count(
                f"No object has {smallest} px or more and {largest} or less."
            )
            return
        self.cleaning_requested.emit(
            Cleaning(
                min_size=smallest,
                fill_holes=bool(self._fill.value),
                split=bool(self._split.value),
                max_size=largest or None,
            )
        )


def _explain_parts(slider: QLabeledDoubleSlider) -> None:
    """Explain the bar and the number, which take the keyboard for the whole."""
    bar = slider.findChild(QSlider)
    number = slider.findChild(QLineEdit)
    if bar is not None:
        tip = with_key("Move the threshold with the arrow keys.", "lower", "higher")
        explain(bar, tip, "threshold")
        slider.setFocusProxy(bar)
    if number is not None:
        explain(number, "Type a threshold between -1 and 1.", "threshold, as a number")
        number.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
