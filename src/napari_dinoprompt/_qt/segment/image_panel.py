"""Choosing the image, the backbone and the resolution."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, FileEdit
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSpinBox, QWidget
from superqt.utils import signals_blocked

from napari_dinoprompt._qt.common.layer_boxes import LayerBox
from napari_dinoprompt._qt.common.widgets import (
    MessageLabel,
    NarrowBox,
    Section,
    duration,
    explain,
    in_column,
    new_form,
)
from napari_dinoprompt.core.backbones.load import (
    FILTERBANK,
    BackboneChoice,
    backbone_names,
)
from napari_dinoprompt.core.backbones.weights import describe_size
from napari_dinoprompt.session.image_state import FeatureRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from napari_dinoprompt.core.features.extraction import Estimate


_AUTO = "auto"
_UPSCALES = (_AUTO, "×1", "×2", "×4")
_FILE = (
    "A file with a network's weights, or a folder that holds it: which network it is "
    "is seen from the file. Empty for weights in the usual places."
)
_FILTERBANK = (
    "Simple filters: good for fluorescence, weak for tissue and electron micrographs."
)
_LAST_BLOCK = -1
# As long as it is not known how many there are.
_MOST_BLOCKS = 99


class ImagePanel(QWidget):
    """Image, backbone, upscale; device, precision and checkpoint under Advanced."""

    # The user chose an image layer.
    image_requested = Signal(object)
    # The user chose a `FeatureRequest`, and whether objects decide its upscale.
    features_requested = Signal(object, bool)
    # The user chose a file or a folder with weights.
    checkpoint_chosen = Signal(str)

    def __init__(self, request: FeatureRequest) -> None:
        super().__init__()
        self._shown: FeatureRequest | None = None
        self._auto = True
        self._blocks: int | None = None
        self._weights_folder = request.backbone.weights_folder
        self._cache_gigabytes = request.backbone.cache_gigabytes
        self._image = explain(
            LayerBox(), "The image to segment: grey or RGB, with any number of axes."
        )
        self._backbone = explain(
            _editable(backbone_names()),
            "What turns the image into features. filterbank always works; DINOv2 "
            "needs its weights. Type timm:<name> for any other timm transformer.",
        )
        self._upscale = explain(
            _editable(_UPSCALES),
            "How many times the image is enlarged before the backbone: auto goes by "
            "the size of the clicked objects, for networks. More gives smaller cells "
            "and finer masks, and costs its square in time. Type any number above 0.",
        )
        self._advanced = AdvancedRows()
        self._facts = MessageLabel("size of the features")
        self._about = MessageLabel("what the backbone is good for")
        self._lay_out()
        self.show_request(request, auto=True)
        self._image.activated.connect(self._on_image)
        self._backbone.activated.connect(self._on_features)
        self._upscale.activated.connect(self._on_features)
        for line in (self._backbone.lineEdit(), self._upscale.lineEdit()):
            assert line is not None
            line.editingFinished.connect(self._on_features)
        self._advanced.changed.connect(self._on_features)
        self._advanced.checkpoint_chosen.connect(self.checkpoint_chosen)

    def _lay_out(self) -> None:
        form = new_form()
        form.addRow("&image", self._image)
        form.addRow("&backbone", self._backbone)
        form.addRow("&upscale", self._upscale)
        section = Section(
            "A&dvanced",
            "Show or hide where and with which weights features are computed.",
            self._advanced,
        )
        in_column(self, form, self._about, self._facts, section)

    def show_images(self, images: Sequence[Image], chosen: Image | None) -> None:
        """Offer images by name; one may be in use."""
        self._image.show_layers(images)
        self._image.choose(chosen)

    @property
    def image(self) -> Image | None:
        """The image layer that is chosen."""
        return self._image.layer

    @property
    def request(self) -> FeatureRequest | None:
        """What is chosen; None without a backbone or an upscale above 0."""
        name = self._backbone.currentText().strip()
        if not name:
            return None
        if self.auto_upscale:
            # Cells of another backbone are another matter, and those of the filter
            # bank small as they are.
            known = self._shown is not None and self._shown.backbone.name == name
            known = known and name != FILTERBANK
            upscale = self._shown.upscale if known and self._shown else 1.0
        else:
            try:
                text = self._upscale.currentText().lstrip("×x ")
                upscale = float(text.replace(",", "."))
            except ValueError:
                return None
        if not 0 < upscale < float("inf"):
            return None
        choice = BackboneChoice(
            name=name,
            # From the preferences; the panel has no rows for these.
            weights_folder=self._weights_folder,
            cache_gigabytes=self._cache_gigabytes,
        )
        return FeatureRequest(self._advanced.applied_to(choice), upscale)

    @property
    def auto_upscale(self) -> bool:
        """Whether the clicked objects decide the upscale."""
        return self._upscale.currentText().strip().lower().startswith(_AUTO)

    def show_request(
        self, request: FeatureRequest, *, auto: bool, blocks: int | None = None
    ) -> None:
        """Show what is in force, without disturbing somebody who is typing.

        And offer as many blocks as there are, once that is known.
        """
        if (request, auto, blocks) == (self._shown, self._auto, self._blocks):
            return
        self._shown, self._auto, self._blocks = request, auto, blocks
        self._backbone.setCurrentText(request.backbone.name)
        self._show_upscale()
        self._advanced.show_choice(request.backbone, blocks)
        bank = request.backbone.name == FILTERBANK
        self._about.setText(_FILTERBANK if bank else "")
        self._about.setVisible(bank)

    def choose_checkpoint(self) -> None:
        """Ask for a file with weights."""
        self._advanced.choose_checkpoint()

    def show_facts(
        self, used: str, estimate: Estimate | None, seconds: float | None
    ) -> None:
        """Show how large the features are and how long they take, where known.

        Of the backbone in use, by name where another one is chosen.
        """
        if estimate is None:
            self._facts.clear()
            return
        rows, columns = estimate.cells
        chosen = self._shown is not None and self._shown.backbone.name == used
        text = "" if chosen else f"{used}: "
        text += f"{rows} × {columns} cells of {estimate.cell:.3g} px, "
        text += f"about {describe_size(estimate.bytes)}"
        if not estimate.whole:
            disk = describe_size(estimate.disk)
            text += f"; done part by part, up to {disk} on the disk for each class"
        if seconds is not None:
            text += f", {duration(seconds)} left"
        self._facts.setText(text)

    def _on_image(self, _index: int) -> None:
        self.image_requested.emit(self.image)

    def _on_features(self, _value: object = None) -> None:
        request = self.request
        if request is not None:
            self.features_requested.emit(request, self.auto_upscale)
        elif self._shown is not None and not self._backbone.currentText().strip():
            self._backbone.setCurrentText(self._shown.backbone.name)
        self._show_upscale()

    def _show_upscale(self) -> None:
        """Show the upscale in force; what is on auto too, once it is not 1."""
        if self._shown is None:
            return
        text = f"×{self._shown.upscale:g}"
        if self._auto:
            text = _AUTO if self._shown.upscale == 1 else f"{_AUTO} ({text})"
        self._upscale.setCurrentText(text)


class AdvancedRows(QWidget):
    """Device, precision, checkpoint and block of a backbone."""

    # The user chose something else.
    changed = Signal()
    # The user chose a file or a folder with weights.
    checkpoint_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        # The backbone and the file that were shown last: any other is the user's.
        self._of: tuple[str, str | None] = ("", None)
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
        self._line = line
        self._block = QSpinBox()
        self._block.setMinimum(_LAST_BLOCK)
        self._block.setSpecialValueText("last")
        self._block.setKeyboardTracking(False)
        explain(
            self._block,
            "Which transformer block the features are from, counted from 0. Networks "
            "that were trained with labels are better in the middle.",
            "block",
        )
        form = new_form()
        form.addRow("d&evice", self._device.native)
        form.addRow("precisio&n", self._precision.native)
        form.addRow("chec&kpoint", self._checkpoint.native)
        form.addRow("block", self._block)
        in_column(self, form)
        for widget in (self._device, self._precision):
            widget.changed.connect(self._on_changed)
        # Letters that are typed are no path yet; what the dialog sets is one.
        line.editingFinished.connect(self._on_typed)
        self._checkpoint.changed.connect(self._on_path)
        self._block.valueChanged.connect(self._on_changed)

    def applied_to(self, choice: BackboneChoice) -> BackboneChoice:
        """Return a choice with what the rows say, as far as it applies to it."""
        network = choice.name != FILTERBANK
        block = self._block.value()
        name, file = self._of
        given = self.checkpoint
        if choice.name == name:
            # Any other in the field was refused.
            given = given and file
        elif given == file:
            # A file of weights is one model's.
            given = None
        return replace(
            choice,
            checkpoint=given if network else None,
            device=self._device.value,
            precision=self._precision.value,
            block=block if network and block != _LAST_BLOCK else None,
        )

    @property
    def checkpoint(self) -> str | None:
        """What is in the field."""
        given = self._checkpoint.value
        return None if given is None else str(given)

    def choose_checkpoint(self) -> None:
        """Ask for a file."""
        self._checkpoint.choose_btn.native.click()

    def show_choice(self, choice: BackboneChoice, blocks: int | None) -> None:
        """Show what is in force, and offer as many blocks as there are."""
        of = (choice.name, choice.checkpoint)
        rows: list[tuple[Any, str | None]]
        rows = [(self._device, choice.device), (self._precision, choice.precision)]
        # What was refused can be mended as long as nothing else is chosen; somebody
        # may be typing.
        if of != self._of:
            rows.append((self._checkpoint, choice.checkpoint))
        self._of = of
        for widget, value in rows:
            with widget.changed.blocked():
                widget.value = value
        block = _LAST_BLOCK if choice.block is None else choice.block
        with signals_blocked(self._block):
            self._block.setMaximum(max(block, blocks - 1 if blocks else _MOST_BLOCKS))
            self._block.setValue(block)
        self._block.setEnabled(choice.name != FILTERBANK)

    def _on_changed(self, _value: object) -> None:
        self.changed.emit()

    def _on_typed(self) -> None:
        if self._line.isModified():
            self._line.setModified(False)
            self._on_checkpoint()

    def _on_path(self, _value: object) -> None:
        if not self._line.isModified():
            self._on_checkpoint()

    def _on_checkpoint(self) -> None:
        if self.checkpoint is None:
            self.changed.emit()
        else:
            self.checkpoint_chosen.emit(self.checkpoint)


def _editable(offered: Sequence[str]) -> NarrowBox:
    """Make a box of texts, into which others can be typed."""
    box = NarrowBox()
    box.setEditable(True)
    box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
    box.addItems(list(offered))
    return box
