"""From prompts and features to the layers that show the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.events import later
from napari_dinoprompt._qt.common.jobs import LatestJob
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.session.session import Phase, Session

from .prompt_layer import usable_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from napari_dinoprompt.core.objects.counts import ObjectCounts
    from napari_dinoprompt.core.segmentation.interactive import LiveResult
    from napari_dinoprompt.core.segmentation.similarities import Cleaned, MapKind
    from napari_dinoprompt.session.image_state import ImageState

    from .result_layers import ResultLayers


_CLEANING_DELAY_MS = 120
# How often the layers are drawn anew while the regions of a large plane come in.
_REFRESH_MS = 400


class Scoring(QObject):
    """Scores the plane in view, cuts it, and cleans the mask when the user pauses.

    A large plane fills region by region, nearest first. The latest request wins.
    """

    # Work has ended, or there is another result, or none, or a message.
    changed = Signal()
    # Regions of a large plane, done and in all; a total of 0 is unknown.
    progressed = Signal(int, int)

    def __init__(
        self, session: Session, results: ResultLayers, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._results = results
        self._large = False
        self._scores = LatestJob(self, "Finding the objects")
        self._scores.yielded.connect(self._on_scored)
        self._scores.returned.connect(self._on_complete)
        self._scores.failed.connect(self._on_failed)
        self._cuts = LatestJob(self, "Finding the objects")
        self._cuts.returned.connect(self._on_result)
        self._cuts.failed.connect(self._on_failed)
        self._cleaned = LatestJob(self, "Cleaning")
        self._cleaned.yielded.connect(self._on_progress)
        self._cleaned.returned.connect(self._on_cleaned)
        self._cleaned.failed.connect(self._on_cleaning_failed)
        self._pause = later(self, _CLEANING_DELAY_MS, self._clean)
        self._refresh = later(self, _REFRESH_MS, self._draw)
        self._jobs = (self._scores, self._cuts, self._cleaned)
        self._timers = (self._pause, self._refresh)

    @property
    def running(self) -> bool:
        """Whether anything is being scored or cleaned, or about to be."""
        return any(job.running for job in self._jobs) or any(
            timer.isActive() for timer in self._timers
        )

    @property
    def filling(self) -> bool:
        """Whether the regions of a large plane are being scored or cleaned."""
        return self._large and self.running

    def stop(self) -> None:
        """Drop all work under way; what was found stays."""
        for job in self._jobs:
            job.cancel()
        for timer in self._timers:
            timer.stop()

    def score(self) -> None:
        """Find what the prompts find in the plane in view."""
        state = self._session.current
        if state is None or self._session.phase is not Phase.READY:
            return
        self.stop()
        prompts, left_out = usable_prompts(state)
        empty = state.view in state.planes.empty
        if empty:
            self._session.message = "This plane holds nothing but NaN or infinity."
        elif left_out:
            self._session.message = _left_out(left_out)
        if all(name == BACKGROUND for name in prompts.classes):
            self._blank(state)
            return
        if empty:
            # What was found on the other planes is as good as before.
            state.drop_result()
            self._results.drop_stale(state)
            return
        # Not before there are features: torch comes with it.
        from napari_dinoprompt.core.segmentation.interactive import score_prompts

        state.await_result()
        self._large = state.planes[state.view].large
        self._on_progress(Progress(0, 0))
        here = np.array([plane == state.view for plane in prompts.planes], dtype=bool)
        looked_at = self._results.looked_at(state.image)
        self._scores.start(
            score_prompts(
                state.planes,
                prompts,
                state.view,
                dict(state.thresholds),
                np.concatenate((looked_at, prompts.points[here])),
                source=state.image.name,
                points_only=self._session.points_only,
                pixel_size=layers.pixel_size(state.image),
                kind=self._session.map_kind,
            )
        )

    def choose_threshold(self, value: float | None) -> None:
        """Set the threshold of the class on the slider; None is auto."""
        state = self._session.current
        if state is None:
            return
        name = self._session.threshold_class()
        if value is None:
            state.thresholds.pop(name, None)
        else:
            state.thresholds[name] = value
        layers.remember_thresholds(state.prompts, state.backbone, state.thresholds)
        self.cut_anew()

    def fit_threshold(self) -> None:
        """Cut where the clicked objects of the class are parted best."""
        state, name = self._session.current, self._session.threshold_class()
        if state is not None and state.result is not None:
            self.choose_threshold(state.result.fitted_threshold(name))

    def choose_points_only(self, points_only: bool) -> None:
        """Have prompts stand for their points alone, or for objects."""
        if points_only == self._session.points_only:
            return
        self._session.points_only = points_only
        for state in self._session:
            state.invalidate()
        self.score()

    def choose_map(self, kind: MapKind) -> None:
        """Show the map that is cut, or the plain one."""
        self._session.map_kind = kind
        if self._large:
            # It is there as far as the regions are, and goes on coming in.
            self.show_similarity()
        else:
            self.score()

    def cut_anew(self) -> None:
        """Make the mask from the similarities again, for the plane in view."""
        state = self._session.current
        if state is None:
            return
        state.invalidate()
        if state.outdated or state.result is None:
            # Only scoring anew knows what is under way and would be replaced; after an
            # error there is no result.
            self.score()
        elif self._session.phase is Phase.READY:
            self._pause.stop()
            self._cleaned.cancel()
            self._cuts.start(state.result.iter_cut(dict(state.thresholds)))

    def show_similarity(self) -> None:
        """Show the map of the selected class."""
        state, name = self._session.current, self._session.shown_class()
        if state is not None and state.result is not None and name is not None:
            kind = self._session.map_kind
            self._results.show_similarity(state, state.result, name, kind)

    def _on_scored(self, said: Progress | LiveResult) -> None:
        if not isinstance(said, Progress):
            self._on_result(said)
            return
        self._on_progress(said)
        if said.done and said.total and not self._refresh.isActive():
            self._refresh.start()
            if said.done == 1:
                self._draw()

    def _on_progress(self, said: Progress) -> None:
        if self._large:
            self.progressed.emit(said.done, said.total)

    def _on_result(self, result: LiveResult) -> None:
        """Go on with a result: its map and plain mask; cleaning follows a pause."""
        state = self._session.current
        assert state is not None
        before = state.result
        state.take_result(result)
        if state.snapshot is not None:
            layers.remember_reference(
                state.prompts,
                state.snapshot.points,
                state.snapshot.classes,
                result.reference,
            )
        self._results.drop_stale(state)
        known = before is not None and before.scores is result.scores
        if not (self._large and known) or state.similarity is None:
            self.show_similarity()
        self._cleaned.cancel()
        self._show_mask(state, result, result.masks)
        self._clean_soon(result)
        self.changed.emit()

    def _on_complete(self, _nothing: object) -> None:
        state = self._session.current
        if self._large and state is not None and state.result is not None:
            self._refresh.stop()
            self._draw()
            self._clean_soon(state.result)
            self.changed.emit()

    def _on_failed(self, message: str) -> None:
        state = self._session.current
        assert state is not None
        # The old mask must not pass for that of the new prompts.
        self._blank(state)
        self._session.message = message
        self.changed.emit()

    def _draw(self) -> None:
        """Show the regions that have come in."""
        state = self._session.current
        if state is None:
            return
        for layer in (state.similarity, state.mask):
            if layer is not None and layer.visible:
                layer.refresh(thumbnail=False, extent=False)

    def _show_mask(
        self, state: ImageState, result: LiveResult, levels: Sequence[Any]
    ) -> None:
        colours = self._session.colours()
        self._results.show_mask(
            state, result.plane, levels, {name: colours[name] for name in result.names}
        )

    def _clean_soon(self, result: LiveResult) -> None:
        if result.scores.complete:
            self._pause.start()

    def _clean(self) -> None:
        state = self._session.current
        if state is not None and state.result is not None:
            self._cleaned.start(state.result.iter_clean(self._session.cleaning))

    def _on_cleaned(self, found: tuple[Cleaned, ObjectCounts]) -> None:
        state = self._session.current
        if state is None or state.result is None:
            return
        (masks, instances), state.found_counts = found
        if self._session.cleaning.split:
            self._results.show_mask(state, state.result.plane, instances, None)
        elif self._session.cleaning != Cleaning():
            self._show_mask(state, state.result, masks)
        self.changed.emit()

    def _on_cleaning_failed(self, message: str) -> None:
        self._session.message = message
        self.changed.emit()

    def _blank(self, state: ImageState) -> None:
        state.drop_result()
        state.invalidate()
        self._results.drop_stale(state)


def _left_out(count: int) -> str:
    prompts = "1 prompt lies" if count == 1 else f"{count} prompts lie"
    return f"{prompts} outside the image or on pixels without data and do not count."
