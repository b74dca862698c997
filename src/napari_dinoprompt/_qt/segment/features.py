"""Getting the features that the prompts need, and finding what they find."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.jobs import BackboneShelf, LatestJob, Work
from napari_dinoprompt.core.backbones.load import FILTERBANK, BackboneChoice
from napari_dinoprompt.core.backbones.weights import describe_missing, is_here
from napari_dinoprompt.core.errors import WeightsNotFoundError
from napari_dinoprompt.core.progress import Notice, Progress
from napari_dinoprompt.core.segmentation.plane_features import ImageFeatures
from napari_dinoprompt.session.image_state import FeatureRequest, ImageState
from napari_dinoprompt.session.session import Phase, Session

from .prompt_layer import PromptLayer, placed_prompts
from .upscale import UpscaleFit

if TYPE_CHECKING:
    from collections.abc import Generator

    from qtpy.QtCore import QObject

    from napari_dinoprompt.core.features.extraction import Estimate
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.segmentation.interactive import Prepared

    from .scoring import Scoring


# Features of images other than the current one are kept up to this size.
_KEPT_BYTES = 4_000_000_000


class FeatureController(Work):
    """Goes from what is asked for to features, and from these to a result.

    Planes of one image are extracted at a time; a newer request replaces the last.
    Those that are ready are kept when the work is stopped or asked for differently, as
    long as image, backbone and upscale stay the same.
    """

    def __init__(
        self, session: Session, prompts: PromptLayer, scoring: Scoring, parent: QObject
    ) -> None:
        super().__init__(parent, "Computing features")
        # How long the features under way will take, once that is known.
        self.seconds_left: float | None = None
        # The network that the user chose, if it only lacks its weights.
        self.missing: str | None = None
        self.shelf = BackboneShelf()
        self._session = session
        self._prompts = prompts
        self._prompts.changed.connect(self.take_prompts)
        self._scoring = scoring
        # Not a method: in a circle of references a closed dock would live on.
        self.fit = UpscaleFit(session, partial(_extract, self.shelf), self)
        self.fit.ready.connect(self._on_fitted)
        self.fit.changed.connect(self.changed)
        self.fit.progressed.connect(self.progressed)
        scoring.changed.connect(self.fit.look)
        self._started = 0.0
        self._owner: tuple[ImageState, FeatureRequest] | None = None
        self._target = ImageFeatures()
        self._known = LatestJob(self, "Reading the weights")
        self._known.returned.connect(self._on_identified)
        self._known.failed.connect(self._on_unidentified)

    @property
    def identifying(self) -> bool:
        """Whether a file is looked at for the network that it is of."""
        return self._known.running

    @property
    def estimate(self) -> Estimate | None:
        """Size of the current image's features, once it is known."""
        state = self._session.current
        return None if state is None else self._planes_of(state).estimate

    def choose(self, request: FeatureRequest, auto_upscale: bool = False) -> None:
        """Use another backbone, device or upscale, or let the objects decide it."""
        self._session.auto_upscale = auto_upscale
        self._known.cancel()
        asked, self._session.asked = self._session.asked, None
        backbone, now = request.backbone, self._session.request
        lacking = backbone.name != now.backbone.name and backbone.checkpoint is None
        lacking = lacking and not is_here(backbone.name, backbone.weights_folder)
        # It failed before, and only the upscale is another one.
        failing = backbone == asked and request.upscale != now.upscale
        if not failing:
            self.missing = backbone.name if lacking else None
        if lacking or failing:
            # What is in use stays so, perhaps at another upscale.
            self._session.asked = backbone
            request = replace(request, backbone=now.backbone)
        same = request == self._session.request
        if not same or not auto_upscale:
            self.fit.cancel()
        state = self._session.current
        if state is not None and not self.fit.running:
            # Whoever chooses auto again wants them to be looked at again.
            state.fitted = ""
        if same:
            if asked is not None:
                self._session.message = ""
            self.fit.look()
        else:
            self._session.request = request
            self._session.message = ""
            if state is not None:
                self.compute()
        if self.missing is not None:
            used = self._session.request.backbone.name
            self._session.message = describe_missing(self.missing, used)
        self.changed.emit()

    def choose_checkpoint(self, path: str) -> None:
        """Use the network whose weights a file holds: the one chosen, if it fits."""
        choice = self._session.asked or self._session.request.backbone
        self._session.message = f"Looking which network {path} is of."
        self._known.start(_identify(replace(choice, checkpoint=path), self.shelf))
        self.changed.emit()

    def _on_identified(self, found: BackboneChoice) -> None:
        self._session.message = ""
        auto = self._session.auto_upscale
        upscale = 1.0 if auto else self._session.request.upscale
        self.choose(FeatureRequest(found, upscale), auto)

    def _on_unidentified(self, message: str) -> None:
        self._session.message = message
        self.changed.emit()

    def compute(self) -> None:
        """Get the features that are needed, unless they are here, and score."""
        state = self._session.current
        if state is None:
            return
        target = self._planes_of(state)
        missing = _missing(state, target)
        if missing:
            self._session.phase = Phase.PREPARING
            self._scoring.stop()
            self._start(state, target, missing)
        else:
            self._stop()
            self._take(state, target)
        self.changed.emit()

    def take_prompts(self) -> None:
        """Go on with the prompts as they are now."""
        state = self._session.current
        if state is not None:
            state.invalidate()
            unknown = set(state.counts()).difference(self._session.classes)
            for name in sorted(unknown):
                self._session.add_class(name)
            if unknown:
                self._prompts.show_colours()
        if self._session.phase is not Phase.FAILED:
            self._session.message = ""
        # Under way, it is looked at when the planes of before are ready. What failed
        # is tried again.
        if self._session.phase in (Phase.READY, Phase.FAILED):
            self.compute()
        self.changed.emit()

    def cancel(self) -> None:
        """Stop computing; the image can go on from here later."""
        if self.fit.running:
            self.fit.cancel()
            now = self._session.request.upscale
            self._session.message = f"Stopped. The upscale stays at ×{now:g}."
            self.changed.emit()
        if self._scoring.filling:
            self._scoring.stop()
            self._session.message = "Stopped. The result is there as far as it came."
            self.changed.emit()
        if self.running:
            self._stop()
            self._session.phase = Phase.STOPPED
            self.changed.emit()

    def forget(self) -> None:
        """Stop, and let go of planes that no image holds."""
        self._stop()
        self.fit.cancel()
        self._owner = None
        self._target = ImageFeatures()

    def _planes_of(self, state: ImageState) -> ImageFeatures:
        """Return the planes of an image that are ready, made as requested."""
        request = self._session.request
        if state.request == request:
            return state.planes
        if self._owner != (state, request):
            return ImageFeatures()
        return self._target

    def _start(
        self, state: ImageState, target: ImageFeatures, missing: list[PlaneIndex]
    ) -> None:
        """Extract planes in the order given."""
        self.seconds_left = None
        self._owner, self._target = (state, self._session.request), target
        self._started = monotonic()
        self._job.start(
            _extract(self.shelf, state, target, self._session.request, missing)
        )

    def _on_fitted(self, planes: ImageFeatures, request: FeatureRequest) -> None:
        """Go on with features at the upscale that the objects need."""
        state = self._session.current
        assert state is not None
        self._session.request = request
        planes.estimate = self.fit.estimate
        self._owner, self._target = (state, request), planes
        # Prompts may have been placed on further planes meanwhile.
        self.compute()

    def _stop(self) -> None:
        self._job.cancel()
        self.seconds_left = None

    def _on_yielded(self, said: Prepared) -> None:
        if isinstance(said, tuple):
            self._target.add(*said)
        elif isinstance(said, Progress):
            self.progressed.emit(said.done, said.total)
            if said.done:
                spent = monotonic() - self._started
                self.seconds_left = spent / said.done * (said.total - said.done)
        else:
            self._target.estimate = said
            self._started = monotonic()
        self.changed.emit()

    def _on_returned(self, _nothing: None) -> None:
        self.seconds_left = None
        state = self._session.current
        assert state is not None
        if _missing(state, self._target):
            # Prompts were placed on further planes meanwhile.
            self.compute()
        else:
            self._take(state, self._target)
            self.changed.emit()

    def _on_failed(self, message: str) -> None:
        self.seconds_left = None
        state = self._session.current
        assert state is not None
        failed = self._session.request.backbone
        lacking = isinstance(self._job.error, WeightsNotFoundError)
        lacking = lacking and failed.checkpoint is None
        # Known before others are told that something else is used.
        self.missing = failed.name if lacking else self.missing
        if state.request is None or state.request == self._session.request:
            self._session.phase = Phase.FAILED
        else:
            # What was there before goes on working. A device that is not there would
            # be in the way of every later choice.
            used = state.request.backbone
            here = replace(failed, device=used.device, precision=used.precision)
            self._session.asked = None if here == used else here
            self._session.request = state.request
            self.compute()
        if lacking:
            message = describe_missing(failed.name, self._session.request.backbone.name)
        self._session.message = message
        self.changed.emit()

    def _take(self, state: ImageState, planes: ImageFeatures) -> None:
        """Go on with planes that hold all that is needed now."""
        request = self._session.request
        state.take_features(planes, request)
        name = request.backbone.layer
        if state.backbone != name:
            # A threshold of one backbone means nothing to another.
            known = (
                {} if state.backbone else layers.recall_thresholds(state.prompts, name)
            )
            state.thresholds = known
            state.backbone = name
            layers.remember_thresholds(state.prompts, name, state.thresholds)
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
            state.drop_features()


