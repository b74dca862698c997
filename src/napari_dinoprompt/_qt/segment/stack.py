"""All planes of a stack, while the user goes on looking around."""

from __future__ import annotations

import functools
import math
import operator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QCheckBox, QProgressBar, QWidget
from superqt.utils import signals_blocked

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.jobs import TabJob, Workplace
from napari_dinoprompt._qt.common.widgets import (
    MessageLabel,
    button,
    explain,
    in_column,
    row_of,
)
from napari_dinoprompt.core.objects.counts import ObjectCounts, iter_counts
from napari_dinoprompt.core.progress import Progress, run_to_end
from napari_dinoprompt.core.segmentation.stack_results import PlainMasks, StackPlane

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from napari.layers import Layer
    from numpy.typing import NDArray
    from qtpy.QtCore import QObject

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.masks.cleaning import Cleaning
    from napari_dinoprompt.core.masks.volumes import FinishedVolume, ReadVolume
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation.interactive import LiveResult
    from napari_dinoprompt.core.segmentation.stack import Stack
    from napari_dinoprompt.session.image_state import ImageState

    from .result_layers import ResultLayers


class StackPanel(QWidget):
    """A button for all planes with its progress, and a box for 3-D objects."""

    def __init__(self, work: StackJob) -> None:
        super().__init__()
        self._work = work
        self._start = button(
            "All planes",
            "Find the objects in all planes of the stack, with the prompts and "
            "thresholds as they are now. You can go on looking around; planes that "
            "are finished are not done again.",
        )
        self._bar = explain(
            QProgressBar(), "How many planes are finished, in percent.", "progress"
        )
        self._stop = button(
            "Stop", "Finished planes stay; All planes goes on from there."
        )
        self._objects_3d = explain(
            QCheckBox("3-D objects"),
            "Once all planes are finished, clean the mask in 3-D and number objects "
            "through the planes. The smallest object is then in voxels; the scale of "
            "the layer says how far the planes are apart.",
        )
        self._said = MessageLabel("objects in all planes")
        row = row_of(self._start, self._bar, self._stop, self._objects_3d)
        in_column(self, row, self._said)
        self._start.clicked.connect(work.start)
        self._stop.clicked.connect(work.cancel)
        self._objects_3d.toggled.connect(work.choose_3d)
        work.progressed.connect(self._on_progress)

    def refresh(self) -> None:
        """Offer all planes where there are several, and show how it stands."""
        work = self._work
        self.setVisible(work.total > 0)
        if work.running and self._bar.isHidden():
            self._bar.setRange(0, 0)
        self._start.setVisible(not work.running)
        self._start.setEnabled(work.can_start)
        self._bar.setVisible(work.running)
        self._stop.setVisible(work.running)
        with signals_blocked(self._objects_3d):
            self._objects_3d.setChecked(work.objects_3d)
        self._said.setText(work.message)
        self._said.setVisible(bool(work.message))

    def _on_progress(self, done: int, total: int) -> None:
        """Show how far the work is; a total of 0 is unknown."""
        self._bar.setRange(0, total)
        self._bar.setValue(done)


@dataclass(frozen=True, eq=False)
class FoundPlane:
    """A plane that is finished.

    Attributes
    ----------
    index : plane index
    result : LiveResult or None
        With the plain mask; None if that was known before.
    numbers : (H, W) ndarray of integers
        What is shown: classes, or objects where touching ones are split.
    counts : ObjectCounts
    """

    index: PlaneIndex
    result: LiveResult | None
    numbers: NDArray[np.integer]
    counts: ObjectCounts


def _find_planes(
    stack: Stack,
    reference: Reference,
    get_backbone: Callable[[], Backbone],
    cleaning: Cleaning,
    features: Mapping[PlaneIndex, FeatureMap],
    masks: PlainMasks,
    done: Mapping[PlaneIndex, int],
    wanted: list[PlaneIndex],
) -> Generator[Progress | FoundPlane, None, int]:
    """Finish planes in a thread, as `iter_segment_stack`; returns how many."""
    from napari_dinoprompt.core.segmentation.segment import SegmentOptions
    from napari_dinoprompt.core.segmentation.stack import iter_segment_stack
    from napari_dinoprompt.core.segmentation.stack_results import StackPlane

    yield Progress(0, 0)
    steps = iter_segment_stack(
        stack,
        reference,
        None if all(index in masks for index in wanted) else get_backbone(),
        SegmentOptions(cleaning=cleaning),
        planes=wanted,
        done=done,
        features=features,
        masks=masks,
    )
    count = 0
    for said in steps:
        if isinstance(said, StackPlane):
            count += 1
            yield _as_found(said, reference, cleaning)
        elif isinstance(said, Progress):
            yield said
    return count


