"""One line that is cut in its middle where there is no room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_dinoprompt._qt.widgets.explaining import wrap

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

__all__ = ["ElidedLabel", "shorten"]

# What napari's style leaves free around the text, on both sides.
_PADDING = 12


class ElidedLabel(QLabel):
    """The name of a file, with the whole of it in its tooltip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._whole = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    @property
    def whole(self) -> str:
        """The text before it was cut."""
        return self._whole

    def show_text(self, text: str, details: str) -> None:
        """Show a line, and more in its tooltip."""
        self._whole = text
        self.setToolTip(wrap(details))
        self.setAccessibleName(text)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        """Return next to no width."""
        return QSize(1, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Cut anew."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        middle = Qt.TextElideMode.ElideMiddle
        text = self.fontMetrics().elidedText(
            self._whole, middle, self.width() - _PADDING
        )
        if text != super().text():
            self.setText(text)


def shorten(text: str, most: int) -> str:
    """Leave out the middle of a text of more characters than can be shown.

    Parameters
    ----------
    text : str
    most : int
        Characters, the mark of what is left out not counted.
    """
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"
