"""Prompts kept for after a crash, for one viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt._qt.recovery.autosave import Autosave
from napari_dinoprompt._qt.recovery.offers import Offers
from napari_dinoprompt.core.recovery.keeper import Keeper
from napari_dinoprompt.core.recovery.places import default_recovery_folder
from napari_dinoprompt.session_records import record_key

if TYPE_CHECKING:
    from napari_dinoprompt.core.recovery.store import FoundRecord
    from napari_dinoprompt.session import ImageState, Session

__all__ = ["RecoveryWork"]


class RecoveryWork(QObject):
    """Writes prompts and settings, and offers those of before."""

    changed = Signal()
    """There is another offer, or none, or a message."""

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._keeper = Keeper(default_recovery_folder())
        self.autosave = Autosave(session, self._keeper, self)
        self.autosave.failed.connect(self._on_failed)
        self._offers = Offers(session, self._keeper, self)
        self._offers.changed.connect(self.changed)

    @property
    def running(self) -> bool:
        """Whether it is still to be found out what can be offered."""
        return self._offers.running

    @property
    def offer(self) -> FoundRecord | None:
        """What can be restored now, if anything."""
        return self._offers.offer

    def turn_to(self, state: ImageState) -> None:
        """Look for what was kept of an image, unless it has prompts and is known."""
        if not (state.fingerprint and state.counts()):
            self._offers.look_for(state)

    def begin_anew(self, state: ImageState) -> None:
        """Find out which image it is now that its pixels were replaced."""
        self.autosave.look()
        state.fingerprint = ""
        state.found = []
        self._offers.look_for(state)

    def let_go(self, state: ImageState) -> None:
        """Look for nothing more: the image is gone. Its prompts stay kept."""
        self._offers.drop(state)

    def forget(self) -> None:
        """Remove what is offered."""
        self._offers.forget()

    def note_restored(self, offer: FoundRecord, state: ImageState) -> None:
        """Keep under the image's own key what was offered."""
        key = record_key(state)
        if key is not None:
            self._keeper.succeed(key, self._offers.same(offer))
        self.autosave.look()

    def _on_failed(self, reason: str) -> None:
        self._session.message = f"Prompts are not kept for after a crash: {reason}"
        self.changed.emit()
