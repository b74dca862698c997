"""What is said to the user: wrapped at any place, and can be copied."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QGuiApplication, QKeySequence
from qtpy.QtWidgets import QLabel, QMenu, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QContextMenuEvent, QKeyEvent

__all__ = ["MessageLabel"]

# Qt breaks lines here, and shows nothing.
_BREAK = "\u200b"
# Above and below the text, in napari's style.
_PADDING = 13
_FITTING = (QEvent.Type.FontChange, QEvent.Type.Polish, QEvent.Type.Resize)
_LONG = re.compile(r"\S{16,}")
_PIECE = re.compile(r"[^/\\_.\-]{1,12}[/\\_.\-]?|[/\\_.\-]")


class MessageLabel(QLabel):
    """A text of several lines. A long path in it makes the dock no wider.

    It keeps room for so many lines, that a longer text does not push others around; its
    name says what it is, for a screen reader.
    """

    def __init__(
        self, name: str, lines: int = 0, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._said = ""
        self._name = name
        self._lines = lines
        self.setWordWrap(True)
        # Qt's layouts keep an old height where rows beside it come and go: it is set
        # here instead.
        policy = self.sizePolicy()
        policy.setHeightForWidth(False)
        self.setSizePolicy(policy)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setAccessibleName(name)
        self.setToolTip("Select text with mouse or keyboard to copy it.")

    def text(self) -> str:
        """Return what is said, without the breaks."""
        return self._said

    def setText(self, text: str | None) -> None:
        """Say something else."""
        text = text or ""
        if text != self._said:
            self._said = text
            super().setText(_LONG.sub(_with_breaks, text))
            self.setAccessibleName(f"{self._name}: {text}" if text else self._name)
            self._fit()

    def clear(self) -> None:
        """Say nothing."""
        self.setText("")

    def event(self, event: QEvent | None) -> bool:
        """Be as high as the lines are, in whichever font and width."""
        done = super().event(event)
        if event is not None and event.type() in _FITTING:
            self._fit()
        return done

    def _fit(self) -> None:
        room = self.fontMetrics().lineSpacing() * self._lines + _PADDING
        needed = max(self.heightForWidth(self.width()), 0)
        self.setFixedHeight(max(needed, room) if self._lines else needed)

    def copy(self) -> None:
        """Copy what is selected, or all, to the clipboard."""
        chosen = self.selectedText().replace(_BREAK, "") or self._said
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(chosen)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Copy without the breaks."""
        if event is not None and event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:
        """Offer to copy."""
        menu = QMenu(self)
        action = menu.addAction("Copy")
        assert action is not None
        action.triggered.connect(self.copy)
        if event is not None:
            menu.exec(event.globalPos())


def _with_breaks(found: re.Match[str]) -> str:
    return _BREAK.join(_PIECE.findall(found.group()))
