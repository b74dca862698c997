"""Where features are computed, in which number format, with which weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, FileEdit
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dinoprompt._qt.widgets.explaining import explain, new_form, no_margins

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones import BackboneChoice

__all__ = ["AdvancedRows"]

_FILE = (
    "A file with the backbone's weights, if they are in none of the usual "
    "places; empty if they are."
)


class AdvancedRows(QWidget):
    """Device, precision and checkpoint of a backbone."""

    changed = Signal()
    """The user chose something else."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._device = ComboBox(choices=["auto", "cuda", "mps", "cpu"])
        explain(
            self._device.native, "Where to compute; auto takes a GPU if there is one."
        )
        self._precision = ComboBox(choices=["auto", "fp32", "bf16", "fp16"])
        explain(
            self._precision.native,
            "Number format of networks; auto is half where that is faster.",
        )
        self._checkpoint = FileEdit(
            mode=FileDialogMode.EXISTING_FILE,
            nullable=True,
            filter="Weights (*.safetensors *.pth *.pt *.bin)",
        )
        line = self._checkpoint.line_edit.native
        explain(line, _FILE, "checkpoint")
        self._checkpoint.choose_btn.text = "File…"
        explain(self._checkpoint.choose_btn.native, "Choose the file with the weights.")
        self._checkpoint.native.setFocusProxy(line)
        form = new_form()
        form.addRow("d&evice", self._device.native)
        form.addRow("precisio&n", self._precision.native)
        form.addRow("chec&kpoint", self._checkpoint.native)
        layout = QVBoxLayout(self)
        no_margins(layout)
        layout.addLayout(form)
        for widget in (self._device, self._precision, self._checkpoint):
            widget.changed.connect(self._on_changed)

    def applied_to(self, choice: BackboneChoice) -> BackboneChoice:
        """Return a choice with device, precision and checkpoint of the rows."""
        checkpoint = self._checkpoint.value
        return replace(
            choice,
            checkpoint=None if checkpoint is None else str(checkpoint),
            device=self._device.value,
            precision=self._precision.value,
        )

    def show_choice(self, choice: BackboneChoice) -> None:
        """Show what is in force."""
        for widget, value in (
            (self._device, choice.device),
            (self._precision, choice.precision),
            (self._checkpoint, choice.checkpoint),
        ):
            with widget.changed.blocked():
                widget.value = value

    def _on_changed(self, _value: object) -> None:
        self.changed.emit()
