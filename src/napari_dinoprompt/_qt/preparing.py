"""Getting the features that the prompts need, and finding what they find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.placed_prompts import placed_prompts
from napari_dinoprompt.core.prepared import PreparedPlanes
from napari_dinoprompt.session import Phase

if TYPE_CHECKING:
    from napari_dinoprompt._qt.feature_work import FeatureWork
    from napari_dinoprompt._qt.prompt_layer import PromptLayer
    from napari_dinoprompt._qt.scoring import Scoring
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.session import FeatureRequest, ImageState, Session

__all__ = ["Preparing"]

# Features of images other than the current one are kept up to this size.
_KEPT_BYTES = 4_000_000_000


class Preparing(QObject):
    """Goes from what is asked for to features, and from these to a result."""

    changed = Signal()
    """Another phase, or a message."""

    def __init__(
        self,
        session: Session,
        features: FeatureWork,
        prompts: PromptLayer,
        scoring: Scoring,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._features = features
        self._features.ready.connect(self._on_features)
        self._features.failed.connect(self._on_failed)
        self._prompts = prompts
        self._prompts.changed.connect(self.take_prompts)
        self._scoring = scoring

    def choose(self, request: FeatureRequest) -> None:
        """Use another backbone, device or upscale."""
        if request == self._session.request:
            return
        self._session.request = request
        self._session.message = ""
        if self._session.current is not None:
            self.compute()
        self.changed.emit()

    def compute(self) -> None:
        """Get the features that are needed, unless they are here, and score."""
        state = self._session.current
        if state is None:
            return
        request = self._session.request
        target = self._features.target(state, request)
        missing = [
            plane
            for plane in _needed(state)
            if plane not in target and plane not in target.empty
        ]
        if missing:
            self._session.phase = Phase.PREPARING
            self._scoring.stop()
            self._features.start(state, request, missing)
        else:
            self._features.cancel()
            self._take(state, target)
        self.changed.emit()

    def take_prompts(self) -> None:
        """Go on with the prompts as they are now."""
        state = self._session.current
        if state is not None:
            state.revision += 1
            unknown = set(state.counts()).difference(self._session.classes)
            for name in sorted(unknown):
                self._session.add_class(name)
            if unknown:
                self._prompts.show_colours(self._session)
        if self._session.phase is not Phase.FAILED:
            self._session.message = ""
        # Under way, it is looked at when the planes of before are ready.
        if self._session.phase is Phase.READY:
            self.compute()
        self.changed.emit()

    def cancel(self) -> None:
        """Stop computing; the image can go on from here later."""
        if self._scoring.filling:
            self._scoring.stop()
            self._session.message = "Stopped. The result is there as far as it came."
            self.changed.emit()
        if self._features.running:
            self._features.cancel()
            self._session.phase = Phase.STOPPED
            self.changed.emit()

    def _take(self, state: ImageState, planes: PreparedPlanes) -> None:
        """Go on with planes that hold all that is needed now."""
        request = self._session.request
        if state.planes is not planes:
            state.planes = planes
            state.revision += 1
        name = request.backbone.name
        if state.backbone != name:
            # A threshold of one backbone means nothing to another.
            known = (
                {} if state.backbone else layers.recall_thresholds(state.prompts, name)
            )
            state.thresholds = known
            state.backbone = name
            layers.remember_thresholds(state.prompts, name, state.thresholds)
        state.request = request
        state.planes.trim(_needed(state))
        self._make_room(state)
        self._session.phase = Phase.READY
        self._scoring.score()

    def _make_room(self, current: ImageState) -> None:
        """Let go of the features of other images, the first opened first."""
        others = [state for state in self._session if state is not current]
        size = sum(state.planes.bytes for state in others)
        for state in others:
            if size <= _KEPT_BYTES:
                break
            size -= state.planes.bytes
            state.planes = PreparedPlanes()
            state.request = None

    def _on_features(self, planes: PreparedPlanes) -> None:
        state = self._session.current
        assert state is not None
        missing = set(_needed(state)) - set(planes) - planes.empty
        if not missing:
            self._take(state, planes)
            self.changed.emit()
        else:
            # Prompts were placed on further planes meanwhile.
            self.compute()

    def _on_failed(self, message: str) -> None:
        state = self._session.current
        assert state is not None
        if state.request is None or state.request == self._session.request:
            self._session.phase = Phase.FAILED
        else:
            # What was there before goes on working.
            self._session.request = state.request
            self.compute()
        self._session.message = message
        self.changed.emit()


def _needed(state: ImageState) -> list[PlaneIndex]:
    """Return the plane in view and those that hold prompts."""
    prompted = placed_prompts(state).planes
    return list(dict.fromkeys((state.view, *sorted(set(prompted)))))
