"""The plot of the study in the dock: one canvas, in the colours of napari's theme.

Imports matplotlib, so it is imported when the first plot is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from napari.utils.theme import get_theme
from qtpy.QtWidgets import QSizePolicy

from napari_dinoprompt.core.prompt_study.figures import DRAWN

if TYPE_CHECKING:
    from qtpy.QtGui import QWheelEvent


_LEAST_WIDTH, _HEIGHT = 240, 250
_FONT = 8.0


class StudyPlot(FigureCanvasQTAgg):
    """A figure that is drawn again and again."""

    def __init__(self, theme: str) -> None:
        super().__init__(Figure(layout="constrained"))  # type: ignore[no-untyped-call]
        self.setMinimumSize(_LEAST_WIDTH, _HEIGHT)
        # As high as ever; wide as the dock.
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self._theme = theme
        self._shown: tuple[str, object] | None = None

    def show_part(self, part: str, found: object) -> None:
        """Draw a part of the study, unless it is what is on show."""
        if self._shown is None or self._shown[0] != part or self._shown[1] is not found:
            self._shown = (part, found)
            self._draw()

    def show_theme(self, theme: str) -> None:
        """Draw in the colours of another theme of napari."""
        if theme != self._theme:
            self._theme = theme
            self._draw()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the page: the plot must not hold it up."""
        event.ignore()

    def _draw(self) -> None:
        if self._shown is None:
            return
        part, found = self._shown
        with rc_context(theme_colours(self._theme)):
            self.figure.clear()
            axes = self.figure.subplots()
            self.figure.set_facecolor(axes.get_facecolor())
            DRAWN[part](axes, found)
            for one in self.figure.axes:
                one.spines["top"].set_visible(False)
                # There may be another scale on the right.
                one.spines["right"].set_visible(len(self.figure.axes) > 1)
        self.draw_idle()  # type: ignore[no-untyped-call]


def theme_colours(name: str) -> dict[Any, Any]:
    """Return matplotlib's settings for a theme of napari."""
    theme = get_theme(name)
    text, ground = theme.text.as_hex(), theme.background.as_hex()
    words = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color")
    grounds = ("axes.facecolor", "figure.facecolor", "legend.facecolor")
    return {
        **dict.fromkeys((*words, "ytick.color"), text),
        **dict.fromkeys((*grounds, "savefig.facecolor"), ground),
        "font.size": _FONT,
        "legend.edgecolor": theme.foreground.as_hex(),
    }
