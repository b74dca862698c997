"""From prompts and features to the layers that show the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt import steps
from napari_dinoprompt._qt.jobs import LatestJob
from napari_dinoprompt._qt.large_scoring import LargeScoring
from napari_dinoprompt._qt.prompt_layer import usable_prompts
from napari_dinoprompt.core.masks import Cleaning
from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.session import Phase, is_large, is_live

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_dinoprompt._qt.prompt_layer import PromptLayer
    from napari_dinoprompt._qt.result_layers import ResultLayers
    from napari_dinoprompt.core.live import LiveResult
    from napari_dinoprompt.core.streaming.live import LargeResult
    from napari_dinoprompt.session import ImageState, Session

__all__ = ["Scoring"]

_CLEANING_DELAY_MS = 120


class Scoring(QObject):
    """Scores the plane in view, cuts it, and cleans the mask when the user pauses."""

    changed = Signal()
    """There is another result, or none, or a message."""
    progressed = Signal(int, int)
    """Regions of a large plane, done and in all; a total of 0 is unknown."""

    def __init__(
        self,
        session: Session,
        prompts: PromptLayer,
        results: ResultLayers,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._prompts = prompts
        self._results = results
        self._scores = LatestJob(self, "Finding the objects")
        self._scores.returned.connect(self._on_result)
        self._scores.failed.connect(self._on_failed)
        self._cleaned = LatestJob(self, "Cleaning")
        self._cleaned.returned.connect(self._on_cleaned)
        self._cleaned.failed.connect(self._on_cleaning_failed)
        self._large = LargeScoring(session, results, self)
        self._large.began.connect(self._on_large)
        self._large.failed.connect(self._on_failed)
        self._large.changed.connect(self.changed)
        self._large.progressed.connect(self.progressed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_CLEANING_DELAY_MS)
        self._timer.timeout.connect(self._clean)

    @property
    def running(self) -> bool:
        """Whether anything is being scored or cleaned, or about to be."""
        return (
            self._scores.running
            or self._cleaned.running
            or self._timer.isActive()
            or self._large.running
        )

    @property
    def filling(self) -> bool:
        """Whether the regions of a large plane are being scored or cleaned."""
        return self._large.running

    def stop(self) -> None:
        """Drop all work under way."""
        self._large.stop()
        self._scores.cancel()
        self._cleaned.cancel()
        self._timer.stop()

    def score(self) -> None:
        """Find what the prompts find in the plane in view."""
        state = self._session.current
        if state is None or self._session.phase is not Phase.READY:
            return
        self._cleaned.cancel()
        self._timer.stop()
        self._large.stop()
        prompts, left_out = usable_prompts(state)
        empty = state.view in state.planes.empty
        if empty:
            self._session.message = "This plane holds nothing but NaN or infinity."
        elif left_out:
            self._session.message = _left_out(left_out)
        if all(name == BACKGROUND for name in prompts.classes):
            self._scores.cancel()
            self._blank(state)
            return
        if empty:
            # What was found on the other planes is as good as before.
            self._scores.cancel()
            state.drop_result()
            self._results.drop_stale(state)
            return
        state.await_result()
        if state.planes[state.view].large:
            self._scores.cancel()
            looked_at = self._results.looked_at(state.image)
            self._large.start(state, prompts, looked_at)
            return
        self._scores.start(
            steps.score_prompts(
                state.planes,
                prompts,
                state.view,
                dict(state.thresholds),
                state.image.name,
                layers.pixel_size(state.image),
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

    def cut_anew(self) -> None:
        """Make the mask from the similarities again, for the plane in view."""
        state = self._session.current
        if state is None:
            return
        state.invalidate()
        if state.outdated:
            # Only scoring anew knows what is under way and would be replaced.
            self.score()
        elif is_large(state.result):
            self._large.cut_anew(state, state.result)
        elif is_live(state.result) and self._session.phase is Phase.READY:
            self._cleaned.cancel()
            self._scores.start(steps.rethreshold(state.result, dict(state.thresholds)))

    def show_similarity(self) -> None:
        """Show the map of the selected class."""
        state, name = self._session.current, self._session.shown_class()
        if state is None or state.result is None or name is None:
            return
        if is_large(state.result):
            self._results.show_large(state, state.result, name)
        elif is_live(state.result):
            self._results.show_similarity(state, state.result, name)

    def _on_result(self, result: LiveResult) -> None:
        state = self._session.current
        assert state is not None
        self._take(state, result)
        self._show_mask(state, result)
        self.changed.emit()

    def _on_large(self, result: LargeResult) -> None:
        state = self._session.current
        assert state is not None
        self._take(state, result)
        self.changed.emit()

    def _take(self, state: ImageState, result: LiveResult | LargeResult) -> None:
        """Go on with a result, and show its map."""
        state.take_result(result)
        if state.snapshot is not None:
            layers.remember_reference(
                state.prompts,
                state.snapshot.points,
                state.snapshot.classes,
                result.reference,
            )
        self._results.drop_stale(state)
        self.show_similarity()

    def _on_failed(self, message: str) -> None:
        state = self._session.current
        assert state is not None
        # The old mask must not pass for that of the new prompts.
        self._blank(state)
        self._session.message = message
        self.changed.emit()

    def _show_mask(self, state: ImageState, result: LiveResult) -> None:
        """Show the plain mask at once; cleaning follows when the user pauses."""
        self._cleaned.cancel()
        self._results.show_mask(
            state, result.plane, result.mask, self._colours_of(result.names)
        )
        if self._session.cleaning != Cleaning():
            self._timer.start()

    def _clean(self) -> None:
        state = self._session.current
        if state is not None and is_live(state.result):
            self._cleaned.start(
                steps.clean(
                    state.result.mask,
                    self._session.cleaning,
                    state.result.similarities.no_data,
                )
            )

    def _on_cleaned(self, cleaned: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> None:
        state = self._session.current
        if state is None or state.result is None:
            return
        mask, instances = cleaned
        plane = state.result.plane
        if self._session.cleaning.split:
            self._results.show_instances(state, plane, instances)
        else:
            colours = self._colours_of(state.result.names)
            self._results.show_mask(state, plane, mask, colours)

    def _on_cleaning_failed(self, message: str) -> None:
        self._session.message = message
        self.changed.emit()

    def _blank(self, state: ImageState) -> None:
        state.drop_result()
        state.invalidate()
        self._results.drop_stale(state)

    def _colours_of(self, names: Sequence[str]) -> list[str]:
        colours = self._session.colours()
        return [colours[name] for name in names]


def _left_out(count: int) -> str:
    prompts = "1 prompt lies" if count == 1 else f"{count} prompts lie"
    return f"{prompts} outside the image or on pixels without data and do not count."
