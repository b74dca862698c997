"""What applying, batches, comparing and studying have in common: one job at a time."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt._qt.jobs import LatestJob

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.components import ViewerModel

    from napari_dinoprompt.core.backbones import Backbone, BackboneChoice
    from napari_dinoprompt.session import Session

__all__ = ["BackboneShelf", "JobWork"]


class BackboneShelf:
    """Keeps the backbone that was loaded last, for the next image."""

    def __init__(self) -> None:
        self._kept: tuple[BackboneChoice, Backbone] | None = None
        self._lock = Lock()

    def get(self, choice: BackboneChoice) -> Backbone:
        """Return a backbone, loaded if it is not the one kept; one at a time."""
        with self._lock:
            if self._kept is not None:
                kept, backbone = self._kept
                # The block of a reference may be the one that was taken unnamed.
                if choice in (kept, kept.fitting(backbone.info)):
                    return backbone
            # Two large backbones need not be in memory at once.
            self._kept = None
            self._kept = (choice, choice.load())
            return self._kept[1]


class JobWork(QObject):
    """Work of one viewer that one job does at a time; the latest request wins.

    `what` is done, as in "Comparing", for the message about a bug.
    """

    changed = Signal()
    """Work has begun or ended, or there is another result."""
    progressed = Signal(int, int)
    """Steps done and in all; a total of 0 is unknown."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        shelf: BackboneShelf,
        parent: QObject,
        what: str,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._shelf = shelf
        self._job = LatestJob(self, what)
        self._job.yielded.connect(self._on_yielded)
        self._job.returned.connect(self._on_returned)
        self._job.failed.connect(self._on_failed)

    @property
    def running(self) -> bool:
        """Whether a request is under way."""
        return self._job.running

    def _begin(self, steps: Generator[Any, None, Any]) -> None:
        """Start; what an earlier request still does is dropped."""
        self._job.start(steps)
        self.progressed.emit(0, 0)

    def _on_yielded(self, said: Any) -> None:
        self.progressed.emit(said.done, said.total)

    def _on_returned(self, found: Any) -> None:
        raise NotImplementedError

    def _on_failed(self, message: str) -> None:
        raise NotImplementedError
