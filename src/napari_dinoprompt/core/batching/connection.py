"""Machines that compute together: a dask.distributed scheduler and its workers.

A scheduler and its workers run whatever code a client sends them. It must be one that
you trust, on a network that you trust or over TLS.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

__all__ = [
    "GONE",
    "LocalWorkers",
    "SchedulerAddress",
    "connect",
    "parse_scheduler",
    "wait_for_workers",
]

GONE = (
    "The scheduler is gone, or another program has cancelled the batch. Run it again "
    "to go on from there."
)
_LOCAL = "local:"
# Of a number of processes.
_MOST_DIGITS = 3
# Seconds until a scheduler that does not answer, or workers that do not come, are given
# up.
_ANSWER = 10.0
_ARRIVAL = 60.0
# What is written to stderr otherwise, where a progress bar lives. What goes wrong is
# in our own messages.
_NOISY = ("distributed", "tornado", "asyncio")


@dataclass(frozen=True)
class LocalWorkers:
    """Worker processes on this machine.

    Attributes
    ----------
    count : int
    """

    count: int

    @property
    def threads(self) -> int:
        """How many threads each of them computes with, so that they share the cores."""
        return max(1, _cores() // self.count)


@dataclass(frozen=True)
class SchedulerAddress:
    """A scheduler that runs already.

    Attributes
    ----------
    address : str
        Such as ``tcp://host:8786``.
    """

    address: str

    @property
    def threads(self) -> None:
        """Who started the workers has decided."""
        return None


def parse_scheduler(text: str) -> LocalWorkers | SchedulerAddress:
    """Read what a user wrote for ``--scheduler``.

    Parameters
    ----------
    text : str
        ``local:N`` or the address of a scheduler.

    Returns
    -------
    LocalWorkers or SchedulerAddress

    Raises
    ------
    InputError
        If it is neither, or the package distributed is missing.
    """
    found: LocalWorkers | SchedulerAddress | None = None
    protocol, _, rest = text.rpartition("://")
    host, _, port = rest.rpartition(":")
    if text.startswith(_LOCAL):
        count = text.removeprefix(_LOCAL)
        # Not int() alone, which reads more kinds of digits than people mean.
        plain = count.isascii() and count.isdigit() and len(count) <= _MOST_DIGITS
        if plain and int(count) > 0:
            found = LocalWorkers(int(count))
    elif host and port.isascii() and port.isdigit():
        found = SchedulerAddress(f"{protocol or 'tcp'}://{rest}")
    if found is None:
        msg = (
            "--scheduler is local:N for N processes on this machine, or an address "
            f"such as tcp://host:8786, not {text[:60]!r}."
        )
        raise InputError(msg)
    if importlib.util.find_spec("distributed") is None:
        msg = (
            "A scheduler needs the package distributed; install "
            "napari-dinoprompt[cluster]."
        )
        raise InputError(msg)
    return found


@contextmanager
def connect(where: LocalWorkers | SchedulerAddress) -> Iterator[Client]:
    """Connect to a scheduler; start it and its workers if they are to be local.

    Parameters
    ----------
    where : LocalWorkers or SchedulerAddress

    Yields
    ------
    distributed.Client
        With one worker at least. Afterwards what was started here is stopped, and
        tasks that have not begun are given up.

    Raises
    ------
    InputError
        If there is no scheduler, or no worker.
    """
    with _quiet():
        if isinstance(where, LocalWorkers):
            with _local_cluster(where.count) as client:
                yield client
        else:
            with _client(where.address) as client:
                yield client


def wait_for_workers(client: Client, count: int = 1) -> None:
    """Wait for workers.

    Parameters
    ----------
    client : distributed.Client
    count : int
        How many at least.

    Raises
    ------
    InputError
        If they do not come, or the scheduler is gone.
    """
    # A scheduler that comes back knows nothing of the batch.
    if client.status != "running":
        raise InputError(GONE)
    try:
        client.wait_for_workers(count, timeout=_ARRIVAL)
    except TimeoutError:
        msg = (
            "The scheduler has no workers; start some with 'dask worker ADDRESS'. "
            "What is finished is kept."
        )
        raise InputError(msg) from None
    except OSError as error:
        raise InputError(GONE) from error


@contextmanager
def _local_cluster(count: int) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    # Without this package others on the same machine could speak to the scheduler;
    # with it there are certificates that only this process and its workers have.
    safe = importlib.util.find_spec("cryptography") is not None
    settings: dict[str, object] = {
        # One image per worker; the others wait at the scheduler, so that a worker
        # that dies takes no more with it.
        "distributed.scheduler.worker-saturation": 1.0,
        # A worker that computes for long without a sign of life is not dead.
        "distributed.scheduler.worker-ttl": None,
        # Nobody looks at its web pages.
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            # Without an address it takes a fixed port, which may be in use.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            preload=["napari_dinoprompt.core.batching.local_worker"],
            security=True if safe else None,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        wait_for_workers(client, count)
        yield client


@contextmanager
def _client(address: str) -> Iterator[Client]:
    from distributed import Client

    try:
        client = Client(address, timeout=_ANSWER, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        msg = (
            f"There is no scheduler at {address}; start one with 'dask scheduler' and "
            "give the address that it names."
        )
        raise InputError(msg) from error
    with client:
        wait_for_workers(client)
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _NOISY]
    before = [logger.level for logger in loggers]
    # distributed sets the levels of its own loggers when it is imported.
    import distributed  # noqa: F401

    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
