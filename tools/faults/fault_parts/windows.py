"""Programs that open windows, on displays that nobody sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fault_parts.commander import Said, calm_environment

_HERE = Path(__file__).parent
_LONGEST_S = 1500.0
# What Mesa and Qt say about a display without a graphics card.
_IDLE_TALK = (
    "libEGL",
    "MESA",
    "libGL",
    "QStandardPaths",
    "xkbcommon",
    "dbind",
    "propagateSizeHints",
)


@dataclass(frozen=True)
class Shown:
    """How a program with a window ended.

    Attributes
    ----------
    said : Said
    lines : list of dict
        What it printed.
    ended : float
        When, in seconds since 1970.
    """

    said: Said
    lines: list[dict[str, Any]]
    ended: float


def show(script: str, *arguments: object, folder: Path) -> Shown:
    """Run a script of this folder under xvfb, in a home of its own."""
    environment = os.environ | calm_environment(folder)
    environment["QT_QPA_PLATFORM"] = "xcb"
    environment.pop("WAYLAND_DISPLAY", None)
    call = ["xvfb-run", "-a", "-s", "-screen 0 1920x1200x24", sys.executable]
    began, hung = time.monotonic(), False
    program = subprocess.Popen(
        [*call, _HERE / script, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = program.communicate(timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        hung = True
        os.killpg(program.pid, 9)
        out, err = program.communicate()
    ended = time.time()
    lines = [line for line in out.splitlines() if line.startswith("{")]
    heard = [
        line
        for line in err.splitlines()
        if not any(word in line for word in _IDLE_TALK)
    ]
    said = Said(
        program.returncode, hung, out, "\n".join(heard), time.monotonic() - began
    )
    return Shown(said, [json.loads(line) for line in lines], ended)
