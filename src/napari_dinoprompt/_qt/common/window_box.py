"""Choosing which grey values a backbone sees as black and white on another image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QWidget

from napari_dinoprompt._qt.common.widgets import NarrowBox, explain, in_column

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from napari.layers import Image


_REFERENCE, _IMAGE = "as the reference", "match this image"
_FORGIVES = {
    "reference": "Forgives nothing: an image that is dimmer or brighter than the "
    "reference's source is judged as such.",
    "image": "Forgives another brightness and contrast, measured on each image "
    "itself. An image of nothing but noise is stretched to full contrast.",
    "histogram": "Forgives any difference in how grey values are distributed: only "
    "where they lie still counts.",
}


@dataclass(frozen=True, eq=False)
class WindowChoice:
    """What the user chose.

    Attributes
    ----------
    policy : {"reference", "image", "histogram"}
    like : napari.layers.Image or None
        Whose histogram to match; with "histogram" only.
    """

    policy: Literal["reference", "image", "histogram"] = "reference"
    like: Image | None = None


class WindowBox(QWidget):
    """A box of policies, and below it what the chosen one forgives.

    Histograms are matched to the `real` image, whichever that is; otherwise the images
    themselves are offered.
    """

    changed = Signal()
    """Another policy is chosen."""

    def __init__(self, *, real: bool = False) -> None:
        super().__init__()
        self._real = real
        self._offered: list[tuple[str, Image]] | None = None
        self._choices: list[WindowChoice] = []
        self._box = explain(
            NarrowBox(),
            "Which grey values count as black and as white on "
            + ("the real and the fakes." if real else "the images that are ticked."),
        )
        self.setFocusProxy(self._box)
        self._forgives = QLabel()
        self._forgives.setWordWrap(True)
        in_column(self, self._box, self._forgives)
        self._box.currentIndexChanged.connect(self._on_index)
        self.show_images(())

    @property
    def choice(self) -> WindowChoice:
        """What is chosen."""
        return self._choices[max(self._box.currentIndex(), 0)]

    def choose(self, choice: WindowChoice) -> None:
        """Choose a policy that is offered."""
        for index, one in enumerate(self._choices):
            if one.policy == choice.policy and one.like is choice.like:
                self._box.setCurrentIndex(index)

    def show_images(self, images: Sequence[Image]) -> None:
        """Offer the histograms of images, too."""
        offered = [] if self._real else [(image.name, image) for image in images]
        if offered == self._offered:
            return
        before = self.choice if self._choices else WindowChoice()
        self._offered = offered
        self._choices = [WindowChoice("reference"), WindowChoice("image")]
        names = [_REFERENCE, _IMAGE]
        if self._real:
            self._choices.append(WindowChoice("histogram"))
            names.append("match histogram of the real image")
        for name, image in offered:
            self._choices.append(WindowChoice("histogram", image))
            names.append(f"match histogram of {name}")
        self._box.clear()
        self._box.addItems(names)
        self.choose(before)

    def _on_index(self, index: int) -> None:
        if index >= 0:
            self._forgives.setText(_FORGIVES[self._choices[index].policy])
            self.changed.emit()
