"""The tab "Compare": real against fakes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QLabel
from superqt.utils import signals_blocked

from napari_dinoprompt._qt.common.tab_page import WorkTab, ruler
from napari_dinoprompt._qt.common.widgets import MessageLabel, button, row_of
from napari_dinoprompt.core.comparison.columns import AGREEMENT_COLOURS

from .layers import AGREEMENT
from .panel import ComparePanel
from .table import CompareObjects, CompareTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Layer

    from napari_dinoprompt._qt.references.library import LibraryJob
    from napari_dinoprompt.core.comparison.report import Comparison
    from napari_dinoprompt.session.session import Session

    from .job import CompareJob


# For two fakes with the noise floor beside them; more are scrolled to.
_WIDTH = 368
_HINT = (
    "Choose the real image, one or several fakes of the same field, and a reference."
)
_NO_FIGURE = "Turn to a figure to read what it means."
_DONE = (
    "Turn to a figure, with mouse or arrow keys, to read what it means, and to an "
    "object to look at it."
)


class CompareTab(WorkTab):
    """What is compared, and what was found."""

    def __init__(
        self, session: Session, comparing: CompareJob, library: LibraryJob
    ) -> None:
        super().__init__()
        self._session = session
        self._work = comparing
        self._library = library
        self._shown: Comparison | None = None
        self.panel = ComparePanel()
        self.table = CompareTable()
        self.objects = CompareObjects()
        self._maps = button(
            "Sh&ow maps",
            "Lay agreement, SSIM, squared error and feature distance of each fake over "
            "the real.",
        )
        self._beside = button(
            "Side &by side", "Show real and fakes in a grid, moved with one camera."
        )
        self._beside.setCheckable(True)
        self._export = button(
            "E&xport…", "Write tables (CSV, JSON), maps and the figure into a folder."
        )
        self._lay_out()
        self._work.progressed.connect(self.progressed)
        self.panel.compare_requested.connect(self._work.compare)
        self._maps.clicked.connect(self._work.show_maps)
        self._beside.toggled.connect(self._work.show_side_by_side)
        self._export.clicked.connect(self._on_export)
        self.table.chosen.connect(self.objects.choose)
        self.table.explained.connect(self._meaning.setText)
        self.objects.clicked.connect(self._work.go_to)

    def _lay_out(self) -> None:
        self._meaning = MessageLabel("meaning of the figure")
        self._legend = QLabel(
            "&nbsp;&nbsp;".join(
                f'<span style="color:{AGREEMENT_COLOURS[value]}">■</span> {word}'
                for value, word in AGREEMENT.items()
            )
        )
        buttons = (self._maps, self._beside, self._export)
        above = (ruler(), self.table, self._meaning)
        below = (self._legend, self.objects)
        self._rest = (*above, *buttons, *below)
        # A dock does not grow by itself when there is a result to show.
        self.panel.setMinimumWidth(_WIDTH)
        self.fill(self.panel, *above, row_of(*buttons), *below)
        self._show(None)

    @property
    def hint(self) -> str:
        """What to do next, or what was said last."""
        done = self._shown is not None
        return self._work.message or (_DONE if done else _HINT)

    @property
    def running(self) -> bool:
        """Whether images are being compared."""
        return self._work.comparing

    def cancel(self) -> None:
        """Stop comparing."""
        self._work.cancel()

    def refresh(self, images: Sequence[Image], labels: Sequence[Layer]) -> None:
        """Show layers, references and results as they are."""
        state = self._session.current
        self.panel.show_layers(images, labels, None if state is None else state.image)
        self.panel.show_references(self._session.reference(), self._library.entries)
        if self._work.comparison is not self._shown:
            self._show(self._work.comparison)
        with signals_blocked(self._beside):
            self._beside.setChecked(self._work.side_by_side)

    def _show(self, comparison: Comparison | None) -> None:
        self._shown = comparison
        self.table.show_comparison(comparison)
        self.objects.show_comparison(comparison)
        self._meaning.setText(_NO_FIGURE)
        for widget in self._rest:
            widget.setVisible(comparison is not None)

    def _on_export(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder for tables and figure")
        if name:
            self._work.export(Path(name))
