"""Features once more where the clicked objects turn out to be small."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt._qt.common.jobs import Work
from napari_dinoprompt._qt.common.widgets import duration
from napari_dinoprompt.core.backbones.load import FILTERBANK
from napari_dinoprompt.core.backbones.weights import describe_size
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.segmentation.plane_features import ImageFeatures
from napari_dinoprompt.session.image_state import FeatureRequest, ImageState
from napari_dinoprompt.session.session import Phase, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from napari_dinoprompt.core.features.extraction import Estimate
    from napari_dinoprompt.core.segmentation.interactive import Prepared


class UpscaleFit(Work):
    """Computes features at the upscale that the clicked objects need.

    Once for an image and a backbone, in the background: what there is goes on
    answering clicks until the new features are ready.
    """

    # An `ImageFeatures` and the `FeatureRequest` that it was made for.
    ready = Signal(object, object)

    def __init__(
        self,
        session: Session,
        extract: Callable[
            [ImageState, ImageFeatures, FeatureRequest], Generator[Any, None, None]
        ],
        parent: QObject,
    ) -> None:
        super().__init__(parent, "Computing features")
        self._session = session
        self._extract = extract
        self._request: FeatureRequest | None = None
        self._planes = ImageFeatures()
        # Size of the features under way or computed last, once it is known.
        self.estimate: Estimate | None = None
        self._started = 0.0
        # What the objects are for the cells, and how much is computed.
        self._found = self._size = ""

    def cancel(self) -> None:
        """Stay with the features that there are."""
        if self.running:
            self._job.cancel()
            self._session.message = ""

    def look(self) -> None:
        """Begin if the objects of the result ask for another upscale."""
        session, state = self._session, self._session.current
        if state is None or state.result is None or state.outdated:
            return
        request = session.request
        wanted = state.result.fitting_upscale
        name = request.backbone.name
        if (
            not session.auto_upscale
            or session.phase is not Phase.READY
            or wanted is None
            or name in (FILTERBANK, state.fitted)
            or self.running
        ):
            return
        state.fitted = name
        if wanted == request.upscale:
            return
        self._request = FeatureRequest(request.backbone, wanted)
        self._planes = ImageFeatures()
        self.estimate = None
        self._found = "small" if wanted > request.upscale else "large"
        self._size = ""
        self._started = monotonic()
        self._job.start(self._extract(state, self._planes, self._request))
        self._say("")

    def _say(self, more: str) -> None:
        assert self._request is not None
        self._session.message = (
            f"The clicked objects are {self._found} for the cells: computing features "
            f"at ×{self._request.upscale:g}{more}. You can go on meanwhile."
        )
        self.changed.emit()

    def _on_yielded(self, said: Prepared) -> None:
        if isinstance(said, tuple):
            self._planes.add(*said)
        elif isinstance(said, Progress):
            self.progressed.emit(said.done, said.total)
            if said.done and said.total:
                spent = monotonic() - self._started
                left = spent / said.done * (said.total - said.done)
                self._say(f"{self._size}, {duration(left)} left)")
        else:
            self.estimate = said
            rows, columns = said.cells
            self._size = f" ({rows} × {columns} cells, {describe_size(said.bytes)}"
            self._say(f"{self._size})")
            self._started = monotonic()

    def _on_returned(self, _nothing: None) -> None:
        assert self._request is not None
        self.ready.emit(self._planes, self._request)
        self._session.message = (
            f"Features are at ×{self._request.upscale:g} now: the clicked objects are "
            f"{self._found}. Choose another upscale to change that."
        )
        self.changed.emit()

    def _on_failed(self, message: str) -> None:
        now = self._session.request.upscale
        self._session.message = f"The upscale stays at ×{now:g}. {message}"
        self.changed.emit()
