"""A reference applied to many image files, one after the other.

It can be stopped at any time, even by a power cut: what is finished stays finished,
and the next run goes on from there.
"""

from __future__ import annotations

import glob
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.atomic import check_place, remove_leftovers
from napari_dinoprompt.core.io.zarr import is_zarr
from napari_dinoprompt.core.memory import release_memory

from .image import ImageJob, ImageTask, ReadImage, check_settings
from .objects import MASKS_ONLY, BatchFiles
from .records import (
    Job,
    Rows,
    append_table,
    check_ours,
    name_results,
    other_rows,
    read_record,
    results_in,
    write_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from concurrent.futures import Future

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation.segment import SegmentOptions

    Outcome = tuple[ImageTask, Rows | str]
    Compute = Callable[[Iterable[ImageTask]], Generator[Outcome, None, None]]


# Name of the table of all images.
SUMMARY = "segmentation.csv"

_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")

# Computed now; finished by an earlier run; could not be used.
BatchState = Literal["done", "kept", "skipped"]


@dataclass(frozen=True)
class BatchStep:
    """One image of a batch that has had its turn.

    Attributes
    ----------
    path : Path
    name : str
        Of its results.
    state : {"done", "kept", "skipped"}
    message : str
        Why it was skipped; else empty.
    rows : tuple of dict
        Its part of the summary, one per class; empty if it was skipped.
    done, total : int
        Images that have had their turn, and all.
    """

    path: Path
    name: str
    state: BatchState
    message: str
    rows: tuple[dict[str, Any], ...]
    done: int
    total: int


@dataclass(frozen=True)
class BatchReport:
    """What became of a batch.

    Attributes
    ----------
    rows : tuple of dict
        The summary, one per image and class.
    done, kept, skipped : int
        Images.
    """

    rows: tuple[dict[str, Any], ...]
    done: int
    kept: int
    skipped: int


def find_images(given: Sequence[Path]) -> list[Path]:
    """List the images that files, folders and patterns stand for.

    A folder stands for the images in it, unless it is a zarr, a pattern such as
    ``fakes/*.png`` for the files that match; both by name, and without results that a
    batch has written there. Anything else stands for itself, whether it is there or
    not. InputError if a folder holds no images, or nothing matches a pattern.
    """
    return [path for one in given for path in _images_of(one)]


def _images_of(path: Path) -> list[Path]:
    if is_zarr(path):
        return [path]
    if path.is_dir():
        found = _no_results(
            one
            for one in path.iterdir()
            # What macOS keeps of a file beside it is called like it.
            if not one.name.startswith("._")
            and (one.suffix.lower() in _SUFFIXES or is_zarr(one))
        )
    elif glob.has_magic(str(path)) and not path.exists():
        # A shell has a limit for the length of a command, which thousands of files
        # reach: there the pattern is given in quotes.
        found = _no_results(map(Path, glob.glob(str(path))))
    else:
        return [path]
    if not found:
        raise InputError(f"There are no images in {path}.")
    return found


def _no_results(paths: Iterable[Path]) -> list[Path]:
    found = sorted(paths)
    results = {
        result
        for folder in {path.parent for path in found}
        for result in results_in(folder)
    }
    return [path for path in found if path not in results]


def segment_batch(
    images: Sequence[Path],
    folder: Path,
    reference: Reference,
    backbone: Backbone,
    options: SegmentOptions,
    *,
    like: ArrayLike | None = None,
    again: bool = False,
    objects: BatchFiles = MASKS_ONLY,
) -> Generator[BatchStep, None, BatchReport]:
    """Segment image files and write the results of each.

    An image that is finished with the same settings is kept. Files are whole or not
    there at all, whenever the work is stopped. While one image is segmented the next
    one is read; there are never more in memory.

    Parameters
    ----------
    images : sequence of Path
        One that is given twice is taken once.
    folder : Path
        Made if it is not there. Its summary has all finished images after every one
        of them, those of earlier batches included, and is in order at the end. Files
        that no batch has written are not replaced.
    reference : Reference
    backbone : Backbone
        The one of the reference.
    options : SegmentOptions
    like : (h, w) or (h, w, 3 or 4) array_like, optional
        As `segment`.
    again : bool
        Whether finished images are computed again.
    objects : BatchFiles
        Objects that are given, and files to end in.

    Yields
    ------
    BatchStep
        After each image. One that cannot be read is skipped.

    Returns
    -------
    BatchReport

    Raises
    ------
    DinopromptError, OSError
        If no image can be done with these options, or results cannot be written.
    """
    check_settings(reference, options, like)
    work = ImageJob(reference, backbone, options, like, folder, objects)
    names = name_images(images, folder, objects)
    compute = partial(_compute, work)
    settings = work.settings
    return (
        yield from follow_batch(folder, names, settings, compute, objects, again=again)
    )


def name_images(
    images: Sequence[Path], folder: Path, objects: BatchFiles
) -> dict[Path, str]:
    """Name the results of each image; refuse a folder that cannot take them."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; the results need a folder.")
    check_place(folder)
    names = name_results(images, folder)
    check_ours(folder, names.values(), folder / SUMMARY, objects.paths)
    if objects.given is not None and objects.given.is_file() and len(names) > 1:
        raise InputError(
            f"{objects.given} holds the objects of one image, and there are "
            f"{len(names)}; give a folder with a file of the same name for each."
        )
    return names


def follow_batch(
    folder: Path,
    names: dict[Path, str],
    settings: str,
    compute: Compute,
    objects: BatchFiles,
    *,
    again: bool,
) -> Generator[BatchStep, None, BatchReport]:
    """Have the images of a batch computed that are not finished; keep the summary.

    `names` are those of the results, `settings` as `describe_settings`. `compute` takes
    the tasks that are left and yields each with its part of the summary, or why it
    cannot be used, in any order; results and record have been written.
    """
    remove_leftovers(folder)
    # Known beforehand, so that the summary never has less than the folder.
    kept = {} if again else _kept_rows(folder, names, settings, objects)
    summary = _Summary(
        folder / SUMMARY,
        other_rows(folder, names.values()),
        {names[path]: rows for path, rows in kept.items()},
    )
    order, done, skipped = iter(names), 0, 0

    def step(path: Path, state: BatchState, message: str = "") -> BatchStep:
        name = names[path]
        rows = tuple(summary.of(name))
        return BatchStep(path, name, state, message, rows, done, len(names))

    paths = {name: path for path, name in names.items()}
    todo = (
        ImageTask(path, name, str(path))
        for path, name in names.items()
        if path not in kept
    )
    with closing(compute(todo)) as outcomes:
        while True:
            # Those that are kept have their turn as they were given.
            for path in order:
                if path not in kept:
                    break
                done += 1
                yield step(path, "kept")
            task, result = next(outcomes, (None, ""))
            if task is None:
                break
            done += 1
            if isinstance(result, str):
                skipped += 1
                yield step(paths[task.name], "skipped", result)
            else:
                summary.add(task.name, result)
                yield step(paths[task.name], "done")
    rows = summary.end(names.values())
    objects.join(folder, names.values())
    computed = len(names) - len(kept) - skipped
    return BatchReport(tuple(rows), computed, len(kept), skipped)


def _compute(
    work: ImageJob, tasks: Iterable[ImageTask]
) -> Generator[Outcome, None, None]:
    """Segment each image while the next one is read; two in memory are enough."""
    waiting: tuple[ImageTask, Future[ReadImage | str]] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="dinoprompt-read") as pool:
        for task in chain(tasks, (None,)):
            before = waiting
            waiting = None
            if task is not None:
                waiting = (task, pool.submit(work.read, task.path))
            if before is not None:
                rows = work.finish(before[0], before[1].result())
                done, before = before[0], None
                release_memory()
                yield done, rows


def _kept_rows(
    folder: Path, names: dict[Path, str], settings: str, objects: BatchFiles
) -> dict[Path, Rows]:
    kept = {}
    for path, name in names.items():
        if not all(one.exists() for one in (path, *objects.paths(folder, name))):
            continue
        rows = read_record(folder, name, Job.of(path, settings))
        if rows is not None:
            # As it is called now: elsewhere the same path is written otherwise.
            kept[path] = [{**row, "image": str(path)} for row in rows]
    return kept


class _Summary:
    """A table of all finished images, on disk after every one of them.

    To write the whole table each time would take longer and longer. What is new goes
    to its end, and at the end of the batch the table is brought into order. Rows of
    earlier batches, `others`, come first.
    """

    def __init__(self, path: Path, others: Rows, kept: dict[str, Rows]) -> None:
        self._path = path
        self._others = others
        self._begun = False
        # By the name of the results.
        self._rows = dict(kept)
        if kept:
            self._write(kept)

    def add(self, name: str, rows: Rows) -> None:
        """Add one image."""
        self._rows[name] = rows
        if self._begun:
            append_table(self._path, rows)
        else:
            self._write([name])

    def of(self, name: str) -> Rows:
        """Return the rows of an image; none if it is not finished."""
        return self._rows.get(name, [])

    def end(self, names: Iterable[str]) -> Rows:
        """Bring the table into the order of all images; return their rows."""
        order = [name for name in names if name in self._rows]
        if order and order != list(self._rows):
            self._write(order)
        return [row for name in order for row in self._rows[name]]

    def _write(self, order: Iterable[str]) -> None:
        rows = [row for name in order for row in self._rows[name]]
        write_table(self._path, [*self._others, *rows])
        self._begun = True
