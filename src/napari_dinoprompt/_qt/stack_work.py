"""All planes of a stack, while the user goes on looking around."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt import stack_steps
from napari_dinoprompt._qt.jobs import LatestJob
from napari_dinoprompt._qt.stack_kept import KeptPlanes
from napari_dinoprompt._qt.stack_steps import FoundPlane, FoundVolume, task_of
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.stacking.plain_masks import PlainMasks

if TYPE_CHECKING:
    from napari_dinoprompt._qt.job_work import BackboneShelf
    from napari_dinoprompt._qt.result_layers import ResultLayers
    from napari_dinoprompt.core.live import LiveResult
    from napari_dinoprompt.session import ImageState, Session

__all__ = ["StackWork"]


class StackWork(QObject):
    """Finishes the planes of the current stack with the prompts as they are now.

    New prompts, another threshold or another image stop it. Planes that are finished
    stay, and are not done again.
    """

    changed = Signal()
    """Work has begun or ended, or a plane is finished."""
    progressed = Signal(int, int)
    """How far it is; a total of 0 is unknown."""

    def __init__(
        self,
        session: Session,
        results: ResultLayers,
        shelf: BackboneShelf,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self.objects_3d = False
        """Whether objects are to go through the planes once all are finished."""
        self._session = session
        self._results = results
        self._shelf = shelf
        self._kept: KeptPlanes | None = None
        self._all = False
        self._trouble = ""
        self._job = LatestJob(self, "Finding objects in all planes")
        self._job.yielded.connect(self._on_yielded)
        self._job.returned.connect(self._on_returned)
        self._job.failed.connect(self._on_failed)

    @property
    def running(self) -> bool:
        """Whether planes are being finished, or objects numbered through them."""
        return self._job.running

    @property
    def can_start(self) -> bool:
        """Whether there are prompts that all planes can be searched with."""
        state = self._stack()
        return (
            state is not None
            and state.result is not None
            and not state.result.large
            and self._session.reference() is not None
        )

    @property
    def total(self) -> int:
        """How many planes the current image has; 0 if it is no stack."""
        state = self._stack()
        return 0 if state is None else math.prod(layers.stack_shape(state.image))

    @property
    def message(self) -> str:
        """How it stands, in one line."""
        if self._trouble:
            return self._trouble
        kept = self._current_kept()
        return "" if kept is None else kept.summary

    def start(self) -> None:
        """Finish the planes that are not finished yet."""
        self._trouble = ""
        self._start(only_known=False)

    def cancel(self) -> None:
        """Stop; what is finished stays on show, and the next start goes on."""
        if self._job.running:
            self._job.cancel()
            self.changed.emit()

    def choose_3d(self, wanted: bool) -> None:
        """Number objects through the planes, or in each; at once if all are there."""
        self.objects_3d = wanted
        self._trouble = ""
        kept = self._current_kept()
        if kept is not None and kept.complete:
            self._job.cancel()
            if wanted:
                self._start_volumes(kept)
            elif kept.volumes:
                self._redo(kept, only_known=True)
        self.changed.emit()

    def note_result(self) -> None:
        """Remember the plain mask of the plane that was just scored."""
        state = self._stack()
        found = None if state is None else state.result
        if state is None or found is None or found.large or state.outdated:
            return
        kept = self._current_kept() or self._keep(state, found)
        kept.masks.add(found.plane, found.mask, found.scores.no_data)

    def clean_anew(self) -> None:
        """Go on after the cleaning, and nothing else, has changed.

        The coordinator has counted up the revision by one for it.
        """
        kept, state = self._kept, self._stack()
        if kept is None or state is None or kept.state is not state:
            return
        before, kept.revision = kept.revision, state.revision
        unchanged = before == state.revision - 1 and kept.current
        running = self.running
        self._job.cancel()
        if state.outdated or not unchanged or not (kept.objects or running):
            self._forget()
            return
        for index in kept.masks:
            # They are on show and will be replaced; nothing else has to go.
            state.note_shown(index)
        self._redo(kept, only_known=not (running and self._all))

    def drop_stale(self) -> None:
        """Stop when prompts, thresholds or image are other ones now."""
        if self._job.running and self._current_kept() is None:
            self.cancel()

    def _stack(self) -> ImageState | None:
        state = self._session.current
        if state is None or not layers.stack_shape(state.image):
            return None
        return state

    def _current_kept(self) -> KeptPlanes | None:
        kept = self._kept
        fits = kept is not None and kept.current and kept.state is self._stack()
        return kept if fits else None

    def _keep(self, state: ImageState, result: LiveResult) -> KeptPlanes:
        self._forget()
        self._trouble = ""
        self._kept = KeptPlanes(
            state,
            state.revision,
            PlainMasks(layers.plane_shape(state.image)),
            result.names,
            shown_on=(state.similarity, state.mask),
        )
        return self._kept

    def _forget(self) -> None:
        if self._kept is not None:
            self._kept.state.forget_finished()
            self._kept = None

    def _redo(self, kept: KeptPlanes, *, only_known: bool) -> None:
        kept.begin_anew()
        self._start(only_known=only_known)

    def _start(self, *, only_known: bool) -> None:
        state, request = self._stack(), self._session.request
        if state is None or state.result is None or state.result.large:
            return
        reference = self._session.reference()
        if reference is None:
            if not only_known:
                return
            # The plane in view is on its way, which changes nothing here.
            reference = state.result.reference
        kept = self._current_kept() or self._keep(state, state.result)
        if kept.through:
            return
        if kept.complete:
            self._on_returned(0)
            return
        self._all = not only_known
        task = task_of(
            state, reference, request.backbone, self._session.cleaning, self._shelf
        )
        self._job.start(
            stack_steps.find_planes(
                task,
                kept.masks,
                frozenset(kept.masks),
                dict(kept.objects),
                only_known=only_known,
            )
        )
        self.progressed.emit(0, 0)
        self.changed.emit()

    def _start_volumes(self, kept: KeptPlanes) -> None:
        kept.volumes = 0
        z, y, x = (abs(float(step)) for step in kept.state.image.scale[-3:])
        self._job.start(
            stack_steps.find_volumes(
                kept.masks,
                layers.stack_shape(kept.state.image),
                self._session.cleaning,
                (z, y, x),
            )
        )
        self.progressed.emit(0, 0)
        self.changed.emit()

    def _on_yielded(self, said: Progress | FoundPlane | FoundVolume) -> None:
        if isinstance(said, Progress):
            self.progressed.emit(said.done, said.total)
            return
        kept = self._current_kept()
        if kept is None:
            self.cancel()
            return
        # A layer that the user had deleted is made again.
        kept.shown_on = None
        if isinstance(said, FoundPlane):
            self._show_plane(kept, said)
        elif isinstance(said, FoundVolume):
            self._show_volume(kept, said)
        kept.shown_on = (kept.state.similarity, kept.state.mask)
        self.changed.emit()

    def _show_plane(self, kept: KeptPlanes, found: FoundPlane) -> None:
        state, result = kept.state, found.result
        colours = None
        if not self._session.cleaning.split:
            all_colours = self._session.colours()
            colours = [all_colours[name] for name in kept.names]
        if result is not None:
            # A plane without data may be in view, which shows no class.
            name = self._session.shown_class() or kept.names[0]
            kept.masks.add(found.index, result.mask, result.scores.no_data)
            self._results.show_similarity(state, result, name)
        self._results.show_finished(state, found.index, found.numbers, colours)
        kept.objects[found.index] = found.objects

    def _show_volume(self, kept: KeptPlanes, found: FoundVolume) -> None:
        kept.volumes += 1
        for z, plane in enumerate(found.instances):
            index = (*found.at, z)
            self._results.show_finished(kept.state, index, plane, None)
            # An object is counted once, wherever it begins.
            kept.objects[index] = found.objects if z == 0 else 0

    def _on_returned(self, _count: int) -> None:
        kept = self._current_kept()
        complete = kept is not None and kept.complete
        if kept is not None and complete and self.objects_3d and not kept.through:
            self._start_volumes(kept)
        else:
            self.changed.emit()

    def _on_failed(self, message: str) -> None:
        self._trouble = message
        self.changed.emit()
