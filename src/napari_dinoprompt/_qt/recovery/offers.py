"""Looking for prompts of before, and offering them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.jobs import LatestJob
from napari_dinoprompt._qt.recovery import steps
from napari_dinoprompt.session_records import keys_in_use

if TYPE_CHECKING:
    from napari_dinoprompt.core.recovery.keeper import Keeper
    from napari_dinoprompt.core.recovery.store import FoundRecord
    from napari_dinoprompt.session import ImageState, Session

__all__ = ["Offers"]


class Offers(QObject):
    """Tells images by their pixels, one after the other, and finds what was kept."""

    changed = Signal()
    """Something is offered, or no longer."""

    def __init__(self, session: Session, keeper: Keeper, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._keeper = keeper
        self._waiting: list[ImageState] = []
        self._job = LatestJob(self)
        self._job.returned.connect(self._on_found)
        # Features fail for the same reason, and say so.
        self._job.failed.connect(self._on_failed)
        self._job.crashed.connect(self._on_failed)
        self._forgetting = LatestJob(self)
        self._forgetting.failed.connect(self._on_not_forgotten)

    @property
    def running(self) -> bool:
        """Whether an image is looked at."""
        return self._job.running

    def look_for(self, state: ImageState) -> None:
        """Find out which image it is, and what was kept of it."""
        self.drop(state)
        self._waiting.append(state)
        if not self._job.running:
            self._next()

    def drop(self, state: ImageState) -> None:
        """Look for nothing more for an image, as before its pixels are replaced."""
        if state in self._waiting:
            under_way = self._waiting[0] is state and self._job.running
            self._waiting.remove(state)
            if under_way:
                self._job.cancel()
                self._next()

    @property
    def offer(self) -> FoundRecord | None:
        """What can be restored now: nothing where there are prompts."""
        state = self._session.current
        if state is None or state.counts():
            return None
        return next(iter(self._candidates(state)), None)

    def same(self, offer: FoundRecord) -> list[FoundRecord]:
        """Return all that was kept of the same layers as an offer."""
        state = self._session.current
        found = [] if state is None else self._candidates(state)
        return [one for one in found if one.record.key == offer.record.key]

    def forget(self) -> None:
        """Remove what is offered; what was kept before it is offered then."""
        state, offer = self._session.current, self.offer
        if state is None or offer is None:
            return
        unwanted = self.same(offer)
        self._keeper.drop(offer.record.key)
        state.found = [one for one in state.found if one not in unwanted]
        self._forgetting.start(steps.forget_records(unwanted))
        self.changed.emit()

    def _candidates(self, state: ImageState) -> list[FoundRecord]:
        in_use = keys_in_use(self._session)
        found = self._keeper.put_away(state.fingerprint, in_use)
        found += [one for one in state.found if one.record.key not in in_use]
        return sorted(
            (one for one in found if len(one.record.points[0]) == state.image.ndim),
            key=lambda one: one.record.changed,
            reverse=True,
        )

    def _next(self) -> None:
        if self._waiting:
            image = self._waiting[0].image
            self._job.start(
                steps.look_for_records(
                    partial(layers.open_plane, image),
                    layers.stack_shape(image),
                    self._keeper.folder,
                )
            )

    def _on_found(self, result: tuple[str, list[FoundRecord]]) -> None:
        state = self._waiting.pop(0)
        state.fingerprint, state.found = result
        in_use = keys_in_use(self._session)
        for one in state.found:
            if one.record.key in in_use:
                # A dock of before has kept the layer that is still there.
                self._keeper.succeed(one.record.key, [one])
        self.changed.emit()
        self._next()

    def _on_failed(self, _message: str = "") -> None:
        self._waiting.pop(0)
        self._next()

    def _on_not_forgotten(self, message: str) -> None:
        self._session.message = message
        self.changed.emit()
