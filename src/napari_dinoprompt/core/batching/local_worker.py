"""What workers that `connection` starts load first: a preload of dask."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Worker

__all__ = ["dask_setup"]


def dask_setup(worker: Worker) -> None:
    """Leave Ctrl-C to the command; called by dask.

    A terminal sends it to all processes at once. The command stops the workers in
    good order, and each of them would print its own traceback.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