def _as_found(
    plane: StackPlane, reference: Reference, cleaning: Cleaning
) -> FoundPlane:
    from napari_dinoprompt.core.errors import InputError
    from napari_dinoprompt.core.segmentation.interactive import LiveResult
    from napari_dinoprompt.core.segmentation.segment import Segmentation

    result, found = None, plane.segmentation
    if isinstance(found, Segmentation):
        result = LiveResult(
            plane=plane.index,
            reference=reference,
            scores=found.scores,
            thresholds=found.thresholds,
            masks=found.scores.masks(found.thresholds),
            clicked={},
            fitting_upscale=None,
        )
    elif found is not None:
        raise InputError(
            "The planes are too large to be held; segment the stack with the command "
            "dinoprompt segment, or take a part of it."
        )
    numbers: NDArray[np.integer] = plane.mask
    if cleaning.split:
        numbers = np.where(plane.instances > 0, plane.instances + plane.first, 0)
    names = reference.object_classes
    counts = run_to_end(iter_counts(plane.instances, plane.mask, names))
    return FoundPlane(plane.index, result, numbers, counts)


def _number_volumes(
    lengths: tuple[int, ...],
    read: ReadVolume,
    cleaning: Cleaning,
    spacing: tuple[float, float, float],
    names: tuple[str, ...],
) -> Generator[Progress | tuple[FinishedVolume, ObjectCounts], None, int]:
    """Clean, number and count through the planes in a thread, as `iter_volumes`."""
    from napari_dinoprompt.core.masks.volumes import FinishedVolume, iter_volumes

    for said in iter_volumes(lengths, read, cleaning, spacing):
        if isinstance(said, FinishedVolume):
            yield said, run_to_end(iter_counts(said.instances, said.mask, names))
        else:
            yield said
    return 0


@dataclass(eq=False)
class _KeptPlanes:
    """What is known of the planes of one image under one revision.

    Attributes
    ----------
    state : ImageState
    revision : int
    masks : PlainMasks
        Of planes that are on show, scrolled to or computed here.
    names : tuple of str
        The object classes.
    counts : dict of plane index to ObjectCounts
        The planes that are finished, and the objects they hold; of a volume with
        objects through the planes those of its first.
    volumes : int
        In so many of the volumes objects go through the planes.
    shown_on : tuple of layers or None
        Where all of this is on show; None while that is being changed here.
    """

    state: ImageState
    revision: int
    masks: PlainMasks
    names: tuple[str, ...]
    counts: dict[PlaneIndex, ObjectCounts] = field(default_factory=dict)
    volumes: int = 0
    shown_on: tuple[Layer | None, Layer | None] | None = None

    @property
    def lengths(self) -> tuple[int, ...]:
        """Of the axes before the plane."""
        return layers.stack_shape(self.state.image)

    @property
    def through(self) -> bool:
        """Whether objects go through all planes."""
        return self.volumes == math.prod(self.lengths[:-1])

    @property
    def current(self) -> bool:
        """Whether nothing that it depends on has changed."""
        there = (self.state.similarity, self.state.mask)
        return self.revision == self.state.revision and self.shown_on in (None, there)

    @property
    def complete(self) -> bool:
        """Whether all planes are finished."""
        return len(self.counts) == math.prod(self.lengths)

    @property
    def summary(self) -> str:
        """How far it is and what was found; empty before the first."""
        if not self.counts:
            return ""
        total, image = math.prod(self.lengths), self.state.image
        lengths = layers.pixel_lengths(image, 3 if self.through else 2)
        measure = None if lengths is None else math.prod(lengths)
        found = functools.reduce(operator.add, self.counts.values())
        said = found.describe(measure, through=self.through)
        if self.through:
            return f"Through {total} planes: {said}"
        return f"{len(self.counts)} of {total} planes, counted in each: {said}"


