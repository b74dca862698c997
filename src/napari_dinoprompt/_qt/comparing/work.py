"""Comparing fakes with the real, in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt import work_steps
from napari_dinoprompt._qt.comparing.layers import CompareLayers
from napari_dinoprompt._qt.image_events import ImageEvents
from napari_dinoprompt._qt.jobs import LatestJob
from napari_dinoprompt._qt.references.apply_work import means_of, plane_of
from napari_dinoprompt._qt.window_box import WindowChoice

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_dinoprompt._qt.steps import BackboneShelf
    from napari_dinoprompt.core.comparing.report import Comparison
    from napari_dinoprompt.core.progress import Progress
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.library import Entry
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.session import Session

__all__ = ["CompareRequest", "CompareWork"]


@dataclass(frozen=True, eq=False)
class CompareRequest:
    """What is compared.

    Attributes
    ----------
    choice : Entry or Reference
    real : napari.layers.Image
    fakes : list of napari.layers.Image
        At least one, none of them the real.
    input_image : napari.layers.Image or None
        What the fakes were made from; only shown.
    truth : napari.layers.Labels or None
    window : {"reference", "image", "histogram"}
        Histograms are matched to the real.
    class_name : str or None
        None is the reference's first.
    draws : int
    """

    choice: Entry | Reference
    real: Image
    fakes: list[Image]
    input_image: Image | None
    truth: Labels | None
    window: WindowChoice
    class_name: str | None
    draws: int

    @property
    def layers(self) -> list[Layer]:
        """All layers that the result depends on."""
        truth = [] if self.truth is None else [self.truth]
        return [self.real, *self.fakes, *truth]


class CompareWork(QObject):
    """One comparison at a time; the latest request wins."""

    changed = Signal()
    """There is another result, or work has begun or ended."""
    progressed = Signal(int, int)
    """Steps done and in all; a total of 0 is unknown."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        shelf: BackboneShelf,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self.message = ""
        """What was found, or what went wrong."""
        self.comparison: Comparison | None = None
        self._viewer = viewer
        self._session = session
        self._shelf = shelf
        self._request: CompareRequest | None = None
        self._plane: PlaneIndex = ()
        self._layers = CompareLayers(viewer)
        self._events = ImageEvents(self)
        self._events.replaced.connect(self._on_replaced)
        self._events.moved.connect(self._on_moved)
        self._job = LatestJob(self)
        self._job.yielded.connect(self._on_progress)
        self._job.returned.connect(self._on_returned)
        self._job.failed.connect(self._on_failed)
        self._job.crashed.connect(self._on_crashed)
        self._export = LatestJob(self)
        self._export.returned.connect(self._on_exported)
        self._export.failed.connect(self._say)
        self._export.crashed.connect(self._on_export_crashed)
        viewer.layers.events.removed.connect(self._on_removed)

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
        self._plane = plane_of(self._viewer, request.real)
        means = means_of(
            self._session,
            self._shelf,
            request.choice,
            # The real itself is what histograms are matched to, in core.
            WindowChoice(request.window.policy),
            self._viewer,
        )
        truth = request.truth
        self._job.start(
            work_steps.compare(
                means,
                self._reader(request.real),
                [fake.name for fake in request.fakes],
                [self._reader(fake) for fake in request.fakes],
                None if truth is None else self._reader(truth),
                request.class_name,
                request.draws,
            )
        )
        for layer in request.layers:
            self._events.watch(layer)
        self.progressed.emit(0, 0)
        self._say("")

    def _reader(self, layer: Layer) -> partial[NDArray[np.generic]]:
        return partial(layers.read_plane, layer, plane_of(self._viewer, layer))

    def cancel(self) -> None:
        """Stop; there is no result then."""
        if self._job.running:
            self._job.cancel()
            self._forget()
            self._say("Stopped.")

    def show_maps(self) -> None:
        """Show the maps of each fake over the real."""
        if self.comparison is not None and self._request is not None:
            self._layers.show_maps(self._request, self._plane, self.comparison)

    def show_side_by_side(self, on: bool) -> None:
        """Show real and fakes in a grid with one camera, or as before."""
        if not on:
            self._layers.end_side_by_side()
        elif self.comparison is not None and self._request is not None:
            self._layers.begin_side_by_side(self._request, self._plane, self.comparison)
        self.changed.emit()

    def go_to(self, centre: tuple[float, float]) -> None:
        """Centre the camera on a pixel of the real."""
        if self._request is None:
            return
        real = self._request.real
        world = np.asarray(real.data_to_world((*self._plane, *centre)))
        dims = self._viewer.dims
        where = np.array(dims.point, dtype=float)
        where[-len(world) :] = world
        for axis in dims.not_displayed:
            dims.set_point(axis, where[axis])
        self._viewer.scene.camera.center = tuple(where[list(dims.displayed)])

    def export(self, folder: Path) -> None:
        """Write tables, maps and the figure into a folder."""
        if self.comparison is not None and self._request is not None:
            shown = self._request.input_image
            read = None if shown is None else self._reader(shown)
            self._export.start(
                work_steps.save_comparison(self.comparison, folder, read)
            )
            self._say("Writing…")

    def _forget(self) -> None:
        self._layers.clear()
        self.comparison = None
        self._request = None

    def _on_progress(self, progress: Progress) -> None:
        self.progressed.emit(progress.done, progress.total)

    def _on_returned(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self._say(comparison.note or self._word_on_places())

    def _word_on_places(self) -> str:
        """Say so if layers lie apart: they are compared edge to edge."""
        assert self._request is not None
        apart = [
            fake.name
            for fake in self._request.fakes
            if layers.pixel_size(fake) and not _same_place(fake, self._request.real)
        ]
        if not apart:
            return ""
        return (
            f"{', '.join(apart)} lies elsewhere than the real; they were compared edge "
            "to edge."
        )

    def _on_failed(self, message: str) -> None:
        self._forget()
        self._say(message)

    def _on_crashed(self) -> None:
        self._on_failed("Comparing failed; see the notification.")

    def _on_exported(self, folder: Path) -> None:
        self._say(f"Tables, maps and figure were written to {folder}.")

    def _on_export_crashed(self) -> None:
        self._say("Writing failed; see the notification.")

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
