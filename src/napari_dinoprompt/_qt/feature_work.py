"""Getting the features of the planes that are needed."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt import steps
from napari_dinoprompt._qt.jobs import LatestJob
from napari_dinoprompt.core.prepared import PreparedPlane, PreparedPlanes
from napari_dinoprompt.core.progress import Progress

if TYPE_CHECKING:
    from napari_dinoprompt.core.estimate import Estimate
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.session import FeatureRequest, ImageState

__all__ = ["FeatureWork"]


class FeatureWork(QObject):
    """Extracts planes of one image at a time; a newer request replaces the last.

    Planes that are ready are kept when the work is stopped or asked for differently,
    as long as image, backbone and upscale stay the same.
    """

    changed = Signal()
    """Estimate or remaining time are different."""
    progressed = Signal(int, int)
    """Tiles done and in all; a total of 0 is unknown."""
    ready = Signal(object)
    """The `PreparedPlanes` that hold all planes asked for."""
    failed = Signal(str)
    """The message of what went wrong."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.estimate: Estimate | None = None
        self.seconds_left: float | None = None
        self.shelf = steps.BackboneShelf()
        self._started = 0.0
        self._owner: tuple[ImageState, FeatureRequest] | None = None
        self._target = PreparedPlanes()
        self._job = LatestJob(self, "Computing features")
        self._job.yielded.connect(self._on_yielded)
        self._job.returned.connect(self._on_returned)
        self._job.failed.connect(self._on_failed)

    @property
    def running(self) -> bool:
        """Whether planes are being extracted."""
        return self._job.running

    def target(self, state: ImageState, request: FeatureRequest) -> PreparedPlanes:
        """Return the planes of an image that are ready, made as requested."""
        if state.request == request:
            return state.planes
        if self._owner != (state, request):
            self._owner = (state, request)
            self._target = PreparedPlanes()
        return self._target

    def start(
        self, state: ImageState, request: FeatureRequest, missing: list[PlaneIndex]
    ) -> None:
        """Extract planes in the order given."""
        self.estimate = None
        self.seconds_left = None
        self._target = self.target(state, request)
        self._owner = (state, request)
        self._started = monotonic()
        self._job.start(
            steps.prepare(
                self._target,
                partial(layers.open_plane, state.image),
                layers.stack_shape(state.image),
                layers.plane_shape(state.image),
                self.shelf,
                request,
                missing,
            )
        )

    def cancel(self) -> None:
        """Stop; what is ready stays."""
        self._job.cancel()
        self.seconds_left = None

    def forget(self) -> None:
        """Stop, and let go of planes that no image holds."""
        self.cancel()
        self._owner = None
        self._target = PreparedPlanes()

    def _on_yielded(
        self, said: Progress | Estimate | tuple[PlaneIndex, PreparedPlane]
    ) -> None:
        if isinstance(said, tuple):
            self._target.add(*said)
        elif isinstance(said, Progress):
            self.progressed.emit(said.done, said.total)
            if said.done:
                spent = monotonic() - self._started
                self.seconds_left = spent / said.done * (said.total - said.done)
        else:
            self.estimate = said
            self._started = monotonic()
        self.changed.emit()

    def _on_returned(self, _nothing: None) -> None:
        self.seconds_left = None
        self.ready.emit(self._target)

    def _on_failed(self, message: str) -> None:
        self.seconds_left = None
        self.failed.emit(message)
