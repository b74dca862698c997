"""The dock "Prompt segmentation"."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QProgressBar,
    QShortcut,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_dinoprompt import layers
from napari_dinoprompt._qt.comparing.tab import CompareTab
from napari_dinoprompt._qt.coordinator import coordinator_of
from napari_dinoprompt._qt.image_events import later
from napari_dinoprompt._qt.references.tab import ReferencesTab
from napari_dinoprompt._qt.segment_tab import SegmentTab
from napari_dinoprompt._qt.studying.tab import StudyTab
from napari_dinoprompt._qt.widgets.explaining import (
    button,
    explain,
    in_column,
    no_margins,
    row_of,
    wrap,
)
from napari_dinoprompt._qt.widgets.focus_ring import FocusRing
from napari_dinoprompt._qt.widgets.message_label import MessageLabel

if TYPE_CHECKING:
    import napari

    from napari_dinoprompt._qt.tab_page import WorkTab

__all__ = ["PromptSegmentation"]

_HINT_LINES = 3


class PromptSegmentation(QWidget):
    """Click prompts on an image; everything that looks like them is segmented.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari when the dock is opened from a menu.
    """

    def __init__(
        self, napari_viewer: napari.Viewer, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.coordinator = coordinator_of(napari_viewer)
        session, desk = self.coordinator.session, self.coordinator.desk
        self.status = StatusPanel()
        self.segment = SegmentTab(self.coordinator)
        self.references = ReferencesTab(
            session, desk.library, desk.applying, desk.batch
        )
        self.compare = CompareTab(session, desk.comparing, desk.library)
        self.study = StudyTab(napari_viewer, desk.studying, session)
        self.image, self.weights = self.segment.image, self.segment.weights
        self.prompts, self.result = self.segment.prompts, self.segment.result
        self.stack = self.segment.stack
        self.tabs = QTabWidget()
        self._ring = FocusRing(self)
        self._lay_out()
        self._connect()
        self._on_images_changed()

    def _lay_out(self) -> None:
        for tab, title, tooltip in (
            (self.segment, "&Segment", "Click prompts, and see what they find."),
            (self.references, "&References", "Keep prompts and use them elsewhere."),
            (self.compare, "&Compare", "Compare virtual stains with the real one."),
            (self.study, "S&tudy", "See what prompts and settings do to the result."),
        ):
            self.tabs.setTabToolTip(self.tabs.addTab(tab, title), wrap(tooltip))
        bar = self.tabs.tabBar()
        assert bar is not None
        bar.setAccessibleName("parts of the dock")
        bar.setAccessibleDescription("Arrow keys turn from one to the next.")
        layout = QVBoxLayout(self)
        layout.addWidget(self.status)
        layout.addWidget(self.tabs)
        self._shortcut = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        # Not while the canvas has the keyboard: Escape means other things there.
        self._shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)

    def _connect(self) -> None:
        work = self.coordinator
        self.status.cancel_requested.connect(self._on_cancel)
        self.status.compute_requested.connect(work.features.compute)
        self._shortcut.activated.connect(self._on_cancel)
        self.study.undo_requested.connect(work.prompts.undo)
        work.changed.connect(self._refresh)
        work.images_changed.connect(self._on_images_changed)
        work.desk.changed.connect(self._refresh)
        for tab in (self.segment, self.references, self.compare, self.study):
            tab.progressed.connect(self._on_progress)
        self.tabs.currentChanged.connect(self._on_tab)

    @property
    def tab(self) -> WorkTab:
        """The tab in view."""
        return cast("WorkTab", self.tabs.currentWidget())

    def _on_images_changed(self) -> None:
        """Turn to an image if none is chosen, and offer those that are there."""
        images = self.coordinator.images()
        if self.coordinator.session.current is None and images:
            active = self.coordinator.viewer.layers.selection.active
            on_show = [image for image in images if image.visible] or images
            # From the list: a plugin's viewer hands out a proxy of the active layer,
            # and layers are told apart by identity.
            chosen = [image for image in on_show if image == active] or on_show[-1:]
            self.coordinator.choose_image(chosen[0])
        self._refresh()

    def _refresh(self) -> None:
        """Show in the tab in view how all is."""
        work, tab = self.coordinator, self.tab
        self.status.show_hint(tab.hint)
        self.status.show_work(running=tab.running, stopped=tab.stopped)
        self._shortcut.setEnabled(tab.running)
        labels = layers.own_labels(work.viewer.layers)
        tab.refresh(work.images(), labels)
        if tab is not self.segment:
            # Others follow what is chosen there, and it is seen by other docks.
            self.segment.refresh(work.images(), labels)

    def _on_tab(self, _index: int) -> None:
        self.status.show_progress(0, 0)
        self.study.turn(self.tab is self.study)
        if self.tab is not self.segment:
            self.coordinator.desk.library.read()
        self._refresh()

    def _on_cancel(self) -> None:
        """Stop the work of the tab in view."""
        self.tab.cancel()

    def _on_progress(self, done: int, total: int) -> None:
        if self.sender() is self.tab:
            self.status.show_progress(done, total)


class StatusPanel(QWidget):
    """One line of advice, a progress bar, and Cancel or Compute."""

    cancel_requested = Signal()
    """The user wants the extraction stopped."""
    compute_requested = Signal()
    """The user wants the extraction started."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hint = MessageLabel("what to do next", _HINT_LINES)
        self._hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        # When all else that changed at the same time has its place.
        self._later = later(self, 0, self._give_room)
        self._bar = explain(
            QProgressBar(), "How far the work is, in percent.", "progress"
        )
        self._cancel = button("Cancel", "Stop what is being computed (Escape).")
        self._cancel.clicked.connect(self.cancel_requested)
        self._compute = button(
            "Compute features", "Compute the features of the image, as chosen below."
        )
        self._compute.clicked.connect(self.compute_requested)
        # A widget, not a layout: Qt would keep room for an empty one.
        self._row = QWidget()
        row = row_of(self._bar, self._cancel, self._compute)
        no_margins(row)
        self._row.setLayout(row)
        in_column(self, self._hint, self._row)
        self.show_work(running=False, stopped=False)

    @property
    def running(self) -> bool:
        """Whether there is work that can be cancelled."""
        return not self._cancel.isHidden()

    @property
    def hint(self) -> str:
        """The line on show."""
        return self._hint.text()

    def show_hint(self, hint: str) -> None:
        """Show a line of advice."""
        self._hint.setText(hint)

    def show_work(self, *, running: bool, stopped: bool) -> None:
        """Show whether features are being computed, or could be."""
        if running and self._bar.isHidden():
            self._bar.setRange(0, 0)
        self._bar.setVisible(running)
        self._cancel.setVisible(running)
        self._compute.setVisible(stopped and not running)
        if self._row.isHidden() == (running or stopped):
            self._row.setVisible(running or stopped)
            self._later.start()

    def _give_room(self) -> None:
        """Let the tabs have the room that the row left, which Qt forgets to do."""
        self.updateGeometry()
        parent = self.parentWidget()
        layout = None if parent is None else parent.layout()
        if layout is not None:
            layout.invalidate()
            layout.activate()

    def show_progress(self, done: int, total: int) -> None:
        """Show how far the work is; a total of 0 is unknown."""
        self._bar.setRange(0, total)
        self._bar.setValue(done)
