"""Prompts kept for after a crash, for one viewer: written, looked for and offered."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.jobs import LatestJob, Work
from napari_dinoprompt.core.autosave.files import (
    default_recovery_folder,
    find_records,
    forget,
    tidy,
)
from napari_dinoprompt.core.autosave.keeper import Keeper
from napari_dinoprompt.core.images.fingerprint import fingerprint_image
from napari_dinoprompt.session.records import keys_in_use, record_key

from .autosave import Autosave

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari.layers import Image
    from qtpy.QtCore import QObject

    from napari_dinoprompt.core.autosave.files import FoundRecord
    from napari_dinoprompt.core.autosave.records import ImageRecord
    from napari_dinoprompt.session.image_state import ImageState
    from napari_dinoprompt.session.session import Session


class Recovery(Work):
    """Tells images by their pixels, one after the other, and offers what was kept."""

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent, "Looking for prompts of before")
        self._session = session
        self._keeper = Keeper(default_recovery_folder())
        self.autosave = Autosave(session, self._keeper, self)
        self.autosave.failed.connect(self._on_not_kept)
        self._waiting: list[ImageState] = []
        self._forgetting = LatestJob(self, "Removing prompts of before")
        self._forgetting.failed.connect(self._say)

    @property
    def offer(self) -> FoundRecord | None:
        """What can be restored now: nothing where there are prompts."""
        state = self._session.current
        if state is None or state.counts():
            return None
        return next(iter(self._candidates(state)), None)

    def turn_to(self, state: ImageState) -> None:
        """Look for what was kept of an image, unless it has prompts and is known."""
        if not (state.fingerprint and state.counts()):
            self._look_for(state)

    def begin_anew(self, state: ImageState) -> None:
        """Find out which image it is now that its pixels were replaced."""
        self.autosave.look()
        state.fingerprint = ""
        state.found = []
        self._look_for(state)

    def let_go(self, state: ImageState) -> None:
        """Look for nothing more for an image. Its prompts stay kept."""
        if state in self._waiting:
            under_way = self._waiting[0] is state and self._job.running
            self._waiting.remove(state)
            if under_way:
                self._job.cancel()
                self._next()

    def forget(self) -> None:
        """Remove what is offered; what was kept before it is offered then."""
        state, offer = self._session.current, self.offer
        if state is None or offer is None:
            return
        unwanted = self._same(offer)
        self._keeper.drop(offer.record.key)
        state.found = [one for one in state.found if one not in unwanted]
        self._forgetting.start(_forget(unwanted))
        self.changed.emit()

    def note_restored(self, offer: FoundRecord, state: ImageState) -> None:
        """Keep under the image's own key what was offered."""
        key = record_key(state)
        if key is not None:
            self._keeper.succeed(key, self._same(offer))
        self.autosave.look()

    def _same(self, offer: FoundRecord) -> list[FoundRecord]:
        """Return all that was kept of the same layers as an offer."""
        state = self._session.current
        found = [] if state is None else self._candidates(state)
        return [one for one in found if one.record.key == offer.record.key]

    def _candidates(self, state: ImageState) -> list[FoundRecord]:
        in_use = keys_in_use(self._session)
        found = self._keeper.put_away(state.fingerprint, in_use)
        found += [one for one in state.found if one.record.key not in in_use]
        return sorted(
            (one for one in found if _fits(one.record, state)),
            key=lambda one: one.record.changed,
            reverse=True,
        )

    def _look_for(self, state: ImageState) -> None:
        self.let_go(state)
        self._waiting.append(state)
        if not self._job.running:
            self._next()

    def _next(self) -> None:
        if self._waiting:
            self._job.start(_look(self._waiting[0].image, self._keeper.folder))

    def _on_returned(self, result: tuple[str, list[FoundRecord]]) -> None:
        state = self._waiting.pop(0)
        state.fingerprint, state.found = result
        in_use = keys_in_use(self._session)
        for one in state.found:
            if one.record.key in in_use:
                # A dock of before has kept the layer that is still there.
                self._keeper.succeed(one.record.key, [one])
        self.changed.emit()
        self._next()

    def _on_failed(self, message: str) -> None:
        # Features fail for the same reason, and say so.
        self._waiting.pop(0)
        self._next()

    def _on_not_kept(self, reason: str) -> None:
        self._say(f"Prompts are not kept for after a crash: {reason}")

    def _say(self, message: str) -> None:
        self._session.message = message
        self.changed.emit()


def _fits(record: ImageRecord, state: ImageState) -> bool:
    """Tell whether there is something in a record that an image has not got."""
    if not record.points:
        return state.corrected is None
    return bool(len(record.points[0]) == state.image.ndim)


def describe_offer(record: ImageRecord) -> tuple[str, str]:
    """Say on a button and in its tooltip which prompts can be restored."""
    count = len(record.classes)
    prompts = "1 prompt" if count == 1 else f"{count} prompts"
    if record.labels is not None:
        prompts = f"{prompts} and a corrected mask" if count else "a corrected mask"
    return (
        f"Restore {prompts} of {describe_time(record.changed)}",
        f"This image had {prompts} when it was open the last time "
        f"({record.settings.backbone}, ×{record.settings.upscale:g}). Bring them back, "
        "with classes, thresholds, backbone and cleaning. Undo takes the prompts away "
        "again.",
    )


def describe_time(moment: float, now: datetime | None = None) -> str:
    """Write a moment, in seconds since 1970, as users read it: "today, 10:15"."""
    then = datetime.fromtimestamp(moment)
    today = (now or datetime.now()).date()
    days = (today - then.date()).days
    day = {0: "today", 1: "yesterday"}.get(days, f"{then:%Y-%m-%d}")
    return f"{day}, {then:%H:%M}"


def _look(
    image: Image, folder: Path
) -> Generator[None, None, tuple[str, list[FoundRecord]]]:
    """Tell which image it is, and what was kept of it, the newest first."""
    opener = partial(layers.open_plane, image)
    fingerprint = yield from fingerprint_image(opener, layers.stack_shape(image))
    yield
    tidy(folder)
    return fingerprint, find_records(folder, fingerprint)


def _forget(found: list[FoundRecord]) -> Generator[None, None, None]:
    yield
    forget(found)
