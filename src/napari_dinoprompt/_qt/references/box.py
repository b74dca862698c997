"""Choosing a reference: the current prompts, or one of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt._qt.widgets.explaining import explain
from napari_dinoprompt._qt.widgets.narrow_box import NarrowBox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

    from napari_dinoprompt.core.references.library import Entry
    from napari_dinoprompt.core.references.reference import Reference

__all__ = ["ReferenceBox"]

_CURRENT = "current prompts"


class ReferenceBox(NarrowBox):
    """A box of references; damaged ones are not offered."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._current: Reference | None = None
        self._entries: list[Entry] = []
        explain(self, "The prompts of the current image, or a saved reference.")

    @property
    def choice(self) -> Entry | Reference | None:
        """What is chosen, if anything is offered."""
        row = self.currentIndex()
        if self._current is not None:
            if row == 0:
                return self._current
            row -= 1
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def show_references(
        self, current: Reference | None, entries: Sequence[Entry]
    ) -> None:
        """Offer the current prompts and the library; what is chosen stays so."""
        readable = [entry for entry in entries if entry.summary is not None]
        names = [_CURRENT] if current is not None else []
        names += [entry.name for entry in readable]
        before = self.currentText()
        self._current, self._entries = current, readable
        if names != [self.itemText(i) for i in range(self.count())]:
            self.clear()
            self.addItems(names)
            self.setCurrentIndex(max(self.findText(before), 0) if names else -1)
