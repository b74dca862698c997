"""What a worker of a cluster does for a batch.

It loads the backbone once, and writes the results of its images by itself.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin, get_worker

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.atomic import software_version
from napari_dinoprompt.core.memory import release_memory

if TYPE_CHECKING:
    from pathlib import Path

    from distributed import Worker
    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.load import BackboneChoice
    from napari_dinoprompt.core.segmentation.segment import SegmentOptions

    from .image import ImageJob, ImageTask
    from .objects import BatchFiles
    from .records import Rows


@dataclass(frozen=True)
class WorkerState:
    """How a worker computes.

    Attributes
    ----------
    software : str
        Version of this package.
    device, dtype : str
        Of the backbone.
    settings : str
        As `describe_settings`.
    """

    software: str
    device: str
    dtype: str
    settings: str


def dask_setup(worker: Worker) -> None:
    """Leave Ctrl-C to the command; dask calls it in workers that are started here.

    A terminal sends it to all processes at once. The command stops the workers in
    good order, and each of them would print its own traceback.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(eq=False)
class BatchWorker(WorkerPlugin):
    """What travels to every worker, once, and is held there while a batch runs.

    Attributes
    ----------
    reference : bytes
        The content of its file.
    choice : BackboneChoice
        How the reference's backbone is loaded.
    options : SegmentOptions
    like : (h, w) or (h, w, 3 or 4) array_like or None
        As `segment`.
    folder : Path
        For the results, as an absolute path.
    sign : str
        Name of a file that lies there while the batch runs: a worker that does not
        see it writes somewhere else.
    threads : int or None
        That torch computes with; None leaves it as it is.
    again : bool
        Whether what was finished before the batch is computed again.
    objects : BatchFiles
    """

    reference: bytes
    choice: BackboneChoice
    options: SegmentOptions
    like: ArrayLike | None
    folder: Path
    sign: str
    threads: int | None
    again: bool
    objects: BatchFiles
    _work: ImageJob | None = field(default=None, init=False)

    def setup(self, worker: Worker) -> None:
        """Begin; called by the worker."""
        # Here and not above: a lock cannot travel.
        self._lock = threading.Lock()

    def teardown(self, worker: Worker) -> None:
        """Let go of the backbone; called by the worker."""
        self._work = None

    @property
    def since(self) -> int | None:
        """Records that are older do not count; None if all do."""
        return (self.folder / self.sign).stat().st_mtime_ns if self.again else None

    def work(self) -> ImageJob:
        """Return the work with its backbone, which is loaded the first time."""
        with self._lock:
            if self._work is None:
                self._work = self._load()
            return self._work

    def state(self) -> WorkerState:
        """Tell how this worker computes."""
        work = self.work()
        return WorkerState(
            software_version(),
            work.backbone.device.type,
            str(getattr(work.backbone, "dtype", "")).removeprefix("torch."),
            work.settings,
        )

    def _load(self) -> ImageJob:
        # torch is not needed to start a worker.
        import torch

        from napari_dinoprompt.core.references.file import decode_reference
        from napari_dinoprompt.core.references.reference import Reference

        from .image import ImageJob

        if not (self.folder / self.sign).exists():
            raise InputError(
                f"A worker does not see the folder {self.folder}; images and results "
                "have to lie where this machine and all workers reach them."
            )
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        reference = Reference.of(decode_reference(self.reference))
        backbone = self.choice.fitting(reference.backbone).load()
        given = self.options, self.like, self.folder, self.objects
        return ImageJob(reference, backbone, *given)


async def ask_worker(plugin: str, dask_worker: Worker) -> WorkerState:
    """Have a worker, whom dask fills in, load its backbone; ask how it computes."""
    # In a thread: the worker has to give signs of life meanwhile.
    holder: Any = dask_worker.plugins[plugin]
    state: WorkerState = await asyncio.to_thread(holder.state)
    return state


def work_on(
    task: ImageTask, plugin: str, settings: str
) -> tuple[Rows | str, list[str]]:
    """Do one image, with an absolute path, on a worker; as `ImageJob.finish`.

    `settings` is what the other workers have; one that has others is an InputError.
    Warnings come back beside the result: nobody reads what a worker prints.
    """
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", RuntimeWarning)
        result = _work_on(task, plugin, settings)
    release_memory()
    said = [one for one in heard if issubclass(one.category, RuntimeWarning)]
    return result, [str(one.message) for one in said]


def _work_on(task: ImageTask, plugin: str, settings: str) -> Rows | str:
    from .records import Job, read_record

    holder: Any = get_worker().plugins[plugin]
    work: ImageJob = holder.work()
    if work.settings != settings:
        raise InputError(
            "A worker that came later computes otherwise than the first ones; start "
            "all workers alike."
        )
    if task.path.exists():
        # A worker may have died between its record and its answer.
        job = Job.of(task.path, settings)
        rows = read_record(work.folder, task.name, job, since=holder.since)
        if rows is not None:
            return rows
    return work.finish(task, work.read(task.path))
