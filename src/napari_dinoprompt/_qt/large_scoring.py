"""Scoring an image that is too large to hold: results fill in, nearest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt import steps
from napari_dinoprompt._qt.jobs import LatestJob
from napari_dinoprompt.core.masks import Cleaning
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.session import is_large

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt._qt.result_layers import ResultLayers
    from napari_dinoprompt.core.prompts import Prompts
    from napari_dinoprompt.core.streaming.live import LargeResult
    from napari_dinoprompt.session import ImageState, Session

__all__ = ["LargeScoring"]

# How often the layers are drawn anew while regions come in.
_REFRESH_MS = 400
_CLEANING_DELAY_MS = 300


class LargeScoring(QObject):
    """Scores a large plane region by region; the latest request wins."""

    changed = Signal()
    """Work has begun or ended, or there is another result."""
    began = Signal(object)
    """The `LargeResult` that fills from now on."""
    progressed = Signal(int, int)
    """Regions done and in all; a total of 0 is unknown."""
    failed = Signal(str)
    """What went wrong."""

    def __init__(
        self, session: Session, results: ResultLayers, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._results = results
        self._complete = False
        self._job = LatestJob(self, "Finding the objects")
        self._job.yielded.connect(self._on_yielded)
        self._job.returned.connect(self._on_returned)
        self._job.failed.connect(self.failed)
        self._cleaned = LatestJob(self, "Cleaning")
        self._cleaned.yielded.connect(self._on_cleaning)
        self._cleaned.returned.connect(self._on_cleaned)
        self._cleaned.failed.connect(self._on_cleaning_failed)
        self._refresh = QTimer(self)
        self._refresh.setSingleShot(True)
        self._refresh.setInterval(_REFRESH_MS)
        self._refresh.timeout.connect(self._draw)
        self._clean_timer = QTimer(self)
        self._clean_timer.setSingleShot(True)
        self._clean_timer.setInterval(_CLEANING_DELAY_MS)
        self._clean_timer.timeout.connect(self._clean)

    @property
    def running(self) -> bool:
        """Whether regions are being scored or cleaned, or about to be."""
        return (
            self._job.running
            or self._cleaned.running
            or self._clean_timer.isActive()
            or self._refresh.isActive()
        )

    def stop(self) -> None:
        """Drop all work under way; what was found stays."""
        self._job.cancel()
        self._cleaned.cancel()
        self._refresh.stop()
        self._clean_timer.stop()

    def start(
        self, state: ImageState, prompts: Prompts, looked_at: NDArray[np.float64]
    ) -> None:
        """Score the plane in view.

        Parameters
        ----------
        state : ImageState
        prompts : Prompts
        looked_at : (1, 2) ndarray of float64
            The middle of what the viewer shows, y and x in pixels.
        """
        self.stop()
        self._complete = False
        here = np.array([plane == state.view for plane in prompts.planes], dtype=bool)
        self._job.start(
            steps.score_large(
                state.planes,
                prompts,
                state.view,
                dict(state.thresholds),
                np.concatenate((looked_at, prompts.points[here])),
                state.image.name,
                layers.pixel_size(state.image),
            )
        )
        self.progressed.emit(0, 0)
        self.changed.emit()

    def cut_anew(self, state: ImageState, result: LargeResult) -> None:
        """Apply other thresholds; the similarities stay, or go on filling."""
        self._cleaned.cancel()
        self._show_mask(state, result.cut(state.thresholds))
        self.changed.emit()
        if self._complete:
            self._clean_timer.start()

    def _show_mask(self, state: ImageState, result: LargeResult) -> None:
        state.take_thresholds(result)
        self._results.show_large_mask(
            state, result, result.store.masks(result.thresholds), self._colours(result)
        )

    def _colours(self, result: LargeResult) -> list[str]:
        colours = self._session.colours()
        return [colours[name] for name in result.names]

    def _on_yielded(self, said: Progress | LargeResult) -> None:
        state = self._session.current
        assert state is not None
        if not isinstance(said, Progress):
            # Thresholds may have been moved since the work began.
            result = said.cut(state.thresholds)
            self.began.emit(result)
            self._show_mask(state, result)
        else:
            self.progressed.emit(said.done, said.total)
            if said.done and said.total and not self._refresh.isActive():
                self._refresh.start()
                if said.done == 1:
                    self._draw()

    def _draw(self) -> None:
        state = self._session.current
        if state is None:
            return
        for layer in (state.similarity, state.mask):
            if layer is not None and layer.visible:
                layer.refresh(thumbnail=False, extent=False)

    def _on_returned(self, _nothing: object) -> None:
        self._complete = True
        self._draw()
        if self._session.cleaning != Cleaning():
            self._clean_timer.start()
        self.changed.emit()

    def _clean(self) -> None:
        state = self._session.current
        if state is None or not is_large(state.result):
            return
        cleaning = self._session.cleaning
        if cleaning != Cleaning():
            self._cleaned.start(steps.clean_large(state.result, cleaning))
        self.changed.emit()

    def _on_cleaning(self, said: Progress) -> None:
        self.progressed.emit(said.done, said.total)

    def _on_cleaned(self, cleaned: tuple[list[Any], list[Any]]) -> None:
        state = self._session.current
        if state is None or not is_large(state.result):
            return
        result = state.result
        masks, instances = cleaned
        split = self._session.cleaning.split
        self._results.show_large_mask(
            state,
            result,
            instances if split else masks,
            None if split else self._colours(result),
        )
        self.changed.emit()

    def _on_cleaning_failed(self, message: str) -> None:
        self._session.message = message
        self.changed.emit()
