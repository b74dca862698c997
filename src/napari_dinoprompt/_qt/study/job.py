"""The prompt study of the image in view: one part at a time, in a thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.jobs import BackboneShelf, Export, TabJob, Workplace
from napari_dinoprompt.core.prompts import BACKGROUND, PlaneIndex
from napari_dinoprompt.session.session import Phase, Session

from .overlays import StudyOverlays

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from napari.layers import Image, Layer
    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.prompt_study.resolution import Resolution
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation.plane_features import ImageFeatures
    from napari_dinoprompt.session.image_state import (
        FeatureRequest,
        ImageState,
        PromptSnapshot,
    )


_LARGE = (
    "This image is too large to be studied as a whole. Open a part of it as a layer of "
    "its own and study that."
)


class StudyJob(TabJob):
    """One part of the study at a time; the latest request wins."""

    # The user wants a prompt removed, by its row in the layer.
    removal_wanted = Signal(int)

    def __init__(self, place: Workplace, parent: QObject) -> None:
        super().__init__(place, parent, "The study")
        # What was written, or what went wrong.
        self.message = ""
        # Labels of what is really there, if the user has them.
        self.truth: Layer | None = None
        self._truth_edits = 0
        self._overlays = StudyOverlays(place.viewer)
        self._class_name = ""
        self._results: dict[str, StudyResult] = {}
        self._asked: tuple[str, StudyKey] | None = None
        self._again: tuple[str, StudyOptions] | None = None
        self._export = Export(self)
        self._export.said.connect(self._say)
        place.viewer.layers.events.removed.connect(self._on_removed)

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
        return _obstacle(self._session, part, self.class_name)

    def result(self, part: str) -> StudyResult | None:
        """Return what was found last on the current image, if anything."""
        return self._results.get(part)

    def is_current(self, part: str) -> bool:
        """Tell whether a result is of what there is now."""
        return self._current(part) is not None

    @property
    def masks_shown(self) -> bool:
        """Whether the masks of the resolutions are side by side."""
        return self._overlays.masks_shown

    @property
    def can_change(self) -> bool:
        """Whether prompts may be removed: not in a layer of the user's."""
        state = self._session.current
        if state is None or state.prompts is None:
            return False
        return layers.is_ours(state.prompts)

    # --- requests of the tab

    def choose_truth(self, truth: Layer | None) -> None:
        """Take another layer for the truth, or none."""
        if truth is self.truth:
            return
        for one, listen in ((self.truth, False), (truth, True)):
            if one is not None:
                edits = [
                    one.events[name] for name in ("data", "paint") if name in one.events
                ]
                for emitter in edits:
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
            points_only=self._session.points_only,
        )
        read = None if self.truth is None else self.reader(self.truth)
        self._results.pop(part, None)
        self._asked = (part, key)
        self._begin(study(part, key, options, state.planes, self._place.shelf, read))
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

    def remove(self, index: int) -> None:
        """Remove a prompt, by its place in the reference, and ask anew."""
        result = self._current("influence")
        if result is None or not self.can_change:
            return
        row = _row_of(result.key.state, result.key.reference, index)
        if row is not None:
            self._again = ("influence", StudyOptions())
            self.removal_wanted.emit(row)

    def save(self, part: str, path: Path, *, plot: bool) -> None:
        """Write the table or the plot of a part."""
        result = self._results.get(part)
        if result is not None:
            self._export.write(save(result, path, plot=plot))

    def look(self, viewpoint: QObject, part: str) -> None:
        """Note which part a dock has on show; empty if none."""
        self._overlays.look(viewpoint, part)
        self._show()

    def show_masks(self, on: bool) -> None:
        """Put the masks of the resolutions side by side, or show all as before."""
        result = self._current("resolution")
        if on and result is not None:
            key = result.key
            self._overlays.show_masks(key.state.image, key.view, result.found)
        else:
            self._overlays.hide_masks()
        self.changed.emit()

    def reader(self, layer: Layer) -> Callable[[], NDArray[np.generic]]:
        """Return what reads the plane of an image or of labels that is in view."""
        return layers.reader_of(self._viewer, layer)

    # --- what happens elsewhere

    def review(self) -> None:
        """Drop what is of another image, and work that nobody needs any more."""
        state = self._session.current
        self._results = {
            part: result
            for part, result in self._results.items()
            if result.key.state is state
        }
        if self._asked is not None and self._job.running:
            part, key = self._asked
            if not self._holds(part, key):
                self._asked = None
                self._job.cancel()
                self.message = "What was studied has changed: run it again."
        if self._again is not None:
            self._ask_again(*self._again)
        self._show()
        self.changed.emit()

    def follow(self, image: Image) -> None:
        """Keep rings and masks on their image when it is moved."""
        self._overlays.follow(image)

    def _ask_again(self, part: str, options: StudyOptions) -> None:
        if part not in self._results:
            self._again = None
        elif not self.is_current(part) and not self.obstacle(part):
            self.run(part, options)

    def _current(self, part: str) -> StudyResult | None:
        result = self._results.get(part)
        holds = result is not None and self._holds(part, result.key)
        return result if holds else None

    def _holds(self, part: str, key: StudyKey) -> bool:
        """Tell whether all is still the same that a part depends on."""
        session, state = self._session, self._session.current
        if (
            state is not key.state
            or state.planes is not key.planes()
            or state.view != key.view
            or session.request != key.request
            or self.truth is not key.truth
            or (key.truth is not None and self._truth_edits != key.truth_edits)
            or self.class_name != key.class_name
            or session.points_only != key.points_only
            or (part == "threshold" and state.thresholds != key.thresholds)
        ):
            return False
        reference = session.reference()
        if reference is None:
            # What the prompts find is under way.
            return state.snapshot is key.snapshot and state.result is not None
        return (
            reference.classes == key.reference.classes
            and reference.planes == key.reference.planes
            and np.array_equal(reference.points, key.reference.points)
        )

    def _show(self) -> None:
        """Let the viewer show what belongs to the part on show."""
        result = self._current("influence")
        found = None if result is None else result.found
        planes = () if result is None else result.key.reference.planes
        self._overlays.show_rings(self._session.current, found, planes)
        if not self.is_current("resolution"):
            self._overlays.hide_masks()

    def _on_truth_edited(self, _event: object) -> None:
        self._truth_edits += 1
        self.review()

    def _on_removed(self, event: object) -> None:
        if self.truth is not None and event.value is self.truth:  # type: ignore[attr-defined]
            self.choose_truth(None)

    def _on_returned(self, result: StudyResult) -> None:
        self._asked = None
        self._results[result.part] = result
        self._say("")

    def _on_failed(self, message: str) -> None:
        self._say(message)

    def _say(self, message: str) -> None:
        self.message = message
        self._show()
        self.changed.emit()


