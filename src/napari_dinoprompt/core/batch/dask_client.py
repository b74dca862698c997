"""A batch on several processes or machines: a dask.distributed scheduler, its workers.

The results are those of `segment_batch`, to the byte where the machines are alike. A
scheduler and its workers run whatever code a client sends them. It must be one that you
trust, on a network that you trust or over TLS.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import warnings
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_dinoprompt.core.errors import DinopromptError, InputError
from napari_dinoprompt.core.io.atomic import (
    explaining_writes,
    software_version,
    temporary_path,
)
from napari_dinoprompt.core.references.file import encode_reference

from .image import ImageTask, check_settings
from .objects import MASKS_ONLY, BatchFiles
from .run import follow_batch, name_images

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from distributed import Client, Future
    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.load import BackboneChoice
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation.segment import SegmentOptions

    from .dask_worker import BatchWorker, WorkerState
    from .run import BatchReport, BatchStep, Outcome


_GONE = (
    "The scheduler is gone, or another program has cancelled the batch. Run it again "
    "to go on from there."
)
_LOCAL = "local:"
# Of a number of processes.
_MOST_DIGITS = 3
# Images given out per thread of a worker: one in work, and what keeps it busy.
_AHEAD = 3
# Seconds without an answer, after which it is asked whether there are workers.
_SILENCE = 5.0
# Seconds until a scheduler that does not answer, or workers that do not come, are given
# up.
_ANSWER = 10.0
_ARRIVAL = 60.0
# What is written to stderr otherwise, where a progress bar lives. What goes wrong is
# in our own messages.
_NOISY = ("distributed", "tornado", "asyncio")


@dataclass(frozen=True)
class LocalWorkers:
    """Worker processes on this machine, `count` of them."""

    count: int

    @property
    def threads(self) -> int:
        """How many threads each of them computes with, so that they share the cores."""
        if hasattr(os, "sched_getaffinity"):
            return max(1, len(os.sched_getaffinity(0)) // self.count)
        return max(1, (os.cpu_count() or 1) // self.count)


def parse_scheduler(text: str) -> LocalWorkers | str:
    """Read what a user wrote for ``--scheduler``: workers here, or an address.

    InputError if it is neither, or the package distributed is missing.
    """
    found: LocalWorkers | str | None = None
    protocol, _, rest = text.rpartition("://")
    host, _, port = rest.rpartition(":")
    if text.startswith(_LOCAL):
        count = text.removeprefix(_LOCAL)
        # Not int() alone, which reads more kinds of digits than people mean.
        plain = count.isascii() and count.isdigit() and len(count) <= _MOST_DIGITS
        if plain and int(count) > 0:
            found = LocalWorkers(int(count))
    elif host and port.isascii() and port.isdigit():
        found = f"{protocol or 'tcp'}://{rest}"
    if found is None:
        raise InputError(
            "--scheduler is local:N for N processes on this machine, or an address "
            f"such as tcp://host:8786, not {text[:60]!r}."
        )
    if importlib.util.find_spec("distributed") is None:
        raise InputError(
            "A scheduler needs the package distributed; install "
            "napari-dinoprompt[cluster]."
        )
    return found


def segment_batch_on_cluster(
    images: Sequence[Path],
    folder: Path,
    reference: Reference,
    choice: BackboneChoice,
    options: SegmentOptions,
    *,
    scheduler: str,
    like: ArrayLike | None = None,
    again: bool = False,
    objects: BatchFiles = MASKS_ONLY,
) -> Generator[BatchStep, None, BatchReport]:
    """Segment image files on the workers of a scheduler, as `segment_batch` does.

    Each worker loads the backbone once and writes the results of its images. An image
    whose worker dies is done again by another one; what it had finished is not.

    Parameters
    ----------
    images, folder
        As `segment_batch`, where the workers see them under the same paths.
    reference : Reference
    choice : BackboneChoice
        How the workers load the reference's backbone; its name is the reference's.
    options : SegmentOptions
    scheduler : str
        ``local:N`` for N processes on this machine, for the time of the batch; or the
        address of a dask scheduler, such as ``tcp://host:8786``. It must be one that
        you trust: it runs code. A script that gives ``local:N`` has to hold
        ``if __name__ == "__main__":``.
    like, again
        As `segment_batch`.

    Yields
    ------
    BatchStep
        After each image, as they are finished. One that cannot be read is skipped,
        and one that several workers have died of.

    Returns
    -------
    BatchReport
        In the order of the images.

    Raises
    ------
    DinopromptError, OSError
        As `segment_batch`; if there is no scheduler, or no worker; or if the workers
        compute differently.
    """
    check_settings(reference, options, like)
    where = parse_scheduler(scheduler)
    names = name_images(images, folder, objects)
    from .dask_worker import BatchWorker

    with ExitStack() as stack:
        client = stack.enter_context(_connect(where))
        target = folder.absolute()
        worker = BatchWorker(
            reference=encode_reference(reference),
            choice=_everywhere(choice),
            options=options,
            like=like,
            folder=target,
            sign=stack.enter_context(_sign(target)),
            threads=where.threads if isinstance(where, LocalWorkers) else None,
            again=again,
            objects=replace(objects, given=objects.given and objects.given.absolute()),
        )
        plugin = stack.enter_context(_hand_out(client, worker))
        settings = _agree(client, plugin)
        compute = partial(_compute, client, plugin, settings)
        steps = follow_batch(folder, names, settings, compute, objects, again=again)
        return (yield from steps)


@contextmanager
def _connect(where: LocalWorkers | str) -> Iterator[Client]:
    """Connect to a scheduler; start it and its workers if they are to be local.

    Afterwards what was started here is stopped, and tasks that have not begun are given
    up. InputError if there is no scheduler, or no worker.
    """
    if isinstance(where, LocalWorkers):
        found, count = _start(where.count), where.count
    else:
        found, count = _find(where), 1
    with _quiet(), found as client:
        _wait_for_workers(client, count)
        yield client


def _wait_for_workers(client: Client, count: int = 1) -> None:
    """Wait for so many; InputError if they do not come, or the scheduler is gone."""
    # A scheduler that comes back knows nothing of the batch.
    if client.status != "running":
        raise InputError(_GONE)
    try:
        client.wait_for_workers(count, timeout=_ARRIVAL)
    except TimeoutError:
        raise InputError(
            "The scheduler has no workers; start some with 'dask worker ADDRESS'. "
            "What is finished is kept."
        ) from None
    except OSError as error:
        raise InputError(_GONE) from error


@contextmanager
def _start(count: int) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    from napari_dinoprompt.core.batch import dask_worker

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
            preload=[dask_worker.__name__],
            security=True if safe else None,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def _find(address: str) -> Iterator[Client]:
    from distributed import Client

    try:
        client = Client(address, timeout=_ANSWER, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"There is no scheduler at {address}; start one with 'dask scheduler' and "
            "give the address that it names."
        ) from error
    with client:
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


def _everywhere(choice: BackboneChoice) -> BackboneChoice:
    """Workers have working directories of their own."""

    def absolute(path: str | None) -> str | None:
        return None if path is None else str(Path(path).absolute())

    return replace(
        choice,
        checkpoint=absolute(choice.checkpoint),
        weights_folder=absolute(choice.weights_folder),
    )


@contextmanager
def _sign(folder: Path) -> Iterator[str]:
    """Leave a file in a folder by which workers know it."""
    made = not folder.exists()
    with explaining_writes(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = temporary_path(folder)
        path.touch(exist_ok=False)
    try:
        yield path.name
    finally:
        path.unlink(missing_ok=True)
        if made and not any(folder.iterdir()):
            # The options were refused, and nothing is to be left of it.
            folder.rmdir()


@contextmanager
def _hand_out(client: Client, worker: BatchWorker) -> Iterator[str]:
    """Give all workers, those to come too, what they need for the batch."""
    name = f"dinoprompt-{uuid4().hex}"
    try:
        client.register_plugin(worker, name=name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"The workers have no package {error.name}; install napari-dinoprompt "
            f"{software_version()} for scheduler and workers too."
        ) from error
    try:
        yield name
    finally:
        # A scheduler that is gone has nothing left to be told.
        if client.status == "running":
            client.unregister_worker_plugin(name)


def _agree(client: Client, plugin: str) -> str:
    """Return the settings of all workers."""
    from .dask_worker import ask_worker

    answers: dict[str, WorkerState | BaseException] = client.run(
        ask_worker, plugin, on_error="return"
    )
    states: dict[WorkerState, str] = {}
    for address, answer in answers.items():
        # Whatever a worker has to say, but for nothing because it is gone.
        if isinstance(answer, OSError) and not isinstance(answer, DinopromptError):
            raise InputError(
                f"The worker {address} died while it loaded the backbone; there may "
                "not be enough memory for so many workers."
            ) from answer
        if isinstance(answer, BaseException):
            raise answer
        states.setdefault(answer, address)
    here = software_version()
    for state, address in states.items():
        if state.software != here:
            raise InputError(
                f"The worker {address} has napari-dinoprompt {state.software}, and "
                f"here it is {here}; install the same everywhere."
            )
    if len(states) > 1:
        ways = " and ".join(
            f"{address} on {state.device} {state.dtype}".rstrip()
            for state, address in list(states.items())[:2]
        )
        raise InputError(
            f"Not all workers compute alike: {ways}. Give --device and --precision, "
            "or start them alike."
        )
    return next(iter(states)).settings


def _compute(
    client: Client, plugin: str, settings: str, tasks: Iterable[ImageTask]
) -> Generator[Outcome, None, None]:
    """Have tasks done by workers, a bounded number at a time."""
    from .dask_worker import work_on

    left = iter(tasks)
    given: dict[Future[Any], ImageTask] = {}
    limit = _AHEAD * max(1, sum(client.nthreads().values()))
    try:
        while True:
            while len(given) < limit and (task := next(left, None)) is not None:
                travelling = replace(task, path=task.path.absolute())
                future = client.submit(
                    work_on,
                    travelling,
                    plugin,
                    settings,
                    key=f"dinoprompt-{uuid4()}",
                    pure=False,
                )
                given[future] = task
            if not given:
                return
            for future in _wait(client, list(given)):
                task = given.pop(future)
                yield task, _result(future, task)
    finally:
        # Also after an error or when the user stops: what waits is not begun.
        if given and client.status == "running":
            client.cancel(list(given))


def _wait(client: Client, futures: list[Future[Any]]) -> list[Future[Any]]:
    """Wait for the first of several futures, as long as there are workers."""
    from distributed import wait

    while True:
        try:
            with client.as_current():
                return list(wait(futures, _SILENCE, "FIRST_COMPLETED").done)
        except TimeoutError:
            _wait_for_workers(client)
        except CancelledError:
            return [future for future in futures if future.cancelled()]


def _result(future: Future[Any], task: ImageTask) -> Any:
    from distributed import KilledWorker

    try:
        result, said = future.result()
    except KilledWorker:
        return (
            f"{task.shown}: several workers died while they had this image; there may "
            "not be enough memory for so many workers."
        )
    except CancelledError as error:
        raise InputError(_GONE) from error
    for message in said:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    if isinstance(result, str):
        # As the user wrote it.
        return result.replace(str(task.path.absolute()), task.shown)
    return result
