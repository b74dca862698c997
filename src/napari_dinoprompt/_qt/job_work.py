"""What applying, batches, comparing and studying have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt._qt.jobs import LatestJob

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.components import ViewerModel

    from napari_dinoprompt._qt.steps import BackboneShelf
    from napari_dinoprompt.session import Session

__all__ = ["JobWork"]


class JobWork(QObject):
    """Work of one viewer that one job does at a time; the latest request wins.

    Parameters
    ----------
    viewer : ViewerModel
    session : Session
    shelf : BackboneShelf
        Where the backbone in use is kept.
    parent : QObject
    what : str
        What is done, as in "Comparing", for the message about a bug.
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
