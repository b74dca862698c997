"""Jobs in processes of their own, whose memory is watched from outside."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

from napari_dinoprompt.core.errors import DinopromptError

if TYPE_CHECKING:
    from collections.abc import Mapping


_EVERY = 0.02
_WORKER = Path(__file__).parents[1] / "speed_worker.py"


class JobError(DinopromptError):
    """A job in a process of its own has failed."""


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes
    ----------
    figures : dict
        What the job measured itself.
    peak : int
        Most anonymous memory, in bytes, of the whole process.
    """

    figures: dict[str, Any]
    peak: int


def anonymous_bytes(process: int | str = "self") -> int:
    """Return the anonymous resident memory of a process: without files and caches.

    Parameters
    ----------
    process : int or "self"

    Returns
    -------
    int
        In bytes; 0 if the process is gone.

    Raises
    ------
    JobError
        Where there is no /proc, as only Linux has it.
    """
    if not Path("/proc/self/status").exists():
        msg = "Memory is measured on Linux only: leave out 'memory' and 'large'."
        raise JobError(msg)
    try:
        text = Path(f"/proc/{process}/status").read_text("utf-8")
    except OSError:
        return 0
    lines = [line for line in text.splitlines() if line.startswith("RssAnon")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def run_job(name: str, arguments: Mapping[str, object]) -> Outcome:
    """Run a job of `speed_worker.py` and watch its memory.

    Parameters
    ----------
    name : str
    arguments : mapping of str to object
        Simple values.

    Returns
    -------
    Outcome

    Raises
    ------
    JobError
        If it fails; its last words are in the message.
    """
    anonymous_bytes()
    job = json.dumps({"name": name, "arguments": dict(arguments)})
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        running = subprocess.Popen(
            [sys.executable, str(_WORKER), job], stdout=said, stderr=errors
        )
        peak = 0
        while running.poll() is None:
            peak = max(peak, anonymous_bytes(running.pid))
            sleep(_EVERY)
        said.seek(0)
        errors.seek(0)
        lines = said.read().splitlines()
        if running.returncode or not lines:
            msg = f"The job {name} has failed: {errors.read()[-600:]}"
            raise JobError(msg)
    return Outcome(json.loads(lines[-1]), peak)
