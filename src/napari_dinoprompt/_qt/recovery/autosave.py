"""Keeping the prompts on disk while the user works."""

from __future__ import annotations

import weakref
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

from qtpy.QtCore import QCoreApplication, QObject, Signal

from napari_dinoprompt._qt.common.events import later
from napari_dinoprompt.core.errors import CannotWriteError
from napari_dinoprompt.session.records import describe_session, keep_last

if TYPE_CHECKING:
    from napari_dinoprompt.core.autosave.keeper import Keeper
    from napari_dinoprompt.core.autosave.records import ImageRecord
    from napari_dinoprompt.session.session import Session


_DELAY_MS = 1000


class Autosave(QObject):
    """Writes what has changed once a second at most, in a thread.

    It is no worker of napari's: those make the window ask before it is closed.
    """

    # Why nothing can be written; the same reason is told once.
    failed = Signal(str)

    def __init__(self, session: Session, keeper: Keeper, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._keeper = keeper
        self._thread: _Saving | None = None
        self._told = ""
        self._timer = later(self, _DELAY_MS, self._on_time)
        # However it goes: with its dock, its window or the program.
        weakref.finalize(self, keep_last, session, keeper)
        program = QCoreApplication.instance()
        if program is not None:
            program.aboutToQuit.connect(self.save_now)

    @property
    def pending(self) -> bool:
        """Whether something is written, or about to be looked at."""
        return self._timer.isActive()

    def note(self) -> None:
        """Something may have changed; look at it soon."""
        if not self._timer.isActive():
            self._timer.start()

    def look(self) -> None:
        """Take the prompts as they are now, as before their layer goes."""
        describe_session(self._session, self._keeper)
        self.note()

    def save_now(self) -> None:
        """Write what has not been written; the program is about to end."""
        describe_session(self._session, self._keeper)
        if self._thread is not None:
            self._thread.join()
        if self._keeper.changed:
            # Nobody is there any more who could be told.
            with suppress(CannotWriteError):
                self._keeper.save(self._keeper.take())

    def _on_time(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            self._timer.start()
            return
        if not self._went_well():
            # Tried again when something else happens.
            return
        describe_session(self._session, self._keeper)
        if self._keeper.changed:
            self._thread = _Saving(self._keeper, self._keeper.take())
            self._thread.start()
            # To hear how it went.
            self._timer.start()

    def _went_well(self) -> bool:
        """Tell whether what was written last is on the disk; if not, say so once."""
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        if not thread.problem:
            self._told = ""
            return True
        self._keeper.try_again()
        if thread.problem != self._told:
            self._told = thread.problem
            self.failed.emit(thread.problem)
        return False


class _Saving(Thread):
    """Writes records once."""

    def __init__(self, keeper: Keeper, records: tuple[ImageRecord, ...]) -> None:
        super().__init__(name="dinoprompt-autosave")
        self._keeper = keeper
        self._records = records
        self.problem = ""

    def run(self) -> None:
        """Write; what goes wrong is in `problem`."""
        try:
            self._keeper.save(self._records)
        except CannotWriteError as error:
            self.problem = str(error)
