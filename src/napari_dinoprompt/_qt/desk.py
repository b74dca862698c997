"""What goes beyond the result in view: references kept and used, prompts studied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt._qt.comparing.work import CompareWork
from napari_dinoprompt._qt.references.apply_work import ApplyWork
from napari_dinoprompt._qt.references.batch_work import BatchWork
from napari_dinoprompt._qt.references.library_work import LibraryWork
from napari_dinoprompt._qt.studying.work import StudyWork

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_dinoprompt._qt.job_work import BackboneShelf
    from napari_dinoprompt.session import Session

__all__ = ["Desk"]


class Desk(QObject):
    """The works of one viewer, and what they said last."""

    changed = Signal()
    """Another line is to be shown, or work has begun or ended."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        shelf: BackboneShelf,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self.library = LibraryWork(self)
        self.applying = ApplyWork(viewer, session, shelf, self)
        self.batch = BatchWork(viewer, session, shelf, self)
        self.comparing = CompareWork(viewer, session, shelf, self)
        self.studying = StudyWork(viewer, session, shelf, self)
        for work in (self.library, self.applying, self.batch):
            work.said.connect(self._on_said)
        for each in self._works:
            each.changed.connect(self.changed)

    @property
    def working(self) -> bool:
        """Whether any of them is at work."""
        return any(work.running for work in self._works)

    @property
    def _works(self) -> tuple[Any, ...]:
        return (
            *(self.library, self.applying, self.batch),
            *(self.comparing, self.studying),
        )

    def _on_said(self, message: str) -> None:
        self._session.said = message
        self.changed.emit()
