"""The tab "References": the library, applying one of it, and batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt._qt.common.tab_page import WorkTab, ruler
from napari_dinoprompt._qt.common.widgets import Section

from .apply import ApplyJob, ApplyPanel
from .batch import BatchJob, BatchPanel
from .library import LibraryJob, LibraryPanel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Layer

    from napari_dinoprompt.session.session import Session


_HINT = (
    "Save the prompts of an image as a reference, or select one and apply it to other "
    "images."
)


class ReferencesTab(WorkTab):
    """Shows the library and passes on what the user wants done with it."""

    def __init__(
        self,
        session: Session,
        library: LibraryJob,
        applying: ApplyJob,
        batches: BatchJob,
    ) -> None:
        super().__init__()
        self._session = session
        self._applying, self._batches = applying, batches
        self.library = LibraryPanel(library)
        self.apply = ApplyPanel()
        self.batch = BatchPanel()
        files = Section(
            "&Batch: apply it to files",
            "Show or hide what applies the reference to image files.",
            self.batch,
        )
        self.fill(self.library, ruler(), self.apply, ruler(), files)
        self._connect()

    def _connect(self) -> None:
        self.library.chosen.connect(self._on_chosen)
        self.apply.apply_requested.connect(self._on_apply)
        self.batch.run_requested.connect(self._on_run)
        self.batch.cancel_requested.connect(self._batches.cancel)
        self._applying.progressed.connect(self.progressed)
        self._batches.progressed.connect(self.batch.show_progress)
        self._batches.reported.connect(self.batch.add_line)

    @property
    def hint(self) -> str:
        """What to do next, or what was said last."""
        return self._session.said or _HINT

    @property
    def running(self) -> bool:
        """Whether a reference is being applied."""
        return self._applying.running

    def cancel(self) -> None:
        """Stop applying."""
        self._applying.cancel()

    def refresh(self, images: Sequence[Image], _labels: Sequence[Layer]) -> None:
        """Show library, prompts and images as they are."""
        self.library.show_references(self._session.reference())
        self.apply.show_images(images)
        self.batch.show_running(self._batches.running)
        self._on_chosen()

    def _on_chosen(self) -> None:
        choice = self.library.choice
        entry = self.library.entry
        usable = choice is not None and (entry is None or entry.summary is not None)
        name = "the current prompts" if entry is None else entry.name
        self.apply.show_reference(name if usable else "")
        self.batch.show_ready(usable)

    def _on_apply(self) -> None:
        choice, images = self.library.choice, self.apply.images
        if choice is not None and images:
            self._applying.apply(
                choice,
                images,
                self.apply.window_choice,
                all_planes=self.apply.all_planes,
            )

    def _on_run(self) -> None:
        choice, folder = self.library.choice, self.batch.folder
        if choice is not None and folder is not None:
            self._batches.run(
                choice, self.batch.images, folder, self.apply.window_choice
            )