def _obstacle(session: Session, part: str, class_name: str) -> str:
    """Say what is in the way of a part of the study; empty if nothing."""
    state = session.current
    if state is None:
        return "Open an image and place prompts on it first."
    held = state.view in state.planes
    large = state.result is not None and state.result.large
    if large or (held and state.planes[state.view].large):
        return _LARGE
    if session.phase is Phase.FAILED:
        return session.message
    if session.phase is Phase.STOPPED:
        return "Computing was stopped. Press Compute features in the tab Segment."
    counts = state.counts()
    objects = sum(count for name, count in counts.items() if name != BACKGROUND)
    if objects == 0:
        return "Place prompts on a few objects first, in the tab Segment."
    reference = session.reference()
    if reference is None:
        if state.outdated or session.phase is not Phase.READY:
            return "The result of these prompts is still being computed."
        return session.message or "There is no result to study yet."
    if state.result is not None and state.result.nothing:
        return "This image is blank or nothing but noise: there is nothing to study."
    if part in ("convergence", "influence"):
        count = sum(name == class_name for name in reference.classes)
        if count < 2:
            return "One prompt cannot be compared with others: place at least two."
    return ""


def _row_of(state: ImageState, reference: Reference, index: int) -> int | None:
    """Find a prompt of a reference in the layer of the prompts.

    Prompts outside the image are in the layer, but in no reference.
    """
    if state.prompts is None:
        return None
    pixels = layers.pixel_points(state.prompts, state.image)
    wanted = (*reference.planes[index], *reference.points[index])
    # A plane is the nearest one, so a point may lie between two.
    first = len(wanted) - 2
    apart = np.abs(pixels - wanted)
    between = apart[:, :first].max(axis=1, initial=0) <= 0.5
    exact = apart[:, first:].max(axis=1, initial=0) < 1e-6
    classes = np.array(layers.prompt_classes(state.prompts), dtype=object)
    found = np.flatnonzero(between & exact & (classes == reference.classes[index]))
    return int(found[0]) if len(found) else None


