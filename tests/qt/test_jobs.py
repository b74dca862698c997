"""Work in the background: only the latest request is heard."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_dinoprompt._qt.common.jobs import LatestJob
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.progress import Notice

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from pytestqt.qtbot import QtBot


class Heard:
    """All that a job says, in order."""

    def __init__(self, job: LatestJob) -> None:
        self.said: list[object] = []
        job.yielded.connect(lambda value: self.said.append(("yielded", value)))
        job.returned.connect(lambda value: self.said.append(("returned", value)))
        job.failed.connect(lambda text: self.said.append(("failed", text)))


@pytest.fixture
def job(qtbot: QtBot) -> Iterator[LatestJob]:
    job = LatestJob()
    yield job
    job.cancel()
    job.deleteLater()


@pytest.fixture
def heard(job: LatestJob) -> Heard:
    return Heard(job)


def steps(name: str, count: int = 2) -> Generator[str, None, str]:
    for number in range(count):
        yield f"{name}{number}"
    return name


def waiting(
    name: str, gate: threading.Event, reached: list[str]
) -> Generator[str, None, str]:
    for number in range(3):
        reached.append(f"{name}{number}")
        yield f"{name}{number}"
        assert gate.wait(20)
    return name


def test_what_a_job_yields_and_returns_is_heard(qtbot, job, heard) -> None:
    job.start(steps("a"))
    assert job.running
    qtbot.waitUntil(lambda: not job.running)
    assert heard.said == [("yielded", "a0"), ("yielded", "a1"), ("returned", "a")]


def test_a_notice_is_given_once_a_run(qtbot, job) -> None:
    """As of a stack, where each plane has the same to say."""

    def notices() -> Generator[Notice, None, None]:
        for text in ("dark", "dark", "full", "dark"):
            yield Notice(text)

    notification_manager.records.clear()
    for _ in range(2):
        job.start(notices())
        qtbot.waitUntil(lambda: not job.running)
    said = [record.message for record in notification_manager.records]
    notification_manager.records.clear()
    assert said == ["dark", "full"] * 2


def test_outdated_job_is_not_heard(qtbot, job, heard, idle) -> None:
    gate, reached = threading.Event(), []
    job.start(waiting("old", gate, reached))
    qtbot.waitUntil(lambda: bool(reached))
    heard.said.clear()
    job.start(steps("new"))
    qtbot.waitUntil(lambda: not job.running)
    gate.set()
    idle()
    assert heard.said[-1] == ("returned", "new")
    assert not [said for said in heard.said if "old" in str(said)]


def test_many_requests_only_the_last_returns(qtbot, job, heard, idle) -> None:
    for number in range(20):
        job.start(steps(f"{number}-"))
    qtbot.waitUntil(lambda: not job.running)
    idle()
    assert [said for said in heard.said if said[0] == "returned"] == [
        ("returned", "19-")
    ]


def test_cancel_stops_at_the_next_yield(qtbot, job, heard, idle) -> None:
    gate, reached = threading.Event(), []
    job.start(waiting("a", gate, reached))
    qtbot.waitUntil(lambda: heard.said == [("yielded", "a0")])
    job.cancel()
    assert not job.running
    gate.set()
    idle()
    assert len(reached) < 3
    assert heard.said == [("yielded", "a0")]


def test_cancelled_job_runs_its_finally(qtbot, job, idle) -> None:
    gate, closed = threading.Event(), threading.Event()

    def careful() -> Generator[None, None, None]:
        try:
            while True:
                yield
                assert gate.wait(20)
        finally:
            closed.set()

    job.start(careful())
    with qtbot.waitSignal(job.yielded):
        pass
    job.cancel()
    gate.set()
    idle()
    qtbot.waitUntil(closed.is_set)


def test_error_for_the_user_is_a_message(qtbot, job, heard) -> None:
    def failing() -> Generator[None, None, None]:
        yield
        raise InputError("The image is empty.")

    job.start(failing())
    qtbot.waitUntil(lambda: not job.running)
    assert heard.said[-1] == ("failed", "The image is empty.")


def test_missing_memory_is_a_message(qtbot, job, heard) -> None:
    def failing() -> Generator[None, None, None]:
        yield
        raise MemoryError

    job.start(failing())
    qtbot.waitUntil(lambda: not job.running)
    kind, message = heard.said[-1]
    assert kind == "failed"
    assert message.startswith("There is not enough memory.")


@pytest.mark.parametrize(
    "bug",
    [
        ZeroDivisionError("a bug"),
        RuntimeError("a bug"),
        NotImplementedError("a bug"),
        SystemExit("a bug"),
        KeyboardInterrupt("a bug"),
        GeneratorExit("a bug"),
    ],
    ids=lambda bug: type(bug).__name__,
)
def test_a_bug_is_shown_by_napari_and_ends_the_job(
    qtbot, job, heard, caplog, bug
) -> None:
    """Whatever its class: superqt swallows a RuntimeError, and says nothing more."""

    def broken() -> Generator[None, None, None]:
        yield
        raise bug

    with notification_manager:
        count = len(notification_manager.records)
        job.start(broken())
        qtbot.waitUntil(lambda: len(notification_manager.records) > count)
        (shown,) = notification_manager.records[count:]
    assert bug in (shown.exception, shown.exception.__cause__)
    assert "in broken" in caplog.text
    kind, message = heard.said[-1]
    assert kind == "failed"
    assert message.startswith("The work failed: ")
    assert message.endswith("a bug. See the notification.")
    job.start(steps("a"))
    qtbot.waitUntil(lambda: not job.running)
    assert heard.said[-1] == ("returned", "a")


def test_a_bug_of_an_outdated_job_is_in_the_log(
    qtbot, job, heard, idle, caplog
) -> None:
    gate, reached = threading.Event(), threading.Event()

    def broken() -> Generator[None, None, None]:
        yield
        reached.set()
        assert gate.wait(20)
        raise RuntimeError("a bug")

    job.start(broken())
    qtbot.waitUntil(reached.is_set)
    job.start(steps("new"))
    gate.set()
    idle()
    assert heard.said[-1] == ("returned", "new")
    assert "in broken" in caplog.text


def test_a_failed_job_holds_nothing_in_memory(qtbot, job, heard, idle) -> None:
    """The next attempt may need it."""
    held: list[weakref.ref[object]] = []

    def failing() -> Generator[None, None, None]:
        large = np.zeros(9)
        held.append(weakref.ref(large))
        yield
        raise MemoryError

    job.start(failing())
    qtbot.waitUntil(lambda: not job.running)
    idle()
    gc.collect()
    assert held[0]() is None
    assert heard.said[-1][0] == "failed"


def test_job_after_a_failed_one(qtbot, job, heard) -> None:
    def failing() -> Generator[None, None, None]:
        yield
        raise InputError("no")

    job.start(failing())
    qtbot.waitUntil(lambda: not job.running)
    job.start(steps("a"))
    qtbot.waitUntil(lambda: not job.running)
    assert heard.said[-1] == ("returned", "a")


def test_deleted_job_stops_its_work(qtbot, idle) -> None:
    gate, reached = threading.Event(), []
    job = LatestJob()
    job.start(waiting("a", gate, reached))
    qtbot.waitUntil(lambda: bool(reached))
    job.deleteLater()
    del job
    qtbot.wait(5)
    gate.set()
    idle()
    assert len(reached) < 3


def run_script(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


SCRIPT = """
import time
from qtpy.QtWidgets import QApplication
from napari_dinoprompt._qt.common.jobs import LatestJob

def steps():
    yield
    time.sleep(0.6)
    yield

app = QApplication([])
job = LatestJob()
job.start(steps())
time.sleep(0.1)
print("the end of the script", flush=True)
"""


def test_a_script_that_ends_while_a_job_is_at_work_ends_well() -> None:
    """Without any event loop, which would wait for it."""
    done = run_script(SCRIPT)
    assert done.stdout.strip() == "the end of the script"
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


BROKEN_SCRIPT = """
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from napari_dinoprompt._qt.common.jobs import LatestJob

def steps():
    yield
    raise RuntimeError("a bug")

app = QApplication([])
job = LatestJob()
job.failed.connect(lambda message: QTimer.singleShot(0, app.quit))
job.start(steps())
app.exec()
print("the end of the script", flush=True)
"""


def test_a_bug_does_not_end_a_program_with_a_loop_of_its_own() -> None:
    """PyQt aborts it after an error in a slot, where napari has not seen to that."""
    done = run_script(BROKEN_SCRIPT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "the end of the script"
    assert "in steps" in done.stderr