class StackJob(TabJob):
    """Finishes the planes of the current stack with the prompts as they are now.

    New prompts, another threshold or another image stop it. Planes that are finished
    stay, and are not done again.
    """

    def __init__(
        self, place: Workplace, results: ResultLayers, parent: QObject
    ) -> None:
        super().__init__(place, parent, "Finding objects in all planes")
        # Whether objects are to go through the planes once all are finished.
        self.objects_3d = False
        self._results = results
        self._kept: _KeptPlanes | None = None
        self._all = False
        self._trouble = ""

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
        kept = self._current_kept()
        return self._trouble or ("" if kept is None else kept.summary)

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

        The controller has counted up the revision by one for it.
        """
        kept, state = self._kept, self._stack()
        if kept is None or state is None or kept.state is not state:
            return
        before, kept.revision = kept.revision, state.revision
        unchanged = before == state.revision - 1 and kept.current
        running = self.running
        self._job.cancel()
        if state.outdated or not unchanged or not (kept.counts or running):
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
        kept = self._kept
        if kept is not None and all(kept.state is not one for one in self._session):
            # Its image was closed.
            self._forget()

    def _stack(self) -> ImageState | None:
        state = self._session.current
        if state is None or not layers.stack_shape(state.image):
            return None
        return state

    def _current_kept(self) -> _KeptPlanes | None:
        kept = self._kept
        fits = kept is not None and kept.current and kept.state is self._stack()
        return kept if fits else None

    def _keep(self, state: ImageState, result: LiveResult) -> _KeptPlanes:
        self._forget()
        self._trouble = ""
        self._kept = _KeptPlanes(
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

    def _redo(self, kept: _KeptPlanes, *, only_known: bool) -> None:
        """Forget which planes are finished; their plain masks stay known."""
        kept.counts.clear()
        kept.volumes = 0
        kept.state.forget_finished()
        self._start(only_known=only_known)

    def _start(self, *, only_known: bool) -> None:
        state = self._stack()
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
        from napari_dinoprompt.core.segmentation.stack import Stack

        self._all = not only_known
        planes, masks = state.planes, kept.masks
        stack = Stack(
            kept.lengths,
            layers.plane_shape(state.image),
            partial(layers.read_plane, state.image),
        )
        self._begin(
            _find_planes(
                stack,
                reference,
                partial(self._place.shelf.get, self._session.request.backbone),
                self._session.cleaning,
                {at: planes[at].whole for at in planes if not planes[at].large},
                masks,
                {at: found.total for at, found in kept.counts.items()},
                [at for at in stack.indices() if at in masks or not only_known],
            )
        )
        self.changed.emit()

    def _start_volumes(self, kept: _KeptPlanes) -> None:
        kept.volumes = 0
        *lengths, depth = kept.lengths
        z, y, x = (abs(float(step)) for step in kept.state.image.scale[-3:])
        self._begin(
            _number_volumes(
                tuple(lengths),
                partial(kept.masks.volume, depth=depth),
                self._session.cleaning,
                (z, y, x),
                kept.names,
            )
        )
        self.changed.emit()

    def _on_yielded(
        self, said: Progress | FoundPlane | tuple[FinishedVolume, ObjectCounts]
    ) -> None:
        if isinstance(said, Progress):
            super()._on_yielded(said)
            return
        kept = self._current_kept()
        if kept is None:
            self.cancel()
            return
        # A layer that the user had deleted is made again.
        kept.shown_on = None
        if isinstance(said, FoundPlane):
            self._show_plane(kept, said)
        else:
            self._show_volume(kept, *said)
        kept.shown_on = (kept.state.similarity, kept.state.mask)
        self.changed.emit()

    def _show_plane(self, kept: _KeptPlanes, found: FoundPlane) -> None:
        state, result = kept.state, found.result
        colours = None
        if not self._session.cleaning.split:
            all_colours = self._session.colours()
            colours = {name: all_colours[name] for name in kept.names}
        if result is not None:
            # A plane without data may be in view, which shows no class.
            name = self._session.shown_class() or kept.names[0]
            kept.masks.add(found.index, result.mask, result.scores.no_data)
            kind = self._session.map_kind
            self._results.show_similarity(state, result, name, kind)
        self._results.show_finished(state, found.index, found.numbers, colours)
        kept.counts[found.index] = found.counts

    def _show_volume(
        self, kept: _KeptPlanes, found: FinishedVolume, counts: ObjectCounts
    ) -> None:
        kept.volumes += 1
        for z, plane in enumerate(found.instances):
            index = (*found.at, z)
            self._results.show_finished(kept.state, index, plane, None)
            # An object is counted once, wherever it begins.
            kept.counts[index] = counts if z == 0 else ObjectCounts.none(kept.names)

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
