"""The prompt study of the image in view: one part at a time, in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.export import Export
from napari_dinoprompt._qt.job_work import JobWork
from napari_dinoprompt._qt.studying import steps as study_steps
from napari_dinoprompt._qt.studying.export import writing
from napari_dinoprompt._qt.studying.request import (
    StudyKey,
    StudyResult,
    key_of,
    means_of,
    obstacle,
    row_of,
)
from napari_dinoprompt._qt.studying.results import StudyResults
from napari_dinoprompt._qt.studying.shows import StudyShows
from napari_dinoprompt._qt.studying.steps import StudyOptions
from napari_dinoprompt._qt.studying.truth import Truth
from napari_dinoprompt.core.prompts import BACKGROUND

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_dinoprompt._qt.job_work import BackboneShelf
    from napari_dinoprompt.core.studying.suggestion import Suggestion
    from napari_dinoprompt.session import Session

__all__ = ["StudyWork"]


class StudyWork(JobWork):
    """One part of the study at a time; the latest request wins."""

    prompt_wanted = Signal(object, str)
    """The user accepts a place, y and x in pixels, as a prompt of a class."""
    removal_wanted = Signal(int)
    """The user wants a prompt removed, by its row in the layer."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        shelf: BackboneShelf,
        parent: QObject,
    ) -> None:
        super().__init__(viewer, session, shelf, parent, "The study")
        self.message = ""
        """What was written, or what went wrong."""
        self.shows = StudyShows(viewer)
        self._class_name = ""
        self._truth = Truth(viewer, self)
        self._truth.changed.connect(self.review)
        self._results = StudyResults()
        self._asked: tuple[str, StudyKey] | None = None
        self._again: tuple[str, StudyOptions] | None = None
        self._export = Export(self)
        self._export.said.connect(self._say)

    @property
    def running(self) -> bool:
        """Whether a part is being studied, or a file written."""
        return self._job.running or self._export.running

    @property
    def studying(self) -> str:
        """The part under way; empty if none."""
        return self._asked[0] if self._asked and self._job.running else ""

    @property
    def classes(self) -> tuple[str, ...]:
        """The object classes that can be studied."""
        state = self._session.current
        counts = {} if state is None else state.counts()
        return tuple(name for name in counts if name != BACKGROUND)

    @property
    def class_name(self) -> str:
        """The object class that is studied."""
        known = self.classes
        if self._class_name in known or not known:
            return self._class_name if known else ""
        return known[0]

    def obstacle(self, part: str) -> str:
        """Say what is in the way of a part; empty if nothing."""
        return obstacle(self._session, part, self.class_name)

    def result(self, part: str) -> StudyResult | None:
        """Return what was found last on the current image, if anything."""
        return self._results.get(part)

    def is_current(self, part: str) -> bool:
        """Tell whether a result is of what there is now."""
        return self._current(part) is not None

    @property
    def ghost(self) -> tuple[int, int, Suggestion] | None:
        """Number of the suggestion on show, how many there are, and itself."""
        return self._results.ghost(self._current("suggestion"))

    @property
    def truth(self) -> Labels | None:
        """Labels of what is really there, if the user has them."""
        return self._truth.layer

    @property
    def can_change(self) -> bool:
        """Whether prompts may be added and removed: not in a layer of the user's."""
        state = self._session.current
        if state is None or state.prompts is None:
            return False
        return layers.is_ours(state.prompts)

    # --- requests of the tab

    def choose_truth(self, truth: Labels | None) -> None:
        """Take another layer for the truth, or none."""
        self._truth.choose(truth)

    def choose_class(self, name: str) -> None:
        """Study another class of objects."""
        if name != self.class_name:
            self._class_name = name
            self.review()

    def run(self, part: str, options: StudyOptions | None = None) -> None:
        """Study; an earlier result of this part goes, and other work is dropped."""
        options = options or StudyOptions()
        state, reference = self._session.current, self._session.reference()
        self._again = None
        blocked = self.obstacle(part)
        if blocked or state is None or reference is None:
            self._say(blocked)
            return
        key = key_of(self._session, state, reference, self._truth, self.class_name)
        read = None if self.truth is None else self.reader(self.truth)
        means = means_of(key, self._shelf, read)
        self._results.drop(part)
        self._asked = (part, key)
        self._begin(study_steps.study(part, means, options))
        self._say("")

    def cancel(self) -> None:
        """Stop; there is no result then."""
        if self._job.running:
            self.stop()
            self._say("Stopped.")

    def stop(self) -> None:
        """Drop what is under way without a word."""
        self._again = self._asked = None
        self._job.cancel()

    def skip(self) -> None:
        """Turn to the next suggestion."""
        self._results.skip()
        self._say("")

    def accept(self, name: str) -> None:
        """Make the suggested place a prompt of a class, and ask anew."""
        ghost = self.ghost
        if ghost is not None and self.can_change:
            self._again = ("suggestion", StudyOptions())
            self.prompt_wanted.emit(ghost[2].point, name)

    def remove(self, index: int) -> None:
        """Remove a prompt, by its place in the reference, and ask anew."""
        result = self._current("influence")
        if result is None or not self.can_change:
            return
        row = row_of(result.key.state, result.key.reference, index)
        if row is not None:
            self._again = ("influence", StudyOptions())
            self.removal_wanted.emit(row)

    def go_to_ghost(self) -> None:
        """Centre the camera on the suggested place."""
        ghost, state = self.ghost, self._session.current
        if ghost is not None and state is not None:
            layers.look_at(self._viewer, state.image, (*state.view, *ghost[2].point))

    def save(self, part: str, path: Path, *, plot: bool) -> None:
        """Write the table or the plot of a part."""
        result = self._results.get(part)
        if result is not None:
            self._export.write(writing(result, path, plot=plot))

    def look(self, viewpoint: QObject, part: str) -> None:
        """Note which part a dock has on show; empty if none."""
        self.shows.look(viewpoint, part)
        self._show()

    def show_masks(self, on: bool) -> None:
        """Put the masks of the resolutions side by side, or show all as before."""
        result = self._current("resolution")
        if on and result is not None:
            key = result.key
            self.shows.masks.show(key.state.image, key.view, result.found)
        else:
            self.shows.masks.hide()
        self.changed.emit()

    # --- what happens elsewhere

    def review(self) -> None:
        """Drop what is of another image, and work that nobody needs any more."""
        self._results.keep_only(self._session.current)
        if self._asked is not None and self._job.running:
            part, key = self._asked
            if not self._holds(part, key):
                self._asked = None
                self._job.cancel()
                self.message = "What was studied has changed: run it again."
        if self._again is not None:
            self._ask_again()
        self._show()
        self.changed.emit()

    def follow(self, image: Image) -> None:
        """Keep marks and masks on their image when it is moved."""
        self.shows.follow(image)

    def _ask_again(self) -> None:
        assert self._again is not None
        part, options = self._again
        if self._results.get(part) is None:
            self._again = None
        elif not self.is_current(part) and not self.obstacle(part):
            self.run(part, options)

    def _current(self, part: str) -> StudyResult | None:
        result = self._results.get(part)
        holds = result is not None and self._holds(part, result.key)
        return result if holds else None

    def _holds(self, part: str, key: StudyKey) -> bool:
        if not key.holds(self._session, self._truth, self.class_name):
            return False
        return part != "threshold" or key.thresholds == key.state.thresholds

    def _show(self) -> None:
        """Let the viewer show what belongs to the part on show."""
        influence = self._current("influence")
        ghost, state = self.ghost, self._session.current
        self.shows.show(state, influence, None if ghost is None else ghost[2])
        if not self.is_current("resolution"):
            self.shows.masks.hide()

    def reader(self, layer: Layer) -> Callable[[], NDArray[np.generic]]:
        """Return what reads the plane of an image or of labels that is in view."""
        return layers.reader_of(self._viewer, layer)

    def _on_returned(self, said: tuple[Any, NDArray[np.float32]]) -> None:
        assert self._asked is not None
        part, key = self._asked
        self._asked = None
        self._results.put(StudyResult(part, key, *said))
        self._say("")

    def _on_failed(self, message: str) -> None:
        self._say(message)

    def _say(self, message: str) -> None:
        self.message = message
        self._show()
        self.changed.emit()
