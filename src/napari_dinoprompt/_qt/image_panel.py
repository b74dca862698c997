"""Choosing the image, the backbone and the resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_dinoprompt._qt.advanced_rows import AdvancedRows
from napari_dinoprompt._qt.widgets.explaining import explain, new_form, no_margins
from napari_dinoprompt._qt.widgets.message_label import MessageLabel
from napari_dinoprompt._qt.widgets.narrow_box import NarrowBox
from napari_dinoprompt._qt.widgets.section import Section
from napari_dinoprompt.core.backbones import BackboneChoice, backbone_names
from napari_dinoprompt.session import FeatureRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from napari_dinoprompt.core.estimate import Estimate

__all__ = ["ImagePanel"]

_UPSCALES = ("×1", "×2", "×4")


class ImagePanel(QWidget):
    """Image, backbone, upscale; device, precision and checkpoint under Advanced."""

    image_requested = Signal(object)
    """The user chose an image layer."""
    features_requested = Signal(object)
    """The user chose a `FeatureRequest`."""

    def __init__(self, request: FeatureRequest, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._offered: list[tuple[str, Image]] = []
        self._shown: FeatureRequest | None = None
        self._weights_folder = request.backbone.weights_folder
        self._cache_gigabytes = request.backbone.cache_gigabytes
        self._image = NarrowBox()
        explain(
            self._image, "The image to segment: grey or RGB, with any number of axes."
        )
        self._backbone = _editable(backbone_names())
        explain(
            self._backbone,
            "What turns the image into features. filterbank always works; DINOv2 "
            "needs its weights. Type timm:<name> for any other timm transformer.",
        )
        self._upscale = _editable(_UPSCALES)
        explain(
            self._upscale,
            "How many times the image is enlarged before the backbone. More gives "
            "smaller cells and finer masks, and costs its square in time. Type any "
            "number above 0.",
        )
        self._advanced = AdvancedRows()
        self._facts = MessageLabel("size of the features")
        self._lay_out()
        self.show_request(request)
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
        layout = QVBoxLayout(self)
        no_margins(layout)
        layout.addLayout(form)
        layout.addWidget(self._facts)
        layout.addWidget(section)

    def show_images(self, images: Sequence[Image], chosen: Image | None) -> None:
        """Offer images by name.

        Parameters
        ----------
        images : sequence of Image
        chosen : Image or None
            The one in use.
        """
        offered = [(image.name, image) for image in images]
        if offered != self._offered:
            self._offered = offered
            self._image.clear()
            self._image.addItems([name for name, _ in offered])
        self._image.setCurrentIndex(
            next((i for i, image in enumerate(images) if image is chosen), -1)
        )

    @property
    def image(self) -> Image | None:
        """The image layer that is chosen."""
        index = self._image.currentIndex()
        return self._offered[index][1] if index >= 0 else None

    @property
    def request(self) -> FeatureRequest | None:
        """What is chosen, or None while the upscale is not a number above 0."""
        try:
            upscale = float(self._upscale.currentText().lstrip("×x ").replace(",", "."))
        except ValueError:
            return None
        if not 0 < upscale < float("inf"):
            return None
        choice = BackboneChoice(
            name=self._backbone.currentText().strip(),
            # From the preferences; the panel has no rows for these.
            weights_folder=self._weights_folder,
            cache_gigabytes=self._cache_gigabytes,
        )
        return FeatureRequest(self._advanced.applied_to(choice), upscale)

    def show_request(self, request: FeatureRequest) -> None:
        """Show what is in force, without disturbing somebody who is typing."""
        if request == self._shown:
            return
        self._shown = request
        self._backbone.setCurrentText(request.backbone.name)
        self._upscale.setCurrentText(_times(request.upscale))
        self._advanced.show_choice(request.backbone)

    def show_facts(self, estimate: Estimate | None, seconds: float | None) -> None:
        """Show how large the features are and how long they take.

        Parameters
        ----------
        estimate : Estimate or None
            None while that is not known.
        seconds : float or None
            Remaining, None if not known or done.
        """
        if estimate is None:
            self._facts.clear()
            return
        rows, columns = estimate.cells
        text = (
            f"{rows} × {columns} cells of {estimate.cell:.3g} px, "
            f"about {_size(estimate.bytes)}"
        )
        if not estimate.whole:
            text += (
                f"; done part by part, up to {_size(estimate.disk)} on the disk for "
                "each class"
            )
        if seconds is not None:
            text += f", {_duration(seconds)} left"
        self._facts.setText(text)

    def _on_image(self, index: int) -> None:
        self.image_requested.emit(self._offered[index][1])

    def _on_features(self, _value: object = None) -> None:
        request = self.request
        if request is not None:
            self.features_requested.emit(request)
        elif self._shown is not None:
            self._upscale.setCurrentText(_times(self._shown.upscale))


def _editable(offered: Sequence[str]) -> NarrowBox:
    """Make a box of texts, into which others can be typed."""
    box = NarrowBox()
    box.setEditable(True)
    box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
    box.addItems(list(offered))
    return box


def _times(upscale: float) -> str:
    return f"×{upscale:g}"


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"