@dataclass(frozen=True, eq=False)
class StudyOptions:
    """What the user chose for a part of the study, beside what is in use."""

    orders: int = 200
    upscales: tuple[float, ...] = (1.0, 2.0, 4.0)
    backbones: tuple[str, ...] = ()
    other_name: str = ""
    # Reads the same field with another number of pixels.
    read_other: Callable[[], ArrayLike] | None = None


@dataclass(frozen=True, eq=False)
class StudyKey:
    """What a result is about."""

    state: ImageState
    # Features take much memory: a result must not keep them.
    planes: ref[ImageFeatures]
    view: PlaneIndex
    request: FeatureRequest
    snapshot: PromptSnapshot | None
    reference: Reference
    # That the user set.
    thresholds: Mapping[str, float]
    truth: Layer | None
    # How often a truth had other pixels.
    truth_edits: int
    class_name: str
    points_only: bool


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a part of the study found, and the (H, W) light of the plane for figures."""

    part: str
    key: StudyKey
    found: Any
    light: NDArray[np.float32]


def study(
    part: str,
    key: StudyKey,
    options: StudyOptions,
    planes: ImageFeatures,
    shelf: BackboneShelf,
    read_truth: Callable[[], ArrayLike] | None,
) -> Generator[Progress | Notice, None, StudyResult]:
    """Do one part of the study."""
    from napari_dinoprompt.core.progress import Progress
    from napari_dinoprompt.core.prompt_study.convergence import iter_convergence
    from napari_dinoprompt.core.prompt_study.influence import iter_influence
    from napari_dinoprompt.core.prompt_study.subject import make_subject
    from napari_dinoprompt.core.prompt_study.threshold import iter_threshold

    yield Progress(0, 0)
    plane, reference = planes[key.view], key.reference
    truth = None if read_truth is None else read_truth()
    steps: Generator[Progress | Notice, None, Any]
    if part == "resolution":
        steps = _try_resolutions(key, options, planes, shelf, truth)
    else:
        subject = make_subject(
            plane.whole,
            reference,
            truth=truth,
            class_name=key.class_name or None,
            plane=key.view,
            lengths=plane.lengths(planes.measures(reference.planes)),
        )
        if part == "convergence":
            steps = iter_convergence(subject, orders=options.orders)
        elif part == "influence":
            steps = iter_influence(subject)
        else:
            steps = iter_threshold(subject)
    found = yield from steps
    return StudyResult(part, key, found, plane.whole.light.cpu().numpy())


def _try_resolutions(
    key: StudyKey,
    options: StudyOptions,
    planes: ImageFeatures,
    shelf: BackboneShelf,
    truth: ArrayLike | None,
) -> Generator[Progress | Notice, None, Resolution]:
    """Try what is in use first, then what the user has ticked."""
    import numpy as np

    from napari_dinoprompt.core.prompt_study.resolution import (
        iter_resolution,
        list_settings,
    )
    from napari_dinoprompt.core.prompts import Prompts

    reference, used = key.reference, key.request.backbone
    prompts = Prompts(reference.points, reference.classes, reference.planes)
    here = [plane == key.view for plane in reference.planes]
    others = {}
    if options.read_other is not None:
        others[options.other_name] = options.read_other()
    image = layers.read_plane(key.state.image, key.view)
    # Not through the shelf, which would let go of the one in use.
    rest = [
        replace(used, name=name, checkpoint=None).load()
        for name in options.backbones
        if name != used.name
    ]
    return (
        yield from iter_resolution(
            image,
            prompts.keep(np.array(here)),
            list_settings(
                [shelf.get(used), *rest], (key.request.upscale, *options.upscales)
            ),
            window=planes[key.view].whole.window,
            truth=truth,
            class_name=key.class_name or None,
            others=others,
            points_only=key.points_only,
        )
    )


def save(result: StudyResult, path: Path, *, plot: bool) -> Generator[None, None, Path]:
    """Write the table of a part, or its plot: those that `Study.save` writes."""
    from napari_dinoprompt.core.comparison.figure import render
    from napari_dinoprompt.core.io.atomic import as_csv, write_bytes
    from napari_dinoprompt.core.prompt_study.figures import draw_figure

    yield
    if plot:
        figure = draw_figure(result.part, result.found, result.light)
        content = render(figure, path.suffix.lstrip(".").lower())
    else:
        content = as_csv(result.found.rows())
    return write_bytes(path, content)
