"""The side of `forks.py` that asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
# Beside them, what a command says is about its job.
_CALM = {
    "OMP_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "COLUMNS": "200",
}
_LONGEST_S = 300.0
_NOTE = "are not on this machine; using 'filterbank'"
_BAD_WORDS = (
    "Traceback",
    "Fatal Python",
    "Segmentation fault",
    "QThread: Destroyed",
    "has been deleted",
    "Error calling Python",
    "Warning:",
)


@dataclass(frozen=True)
class Said:
    """How a program ended, and what it said.

    Attributes
    ----------
    code : int
        Its exit code; negative if a signal ended it.
    hung : bool
        It had to be ended.
    out, err : str
    seconds : float
    """

    code: int
    hung: bool
    out: str
    err: str
    seconds: float

    def troubles(self, *, code: int = 0, lines: int | None = None) -> list[str]:
        """Say what is wrong about this end.

        Parameters
        ----------
        code : int
            The exit code that is right.
        lines : int, optional
            How many lines on stderr are right.
        """
        found = ["it hung"] if self.hung else []
        found += [f"it says {word!r}" for word in _BAD_WORDS if word in self.err]
        if not self.hung and self.code != code:
            found.append(f"it ended with {self.code}: {self.last_line}")
        if lines is not None and len(self.complaints) != lines:
            found.append(f"{len(self.complaints)} lines on stderr: {self.err[-300:]}")
        return found

    @property
    def complaints(self) -> list[str]:
        """The lines on stderr, but for the note that the filter bank is used."""
        lines = self.err.splitlines()
        return [line for line in lines if line.strip() and _NOTE not in line]

    @property
    def last_line(self) -> str:
        """The last line on stderr, mostly the message."""
        return self.complaints[-1] if self.complaints else ""


def calm_environment(folder: Path) -> dict[str, str]:
    """Return an environment in which a program finds nothing of the user's."""
    places = {
        "HOME": "home",
        "DINOPROMPT_CACHE": "features",
        "DINOPROMPT_LIBRARY": "library",
        "HF_HOME": "huggingface",
        "TORCH_HOME": "torch",
        "MPLCONFIGDIR": "matplotlib",
        "NAPARI_CONFIG": "napari/settings.yaml",
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
        "XDG_DATA_HOME": "data",
        "XDG_STATE_HOME": "state",
    }
    return _CALM | {name: str(folder / place) for name, place in places.items()}


class Commander:
    """One process that forks children for tasks."""

    def __init__(self, folder: Path) -> None:
        self._environment = os.environ | calm_environment(folder)
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "DINOPROMPT_CACHE_GB"):
            self._environment.pop(name, None)
        self._process = subprocess.Popen(
            [sys.executable, str(_HERE / "forks.py")],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "ready"

    def do(
        self,
        task: str,
        *arguments: object,
        env: dict[str, object] | None = None,
        humble: bool = False,
        cwd: Path | None = None,
        kill_after: float | None = None,
        kill_when: str = "",
        timeout: float = _LONGEST_S,
    ) -> Said:
        """Run a task of `tasks`; see `forks`."""
        request: dict[str, Any] = {
            "task": task,
            "arguments": [
                one if isinstance(one, int | float | list) else str(one)
                for one in arguments
            ],
            "env": {name: str(value) for name, value in (env or {}).items()},
            "humble": humble,
            "cwd": None if cwd is None else str(cwd),
            "kill_after": kill_after,
            "kill_when": kill_when or None,
            "timeout": timeout,
        }
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Said(**json.loads(self._process.stdout.readline()))

    def command(self, *arguments: object, **how: Any) -> Said:
        """Run the command `dinoprompt`."""
        return self.do("command", [str(one) for one in arguments], **how)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