def _identify(
    choice: BackboneChoice, shelf: BackboneShelf
) -> Generator[None, None, BackboneChoice]:
    """Name the network of a choice after its checkpoint, in a thread."""
    from napari_dinoprompt.core.backbones.identify import identify_checkpoint

    yield
    assert choice.checkpoint is not None
    path = str(Path(choice.checkpoint).expanduser())
    name = identify_checkpoint(path, None if choice.name == FILTERBANK else choice.name)
    # A block of one network is none of another.
    block = choice.block if name == choice.name else None
    found = replace(choice, checkpoint=path, name=name, block=block)
    shelf.count(found)
    return found


def _extract(
    shelf: BackboneShelf,
    state: ImageState,
    target: ImageFeatures,
    request: FeatureRequest,
    wanted: list[PlaneIndex] | None = None,
) -> Generator[Prepared | Notice, None, None]:
    """Extract planes of an image, by default all that are needed now, in a thread."""
    # torch takes seconds to import; the window stays alive meanwhile.
    from napari_dinoprompt.core.segmentation.interactive import prepare_planes

    yield from prepare_planes(
        target,
        partial(layers.open_plane, state.image),
        layers.stack_shape(state.image),
        layers.plane_shape(state.image),
        lambda: shelf.get(request.backbone),
        request.upscale,
        _needed(state) if wanted is None else wanted,
    )


def _needed(state: ImageState) -> list[PlaneIndex]:
    """Return the plane in view and those that hold prompts."""
    prompted = placed_prompts(state).planes
    return list(dict.fromkeys((state.view, *sorted(set(prompted)))))


def _missing(state: ImageState, planes: ImageFeatures) -> list[PlaneIndex]:
    """Return what is needed and neither there nor known to be empty."""
    return [
        plane
        for plane in _needed(state)
        if plane not in planes and plane not in planes.empty
    ]
