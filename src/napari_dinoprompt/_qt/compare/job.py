"""Comparing fakes with the real, in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.events import ImageEvents
from napari_dinoprompt._qt.common.jobs import Export, TabJob, Workplace
from napari_dinoprompt._qt.common.layer_boxes import WindowChoice
from napari_dinoprompt._qt.references import steps as work_steps
from napari_dinoprompt._qt.references.apply import means_of

from .layers import CompareLayers

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image, Layer
    from numpy.typing import NDArray
    from qtpy.QtCore import QObject

    from napari_dinoprompt.core.comparison.report import Comparison
    from napari_dinoprompt.core.prompts import PlaneIndex

    from .panel import CompareRequest


class CompareJob(TabJob):
    """One comparison at a time; the latest request wins."""

    def __init__(self, place: Workplace, parent: QObject) -> None:
        super().__init__(place, parent, "Comparing")
        # What was found, or what went wrong.
        self.message = ""
        self.comparison: Comparison | None = None
        self._request: CompareRequest | None = None
        self._plane: PlaneIndex = ()
        self._layers = CompareLayers(place.viewer)
        self._events = ImageEvents(self)
        self._events.replaced.connect(self._on_replaced)
        self._events.moved.connect(self._on_moved)
        self._export = Export(self, "Tables, maps and figure were written")
        self._export.said.connect(self._say)
        place.viewer.layers.events.removed.connect(self._on_removed)

    @property
    def running(self) -> bool:
        """Whether images are being compared, or a result written."""
        return self._job.running or self._export.running

    @property
    def comparing(self) -> bool:
        """Whether images are being compared."""
        return self._job.running

    @property
    def side_by_side(self) -> bool:
        """Whether the images are shown side by side."""
        return self._layers.side_by_side

    def compare(self, request: CompareRequest) -> None:
        """Compare; an earlier result goes."""
        self._forget()
        self._request = request
        self._plane = layers.plane_in_view(self._viewer, request.real)
        # The real itself is what histograms are matched to, in core.
        window = WindowChoice(request.window.policy)
        means = means_of(self._place, request.choice, window)
        truth = request.truth
        self._begin(
            work_steps.compare(
                means,
                layers.reader_of(self._viewer, request.real),
                [fake.name for fake in request.fakes],
                [layers.reader_of(self._viewer, fake) for fake in request.fakes],
                None if truth is None else layers.reader_of(self._viewer, truth),
                request.class_name,
                request.draws,
            )
        )
        for layer in request.layers:
            self._events.watch(layer)
        self._say("")

    def cancel(self) -> None:
        """Stop; there is no result then."""
        if self._job.running:
            self._job.cancel()
            self._forget()
            self._say("Stopped.")

    def show_maps(self) -> None:
        """Show the maps of each fake over the real."""
        if self.comparison is not None and self._request is not None:
            self._layers.show_maps(self._request.real, self._plane, self.comparison)

    def show_side_by_side(self, on: bool) -> None:
        """Show real and fakes in a grid with one camera, or as before."""
        if not on:
            self._layers.end_side_by_side()
        elif self.comparison is not None and self._request is not None:
            self._layers.begin_side_by_side(
                self._request.real,
                self._plane,
                self.comparison,
                self._request.input_image,
            )
        self.changed.emit()

    def go_to(self, centre: tuple[float, float]) -> None:
        """Centre the camera on a pixel of the real."""
        if self._request is None:
            return
        layers.look_at(self._viewer, self._request.real, (*self._plane, *centre))

    def export(self, folder: Path) -> None:
        """Write tables, maps and the figure into a folder."""
        if self.comparison is not None and self._request is not None:
            shown = self._request.input_image
            read = None if shown is None else layers.reader_of(self._viewer, shown)
            steps = work_steps.save_comparison(self.comparison, folder, read)
            self._export.write(steps)

    def _forget(self) -> None:
        self._layers.clear()
        self.comparison = None
        self._request = None

    def _on_returned(self, comparison: Comparison) -> None:
        assert self._request is not None
        self.comparison = comparison
        self._say(comparison.note or _word_on_places(self._request))

    def _on_failed(self, message: str) -> None:
        self._forget()
        self._say(message)

    def _say(self, message: str) -> None:
        self.message = message
        self.changed.emit()

    def _on_removed(self, event: object) -> None:
        gone = event.value  # type: ignore[attr-defined]
        if self._request is None:
            return
        if any(gone is layer for layer in self._request.layers):
            self._drop(f"{gone.name} was deleted: its comparison is gone.")
        elif gone is self._request.input_image:
            self._layers.end_side_by_side()
            self.changed.emit()

    def _on_replaced(self, layer: Layer) -> None:
        if self._request is not None and any(
            layer is one for one in self._request.layers
        ):
            self._drop(f"{layer.name} has other pixels now: compare again.")

    def _on_moved(self, image: Image) -> None:
        if self._request is not None and image is self._request.real:
            self._layers.follow(image)

    def _drop(self, message: str) -> None:
        self._job.cancel()
        self._on_failed(message)


def _word_on_places(request: CompareRequest) -> str:
    """Say so if fakes lie apart from the real: they are compared edge to edge."""
    apart = [
        fake.name
        for fake in request.fakes
        if layers.pixel_size(fake) and not _same_place(fake, request.real)
    ]
    if not apart:
        return ""
    return (
        f"{', '.join(apart)} lies elsewhere than the real; they were compared edge "
        "to edge."
    )


def _same_place(one: Image, other: Image) -> bool:
    """Tell whether two planes cover the same part of the world, to a pixel."""
    pixel = max(layers.pixel_size(other) or (1.0, 1.0))
    apart = np.abs(_corners(one) - _corners(other))
    return bool((apart <= pixel).all())


def _corners(image: Image) -> NDArray[np.float64]:
    height, width = layers.plane_shape(image)
    rest = (0.0,) * (image.ndim - 2)
    ends = ((-0.5, -0.5), (height - 0.5, width - 0.5))
    return np.array([image.data_to_world((*rest, *end))[-2:] for end in ends])
