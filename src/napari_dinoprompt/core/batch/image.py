"""One image of a batch: read it, segment it, write its results and its record."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from napari_dinoprompt.core.errors import CannotWriteError, explain
from napari_dinoprompt.core.io.read import open_image
from napari_dinoprompt.core.io.spacing import read_pixel_size
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.references.reference import Reference, resolve_thresholds
from napari_dinoprompt.core.segmentation.segment import (
    check_like,
    segment,
    target_window,
)
from napari_dinoprompt.core.segmentation.stack import describe_settings

from .objects import MASKS_ONLY, BatchFiles
from .records import Job, Rows, open_record, summarise, write_record, write_segmentation
from .stack_files import is_stack_file, iter_segment_stack_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.images.lazy_plane import LazyPlane
    from napari_dinoprompt.core.segmentation.segment import SegmentOptions


# Whatever of these a user can do something about concerns the one image.
_TROUBLES = (MemoryError, OSError, RuntimeError, ValueError)


@dataclass(frozen=True)
class ImageTask:
    """One image of a batch.

    Attributes
    ----------
    path : Path
        Where it is.
    name : str
        Of its results.
    shown : str
        What it is called in the summary: its path as it was given.
    """

    path: Path
    name: str
    shown: str


@dataclass(frozen=True, eq=False)
class ReadImage:
    """An image, in memory unless it is large, and its file as it was before.

    Of a stack there are no pixels: it is read plane by plane.
    """

    job: Job
    pixels: LazyPlane | None


@dataclass(frozen=True, eq=False)
class ImageJob:
    """All that is the same for every image.

    Attributes
    ----------
    reference : Reference
    backbone : Backbone
        The one of the reference.
    options : SegmentOptions
    like : (h, w) or (h, w, 3 or 4) array_like or None
        As `segment`.
    folder : Path
        For the results.
    objects : BatchFiles

    Raises
    ------
    IncompatibleReferenceError
        If the backbone is not the reference's.
    """

    reference: Reference
    backbone: Backbone
    options: SegmentOptions
    like: ArrayLike | None
    folder: Path
    objects: BatchFiles = MASKS_ONLY

    def __post_init__(self) -> None:
        self.reference.check_backbone(self.backbone.info)

    @cached_property
    def settings(self) -> str:
        """As `describe_settings`, and what is done with objects."""
        own = describe_settings(self.reference, self.backbone, self.options, self.like)
        return own if self.objects == MASKS_ONLY else f"{own} {self.objects}"

    def read(self, path: Path) -> ReadImage | str:
        """Read an image, or say why it cannot be read."""
        try:
            # Looked at before it is read: a change meanwhile will be noticed.
            job = Job.of(path, self.settings) if path.exists() else None
            # The planes of a stack are read one after the other, when they are done.
            pick = self.objects.pick
            pixels = None if is_stack_file(path, pick) else open_image(path, pick)
        except _TROUBLES as error:
            return _reason(error, path)
        # It came to be between the two looks.
        return ReadImage(job or Job.of(path, self.settings), pixels)

    def finish(self, task: ImageTask, found: ReadImage | str) -> Rows | str:
        """Segment an image and write its results, then its record.

        Returns its part of the summary, or why it cannot be used; what cannot be
        written is an error.
        """
        if isinstance(found, str):
            return found
        try:
            if found.pixels is None:
                return self._finish_stack(task, found.job)
            labels = self.objects.labels_of(task.path)
            result = segment(
                found.pixels,
                self.reference,
                self.backbone,
                self.options,
                like=self.like,
            )
            result = self.objects.choose(result, labels, self.options.threshold)
        except CannotWriteError:
            # It would be the same with the next one.
            raise
        except _TROUBLES as error:
            return _reason(error, task.path)
        rows = summarise(task.shown, task.name, result)
        open_record(self.folder, task.name)
        given = self.options.spacing
        series = self.objects.pick.series or 0
        size = given[1:] if given else read_pixel_size(task.path, series)
        write_segmentation(self.folder, task.name, result, size)
        self.objects.export(self.folder, task.name, result, found.pixels, size)
        write_record(self.folder, task.name, found.job, rows)
        return rows

    def _finish_stack(self, task: ImageTask, job: Job) -> Rows:
        rows = run_to_end(
            iter_segment_stack_file(
                task.path,
                task.shown,
                self.folder,
                task.name,
                self.reference,
                self.backbone,
                self.options,
                like=self.like,
                objects=self.objects,
            )
        )
        write_record(self.folder, task.name, job, rows)
        return rows


def check_settings(
    reference: Reference, options: SegmentOptions, like: ArrayLike | None
) -> None:
    """Complain about settings once, and not for every image."""
    reference.check_objects()
    resolve_thresholds(reference, options.threshold)
    target_window(reference, options.window)
    check_like(options.window, like)


def _reason(error: BaseException, path: Path) -> str:
    reason = explain(error)
    if reason is None:
        raise error
    return reason if str(path) in reason else f"{path}: {reason}"
