"""A hundred random acts of a user in a real window; the end is as if computed anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.viewer]

STEPS = 100
WARM = 30
MEGABYTES = 60


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
@pytest.mark.parametrize("seed", [0])
def test_random_edits_end_as_computed_from_scratch(seed: int) -> None:
    """In a process of its own, so that memory and threads are those of the dock."""
    script = Path(__file__).parents[1] / "support" / "random_edits.py"
    done = subprocess.run(
        [sys.executable, script, str(seed), str(STEPS), str(WARM)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    figures = dict(
        line.split("=") for line in done.stdout.splitlines() if line.count("=") == 1
    )
    assert int(figures["compared"]) == 3
    assert int(figures["objects"]) > 0
    assert float(figures["megabytes"]) < MEGABYTES, done.stdout
    # Another thread of Qt's pool may have been needed, and brings those of torch.
    assert int(figures["threads"]) <= int(figures["threads before"]) + 4, done.stdout
    assert int(figures["layers"]) <= 12, done.stdout
