"""The place of the plot, which is made when there is something to draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dinoprompt._qt.widgets.explaining import no_margins

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_dinoprompt._qt.studying.canvas import StudyCanvas

__all__ = ["StudyPlot"]


class StudyPlot(QWidget):
    """One canvas, in the colours of the viewer's theme."""

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas: StudyCanvas | None = None
        self._viewer = viewer
        no_margins(QVBoxLayout(self))
        viewer.events.theme.connect(self._on_theme)

    def show_part(self, part: str, found: object | None) -> None:
        """Draw what was found; None hides the plot."""
        self.setVisible(found is not None)
        if found is None:
            return
        if self.canvas is None:
            # Not before: matplotlib takes a moment.
            from napari_dinoprompt._qt.studying.canvas import StudyCanvas

            self.canvas = StudyCanvas(self._viewer.theme)
            layout = self.layout()
            assert layout is not None
            no_margins(layout)
            layout.addWidget(self.canvas)
        self.canvas.show_part(part, found)

    def _on_theme(self, _event: object) -> None:
        if self.canvas is not None:
            self.canvas.show_theme(self._viewer.theme)
