"""Work in the background of which only the latest request counts."""

from __future__ import annotations

import atexit
import logging
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from napari.qt.threading import GeneratorWorker, create_worker
from napari.utils.notifications import notification_manager, show_warning
from qtpy.QtCore import QObject, Qt, Signal

from napari_dinoprompt.core.errors import explain, first_line
from napari_dinoprompt.core.progress import Notice, without_repeats

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari.components import ViewerModel

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.backbones.load import BackboneChoice
    from napari_dinoprompt.session.session import Session


_logger = logging.getLogger(__name__)

# Under napari's event loop this is done when it ends. In a script without one, a worker
# that is left would speak through signals that are gone, and abort the process.
atexit.register(GeneratorWorker.await_workers)


class LatestJob(QObject):
    """Runs one generator at a time; a newer request replaces the one under way.

    What an outdated or cancelled request still says is dropped. `what` is done, as in
    "Comparing", for the message about a bug.
    """

    # What the generator yields, but for notices: napari shows those.
    yielded = Signal(object)
    # What the generator returns.
    returned = Signal(object)
    # The message of an error that the user can do something about, or of a bug.
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None, what: str = "The work") -> None:
        super().__init__(parent)
        # Why a request failed, while that is told.
        self.error: Exception | None = None
        self._what = what
        self._run: _Run | None = None

    @property
    def running(self) -> bool:
        """Whether a request is under way."""
        return self._run is not None

    def start(self, steps: Generator[Any, None, Any]) -> None:
        """Drop what is under way and run a generator in a thread.

        It is stopped at its next yield when it is no longer wanted.
        """
        self.cancel()
        self._run = _Run(self, steps)
        self._run.worker.start()

    def cancel(self) -> None:
        """Drop what is under way; nothing of it will be heard again."""
        if self._run is not None:
            self._run.worker.quit()
            self._run = None

    def hear(self, run: _Run, said: object) -> None:
        """Pass on what a run yields, if it is the latest."""
        if run is not self._run:
            return
        if isinstance(said, Notice):
            show_warning(said.message)
        else:
            self.yielded.emit(said)

    def end(self, run: _Run, result: object) -> None:
        """Pass on what a run returns, if it is the latest."""
        if run is not self._run:
            return
        self._run = None
        if not isinstance(result, _Failure):
            self.returned.emit(result)
            return
        error = self.error = result.error
        reason = explain(error)
        said = first_line(error).rstrip(".")
        bug = f"{self._what} failed: {said}. See the notification."
        self.failed.emit(bug if reason is None else reason)
        # Its traceback would hold all that the work had in memory.
        self.error = None
        if reason is None:
            # Not raised: without napari's own loop Qt would end the program.
            notification_manager.receive_error(type(error), error, error.__traceback__)


class _Run(QObject):
    """One request; it tells its job who is speaking."""

    def __init__(self, job: LatestJob, steps: Generator[Any, None, Any]) -> None:
        super().__init__(job)
        self._job = job
        # Work on many planes would say the same of each.
        self.worker = create_worker(_catching, without_repeats(steps, set()))
        self.worker.yielded.connect(self._on_yielded)
        self.worker.returned.connect(self._on_returned)
        # At once, in its own thread: a connection that it holds is let go.
        self.worker.aborted.connect(steps.close, Qt.ConnectionType.DirectConnection)
        self.worker.finished.connect(self.deleteLater)
        # Also when it goes with its job: nobody would hear it any more.
        self.destroyed.connect(self.worker.quit)

    def _on_yielded(self, said: object) -> None:
        self._job.hear(self, said)

    def _on_returned(self, result: object) -> None:
        self._job.end(self, result)


@dataclass(frozen=True, eq=False)
class _Failure:
    error: Exception


def _catching(steps: Generator[Any, None, Any]) -> Generator[Any, None, Any]:
    """Turn an error into a result: of some, superqt tells nobody that work has ended.

    What would end the program ends the work alone.
    """
    try:
        return (yield from steps)
    except Exception as error:  # noqa: BLE001 (told in `LatestJob.end`)
        return _note(error)
    except BaseException as error:
        if isinstance(error, GeneratorExit) and _is_of_close(error):
            raise
        bug = RuntimeError(f"{type(error).__name__} {error}".rstrip())
        bug.__cause__ = error
        return _note(bug)


