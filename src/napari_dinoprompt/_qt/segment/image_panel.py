"""Choosing the image, the backbone and the resolution, and getting weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, FileEdit
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QProgressBar, QWidget

from napari_dinoprompt._qt.common.jobs import LatestJob
from napari_dinoprompt._qt.common.layer_boxes import LayerBox
from napari_dinoprompt._qt.common.widgets import (
    MessageLabel,
    NarrowBox,
    Section,
    button,
    duration,
    explain,
    in_column,
    new_form,
    row_of,
)
from napari_dinoprompt.core.backbones.download import fetch_weights
from napari_dinoprompt.core.backbones.load import (
    FILTERBANK,
    BackboneChoice,
    backbone_names,
)
from napari_dinoprompt.core.backbones.weights import (
    describe_size,
    dinov2_weights,
    find_dinov2,
)
from napari_dinoprompt.core.errors import WeightsNotFoundError
from napari_dinoprompt.session.image_state import FeatureRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari.layers import Image

    from napari_dinoprompt.core.features.estimate import Estimate
    from napari_dinoprompt.core.progress import Progress


_AUTO = "auto"
_UPSCALES = (_AUTO, "×1", "×2", "×4")
_FILE = (
    "A file with the backbone's weights, if they are in none of the usual "
    "places; empty if they are."
)
# Qt counts in 32 bits, and dinov2-giant has more bytes than that.
_UNIT = 1000


class ImagePanel(QWidget):
    """Image, backbone, upscale; device, precision and checkpoint under Advanced."""

    image_requested = Signal(object)
    """The user chose an image layer."""
    features_requested = Signal(object, bool)
    """The user chose a `FeatureRequest`, and whether objects decide its upscale."""

    def __init__(self, request: FeatureRequest) -> None:
        super().__init__()
        self._shown: FeatureRequest | None = None
        self._auto = True
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
        self._lay_out()
        self.show_request(request, auto=True)
        self._image.activated.connect(self._on_image)
        self._backbone.activated.connect(self._on_features)
        self._upscale.activated.connect(self._on_features)
        for line in (self._backbone.lineEdit(), self._upscale.lineEdit()):
            assert line is not None
            line.editingFinished.connect(self._on_features)
        self._advanced.changed.connect(self._on_features)

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
        in_column(self, form, self._facts, section)

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
        """What is chosen, or None while the upscale is not a number above 0."""
        name = self._backbone.currentText().strip()
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

    def show_request(self, request: FeatureRequest, *, auto: bool) -> None:
        """Show what is in force, without disturbing somebody who is typing."""
        if (request, auto) == (self._shown, self._auto):
            return
        self._shown, self._auto = request, auto
        self._backbone.setCurrentText(request.backbone.name)
        self._show_upscale()
        self._advanced.show_choice(request.backbone)

    def show_facts(self, estimate: Estimate | None, seconds: float | None) -> None:
        """Show how large the features are and how long they take, where known."""
        if estimate is None:
            self._facts.clear()
            return
        rows, columns = estimate.cells
        text = (
            f"{rows} × {columns} cells of {estimate.cell:.3g} px, "
            f"about {describe_size(estimate.bytes)}"
        )
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
    """Device, precision and checkpoint of a backbone."""

    changed = Signal()
    """The user chose something else."""

    def __init__(self) -> None:
        super().__init__()
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
        in_column(self, form)
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


class WeightsPanel(QWidget):
    """What is missing, a button that gets it, progress and Cancel.

    Nobody is asked over the network before the button is pressed.
    """

    fetched = Signal(str)
    """The weights of this backbone are here now."""

    def __init__(self) -> None:
        super().__init__()
        self._missing: str | None = None
        self._fetching = ""
        self._progress: Progress | None = None
        self._notice = MessageLabel("missing weights")
        self._said = MessageLabel("download")
        self._get = button(
            "Get weights",
            "Download the weights from the Hugging Face hub into its cache on this "
            "machine. Your prompts stay.",
        )
        self._get.clicked.connect(self._start)
        self._bar = explain(
            QProgressBar(), "How much of the weights is here.", "download"
        )
        self._cancel = button(
            "Cancel download", "Stop the download; what was received is kept."
        )
        self._cancel.clicked.connect(self._stop)
        self._job = LatestJob(self, "Getting the weights")
        self._job.yielded.connect(self._on_progress)
        self._job.returned.connect(self._on_fetched)
        self._job.failed.connect(self._end)
        row = row_of(self._get, self._bar, self._cancel)
        in_column(self, self._notice, row, self._said)
        self._show()

    @property
    def fetching(self) -> bool:
        """Whether a download is under way."""
        return self._job.running

    def offer(self, name: str | None, folder: str | None) -> None:
        """Offer a DINOv2 backbone if its weights are missing, in this folder too."""
        missing = None if name is None or _is_here(name, folder) else name
        if missing != self._missing:
            self._missing = missing
            self._said.clear()
        self._show()

    def show_used(self, backbone: str) -> None:
        """Say what is used instead of the model that is missing."""
        if self._missing is None:
            return
        text = f"The weights of {self._missing} are not on this machine"
        # Any other was chosen by the user.
        if backbone == FILTERBANK:
            text += f"; {backbone} is used instead"
        self._notice.setText(f"{text}.")

    def _start(self) -> None:
        if self._missing is None:
            return
        self._fetching = self._missing
        self._progress = None
        self._said.clear()
        self._bar.setRange(0, 0)
        self._job.start(fetch_weights(self._fetching))
        self._show()

    def _stop(self) -> None:
        self._job.cancel()
        done = 0 if self._progress is None else self._progress.done
        kept = f" {describe_size(done)} are kept for the next time." if done else ""
        self._end(f"Stopped.{kept}")

    def _on_progress(self, progress: Progress) -> None:
        self._progress = progress
        self._bar.setRange(0, progress.total // _UNIT)
        self._bar.setValue(progress.done // _UNIT)
        self._bar.setFormat(
            f"{describe_size(progress.done)} of {describe_size(progress.total)}"
        )

    def _on_fetched(self, _path: Path) -> None:
        self._end("")
        self.fetched.emit(self._fetching)

    def _end(self, message: str) -> None:
        self._said.setText(message)
        self._show()

    def _show(self) -> None:
        busy, missing = self._job.running, self._missing is not None
        self._notice.setVisible(missing)
        self._get.setVisible(missing and not busy)
        self._bar.setVisible(busy)
        self._cancel.setVisible(busy)
        self._said.setVisible(bool(self._said.text()))
        self.setVisible(missing or busy)
        if self._missing is not None:
            size = describe_size(dinov2_weights(self._missing).size)
            self._get.setText(f"Get {self._missing} ({size})")


def _editable(offered: Sequence[str]) -> NarrowBox:
    """Make a box of texts, into which others can be typed."""
    box = NarrowBox()
    box.setEditable(True)
    box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
    box.addItems(list(offered))
    return box


def _is_here(name: str, folder: str | None) -> bool:
    try:
        find_dinov2(name, folder)
    except WeightsNotFoundError:
        return False
    return True
