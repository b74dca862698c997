"""What goes beyond the image in view: references kept, applied and compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt._qt.apply_work import ApplyWork
from napari_dinoprompt._qt.batch_work import BatchWork
from napari_dinoprompt._qt.compare_work import CompareWork
from napari_dinoprompt._qt.library_work import LibraryWork

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_dinoprompt._qt.steps import BackboneShelf
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
        self.message = ""
        """What library, applying and batch said last."""
        self.library = LibraryWork(self)
        self.applying = ApplyWork(viewer, session, shelf, self)
        self.batch = BatchWork(viewer, session, shelf, self)
        self.comparing = CompareWork(viewer, session, shelf, self)
        for work in (self.library, self.applying, self.batch):
            work.said.connect(self._on_said)
        for each in (self.library, self.applying, self.batch, self.comparing):
            each.changed.connect(self.changed)

    @property
    def working(self) -> bool:
        """Whether any of them is at work."""
        works = (self.library, self.applying, self.batch, self.comparing)
        return any(work.running for work in works)

    def _on_said(self, message: str) -> None:
        self.message = message
        self.changed.emit()