def _is_of_close(error: GeneratorExit) -> bool:
    """Tell whether it was raised where it is caught, and not within the work."""
    return error.__traceback__ is None or error.__traceback__.tb_next is None


def _note(error: Exception) -> _Failure:
    """Log a bug here, in the thread: nobody hears of an outdated request."""
    if explain(error) is None:
        _logger.error("A bug ended a job.", exc_info=error)
    return _Failure(error)


class BackboneShelf:
    """Keeps the backbone that was loaded last, for the next image."""

    def __init__(self) -> None:
        # How many transformer blocks each has that was to be loaded.
        self.blocks: dict[str, int | None] = {}
        self._kept: tuple[BackboneChoice, Backbone] | None = None
        self._lock = Lock()

    def get(self, choice: BackboneChoice) -> Backbone:
        """Return a backbone, loaded if it is not the one kept; one at a time."""
        with self._lock:
            if self._kept is not None:
                kept, backbone = self._kept
                # The block of a reference may be the one that was taken unnamed.
                if choice in (kept, kept.fitting(backbone.info)):
                    return backbone
            # Two large backbones need not be in memory at once.
            self._kept = None
            self.count(choice)
            self._kept = (choice, choice.load())
            return self._kept[1]

    def count(self, choice: BackboneChoice) -> None:
        """Count the blocks of a backbone, whether or not its weights are here."""
        if choice.name not in self.blocks:
            self.blocks[choice.name] = choice.count_blocks()


class Work(QObject):
    """What one job does at a time; the latest request wins.

    `what` is done, as in "Comparing", for the message about a bug.
    """

    # Work has begun or ended, or there is another result.
    changed = Signal()
    # Steps done and in all; a total of 0 is unknown.
    progressed = Signal(int, int)

    def __init__(self, parent: QObject, what: str) -> None:
        super().__init__(parent)
        self._job = LatestJob(self, what)
        self._job.yielded.connect(self._on_yielded)
        self._job.returned.connect(self._on_returned)
        self._job.failed.connect(self._on_failed)

    @property
    def running(self) -> bool:
        """Whether a request is under way."""
        return self._job.running

    def _on_yielded(self, said: Any) -> None:
        """Hear how far it is; short work need not say so."""

    def _on_returned(self, found: Any) -> None:
        raise NotImplementedError

    def _on_failed(self, message: str) -> None:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Workplace:
    """What the works of one viewer share."""

    viewer: ViewerModel
    session: Session
    shelf: BackboneShelf


class TabJob(Work):
    """Work of one viewer that a page of the dock shows."""

    def __init__(self, place: Workplace, parent: QObject, what: str) -> None:
        super().__init__(parent, what)
        self._viewer = place.viewer
        self._session = place.session
        self._place = place

    def _begin(self, steps: Generator[Any, None, Any]) -> None:
        """Start; what an earlier request still does is dropped."""
        self._job.start(steps)
        self.progressed.emit(0, 0)

    def _on_yielded(self, said: Any) -> None:
        self.progressed.emit(said.done, said.total)


class Export(QObject):
    """Writes one thing at a time, whole or not at all.

    `what` is written, as in "Tables and figure were written", for the user.
    """

    # Where it was written, or what went wrong.
    said = Signal(str)

    def __init__(self, parent: QObject, what: str = "Written") -> None:
        super().__init__(parent)
        self._what = what
        self._job = LatestJob(self, "Writing")
        self._job.returned.connect(self._on_written)
        self._job.failed.connect(self.said)

    @property
    def running(self) -> bool:
        """Whether something is being written."""
        return self._job.running

    def write(self, steps: Generator[object, None, Path]) -> None:
        """Run a generator that writes, and returns the path to a file or folder."""
        self._job.start(steps)
        self.said.emit("Writing…")

    def _on_written(self, path: Path) -> None:
        self.said.emit(f"{self._what} to {path}.")
