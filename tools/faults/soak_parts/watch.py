"""What is measured meanwhile: stalls of the window, memory, threads, layers, files."""

from __future__ import annotations

import gc
import os
import sys
import threading
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable


_TICK_MS = 10
_LONG_S = 0.5


@dataclass(frozen=True)
class Reading:
    """The process at one moment.

    Attributes
    ----------
    seconds : float
        Since the session began.
    megabytes : float
        Resident memory that is the process's own: without mapped files.
    threads : int
        All of them, those of Qt and torch too.
    python_threads : int
    widgets : int
        Widgets alive, shown or not.
    files : int
        Open file descriptors.
    """

    seconds: float
    megabytes: float
    threads: int
    python_threads: int
    widgets: int
    files: int


def read_process(seconds: float) -> Reading:
    """Read the process's figures, after garbage has been collected."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return Reading(
        seconds,
        int(fields["RssAnon"].split()[0]) / 1000,
        int(fields["Threads"]),
        threading.active_count(),
        len(QApplication.allWidgets()),
        len(os.listdir("/proc/self/fd")),
    )


@dataclass
class Stall:
    """A time in which the window did not answer."""

    seconds: float
    act: str
    where: str


@dataclass
class StallWatch:
    """Ticks in the window's own thread; a thread beside it looks what it is at.

    Attributes
    ----------
    act : callable
        Returns the name of what the user has done last.
    stalls : list of Stall
        Those longer than half a second.
    longest : float
        In seconds, of all gaps between two ticks.
    """

    act: Callable[[], str]
    stalls: list[Stall] = field(default_factory=list)
    longest: float = 0.0
    paused: bool = False

    def __post_init__(self) -> None:
        self._main = threading.main_thread().ident
        self._last = monotonic()
        self._where = ""
        self._over = threading.Event()
        self._timer = QTimer()
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._timer.stop()
        self._over.set()
        self._thread.join()

    def resume(self) -> None:
        """Go on after a time that does not count."""
        self._last = monotonic()
        self.paused = False

    def _tick(self) -> None:
        gap = monotonic() - self._last
        self._last = monotonic()
        if self.paused:
            return
        self.longest = max(self.longest, gap)
        if gap > _LONG_S:
            self.stalls.append(Stall(gap, self.act(), self._where))
        self._where = ""

    def _look(self) -> None:
        """Note where the window's thread is when it is late."""
        while not self._over.wait(0.05):
            late = monotonic() - self._last
            if late > _LONG_S / 2 and not self._where and self._main is not None:
                frame = sys._current_frames().get(self._main)
                if frame is not None:
                    self._where = _innermost(frame)


def _innermost(frame: object) -> str:
    """Name the calls that lead there: the last of ours, and the last of all."""
    calls = traceback.extract_stack(frame)  # type: ignore[arg-type]
    own = [call for call in calls if "napari_dinoprompt" in call.filename]
    shown = [*own[-1:], *calls[-1:]]
    return " < ".join(
        f"{Path(call.filename).name}:{call.lineno} {call.name}"
        for call in reversed(shown)
    )
