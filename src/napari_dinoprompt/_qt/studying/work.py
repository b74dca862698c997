"""The prompt study of the image in view: one part at a time, in a thread."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.jobs import LatestJob
from napari_dinoprompt._qt.references.apply_work import plane_of
from napari_dinoprompt._qt.studying import steps as study_steps
from napari_dinoprompt._qt.studying.export import StudyExport
from napari_dinoprompt._qt.studying.request import (
    StudyKey,
    StudyResult,
    obstacle,
    row_of,
)
from napari_dinoprompt._qt.studying.shows import StudyShows
from napari_dinoprompt._qt.studying.steps import StudyMeans, StudyOptions
from napari_dinoprompt.core.prompts import BACKGROUND

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_dinoprompt._qt.steps import BackboneShelf
    from napari_dinoprompt.core.progress import Progress
    from napari_dinoprompt.core.studying.suggestion import Suggestion
    from napari_dinoprompt.session import Session

__all__ = ["StudyWork"]


class StudyWork(QObject):
    """One part of the study at a time; the latest request wins."""

    changed = Signal()
    """There is another result, or work has begun or ended."""
    progressed = Signal(int, int)
    """Steps done and in all; a total of 0 is unknown."""
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
        super().__init__(parent)
        self.message = ""
        """What was written, or what went wrong."""
        self.truth: Labels | None = None
        """Labels of what is really there, if the user has them."""
        self.shows = StudyShows(viewer)
        self._viewer = viewer
        self._session = session
        self._shelf = shelf
        self._class_name = ""
        self._truth_edits = 0
        self._results: dict[str, StudyResult] = {}
        self._asked: tuple[str, StudyKey] | None = None
        self._again: tuple[str, StudyOptions] | None = None
        self._skipped = 0
        self._job = LatestJob(self)
        self._job.yielded.connect(self._on_progress)
        self._job.returned.connect(self._on_returned)
        self._job.failed.connect(self._say)
        self._job.crashed.connect(self._on_crashed)
        self._export = StudyExport(self)
        self._export.said.connect(self._say)
        viewer.layers.events.removed.connect(self._on_removed)

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
        result = self._results.get(part)
        return result is not None and self._holds(part, result.key)

    @property
    def ghost(self) -> tuple[int, int, Suggestion] | None:
        """Number of the suggestion on show, how many there are, and itself."""
        result = self._results.get("suggestion")
        if result is None or not self.is_current("suggestion"):
            return None
        places = result.found.places
        if self._skipped >= len(places):
            return None
        return self._skipped + 1, len(places), places[self._skipped]

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
        if truth is self.truth:
            return
        for layer, listen in ((self.truth, False), (truth, True)):
            if layer is not None:
                for emitter in (layer.events.data, layer.events.paint):
                    change = emitter.connect if listen else emitter.disconnect
                    change(self._on_truth_edited)
        self.truth = truth
        self.review()

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
        key = StudyKey(
            state=state,
            planes=ref(state.planes),
            view=state.view,
            request=self._session.request,
            snapshot=state.snapshot,
            reference=reference,
            thresholds=dict(state.thresholds),
            truth=self.truth,
            truth_edits=self._truth_edits,
            class_name=self.class_name,
        )
        truth = self.truth
        means = StudyMeans(
            planes=state.planes,
            view=state.view,
            reference=reference,
            class_name=self.class_name or None,
            read_plane=partial(layers.read_plane, state.image, state.view),
            read_truth=None if truth is None else self.reader(truth),
            shelf=self._shelf,
            backbone=self._session.request.backbone,
            upscale=self._session.request.upscale,
        )
        self._results.pop(part, None)
        self._asked = (part, key)
        self._job.start(study_steps.study(part, means, options))
        self.progressed.emit(0, 0)
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
        self._skipped += 1
        self._say("")

    def accept(self, name: str) -> None:
        """Make the suggested place a prompt of a class, and ask anew."""
        ghost, asked = self.ghost, self._results.get("suggestion")
        if ghost is not None and asked is not None and self.can_change:
            self._again = ("suggestion", StudyOptions())
            self.prompt_wanted.emit(ghost[2].point, name)

    def remove(self, index: int) -> None:
        """Remove a prompt, by its place in the reference, and ask anew."""
        result = self._results.get("influence")
        if result is None or not self.is_current("influence") or not self.can_change:
            return
        row = row_of(result.key.state, result.key.reference, index)
        if row is not None:
            self._again = ("influence", StudyOptions())
            self.removal_wanted.emit(row)

    def go_to_ghost(self) -> None:
        """Centre the camera on the suggested place."""
        ghost, state = self.ghost, self._session.current
        if ghost is None or state is None:
            return
        world = np.asarray(state.image.data_to_world((*state.view, *ghost[2].point)))
        dims = self._viewer.dims
        where = np.array(dims.point, dtype=float)
        where[-len(world) :] = world
        self._viewer.scene.camera.center = tuple(where[list(dims.displayed)])

    def save(self, part: str, path: Path, *, plot: bool) -> None:
        """Write the table or the plot of a part."""
        result = self._results.get(part)
        if result is not None:
            self._export.save(result, path, plot=plot)

    def look(self, viewpoint: QObject, part: str) -> None:
        """Note which part a dock has on show; empty if none."""
        self.shows.look(viewpoint, part)
        self._show()

    def show_masks(self, on: bool) -> None:
        """Put the masks of the resolutions side by side, or show all as before."""
        result = self._results.get("resolution")
        if on and result is not None and self.is_current("resolution"):
            key = result.key
            self.shows.masks.show(key.state.image, key.view, result.found)
        else:
            self.shows.masks.hide()
        self.changed.emit()

    # --- what happens elsewhere

    def review(self) -> None:
        """Drop what is of another image, and work that nobody needs any more."""
        state = self._session.current
        for part, result in list(self._results.items()):
            if result.key.state is not state:
                del self._results[part]
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
        if not self._results or part not in self._results:
            self._again = None
        elif not self.is_current(part) and not self.obstacle(part):
            self.run(part, options)

    def _holds(self, part: str, key: StudyKey) -> bool:
        if (
            key.truth is not self.truth
            or (key.truth is not None and key.truth_edits != self._truth_edits)
            or key.class_name != self.class_name
            or not key.holds(self._session)
        ):
            return False
        return part != "threshold" or key.thresholds == key.state.thresholds

    def _show(self) -> None:
        """Let the viewer show what belongs to the part on show."""
        influence = self._results.get("influence")
        if not self.is_current("influence"):
            influence = None
        ghost, state = self.ghost, self._session.current
        self.shows.show(state, influence, None if ghost is None else ghost[2])
        if not self.is_current("resolution"):
            self.shows.masks.hide()

    def reader(self, layer: Layer) -> partial[NDArray[np.generic]]:
        """Return what reads the plane of an image or of labels that is in view."""
        return partial(layers.read_plane, layer, plane_of(self._viewer, layer))

    def _on_progress(self, progress: Progress) -> None:
        self.progressed.emit(progress.done, progress.total)

    def _on_returned(self, said: tuple[Any, NDArray[np.float32]]) -> None:
        assert self._asked is not None
        part, key = self._asked
        self._asked = None
        self._results[part] = StudyResult(part, key, *said)
        if part == "suggestion":
            self._skipped = 0
        self._say("")

    def _on_crashed(self) -> None:
        self._say("The study failed; see the notification.")

    def _say(self, message: str) -> None:
        self.message = message
        self._show()
        self.changed.emit()

    def _on_truth_edited(self, _event: object) -> None:
        self._truth_edits += 1
        self.review()

    def _on_removed(self, event: object) -> None:
        if self.truth is not None and event.value is self.truth:  # type: ignore[attr-defined]
            self.choose_truth(None)
