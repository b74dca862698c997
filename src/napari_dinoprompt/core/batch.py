"""A reference applied to many image files, one after the other.

It can be stopped at any time, even by a power cut: what is finished stays finished,
and the next run goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_dinoprompt.core.batch_records import (
    Job,
    check_ours,
    describe_settings,
    open_record,
    other_rows,
    read_record,
    write_record,
)
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.explaining import explain
from napari_dinoprompt.core.image_files import read_image
from napari_dinoprompt.core.result_files import (
    summarise,
    write_segmentation,
    write_table,
)
from napari_dinoprompt.core.result_names import name_results
from napari_dinoprompt.core.segmentation import segment, target_plane, target_window
from napari_dinoprompt.core.thresholds import resolve_thresholds

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.batch_records import Rows
    from napari_dinoprompt.core.reference import Reference
    from napari_dinoprompt.core.segmentation import Segmentation, SegmentOptions

__all__ = ["SUMMARY", "BatchReport", "BatchState", "BatchStep", "segment_batch"]

SUMMARY = "segmentation.csv"
"""Name of the table of all images."""

BatchState = Literal["done", "kept", "skipped"]
"""Computed now; finished by an earlier run; could not be used."""


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


def segment_batch(
    images: Sequence[Path],
    folder: Path,
    reference: Reference,
    backbone: Backbone,
    options: SegmentOptions,
    *,
    like: ArrayLike | None = None,
    again: bool = False,
) -> Generator[BatchStep, None, BatchReport]:
    """Segment image files and write the results of each.

    An image that is finished with the same settings is kept. Files are whole or not
    there at all, whenever the work is stopped.

    Parameters
    ----------
    images : sequence of Path
        One that is given twice is taken once.
    folder : Path
        Made if it is not there. Its summary is complete after every image, those of
        earlier batches included. Files that no batch has written are not replaced.
    reference : Reference
    backbone : Backbone
        The one of the reference.
    options : SegmentOptions
    like : (h, w) or (h, w, 3 or 4) array_like, optional
        As `segment`.
    again : bool
        Whether finished images are computed again.

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
    _check(reference, backbone, options, like)
    if folder.exists() and not folder.is_dir():
        msg = f"{folder} is a file; the results need a folder."
        raise InputError(msg)
    names = name_results(images, folder)
    check_ours(folder, names.values(), folder / SUMMARY)
    others = other_rows(folder, names.values())
    how = _How(reference, backbone, options, like)
    settings = describe_settings(reference, backbone, options, like)
    # Known beforehand, so that the summary never has less than the folder.
    rows = {} if again else _kept_rows(names, folder, settings)
    kept = set(rows)
    if rows:
        _write_summary(folder, names, rows, others)
    skipped = 0
    for done, (path, name) in enumerate(names.items(), start=1):
        state: BatchState = "kept"
        message = ""
        if path not in kept:
            # Looked at before it is read: a change meanwhile will be noticed.
            job = Job.of(path, settings) if path.is_file() else None
            result = how.segment(path)
            if job is None or isinstance(result, str):
                state, message = "skipped", str(result)
                skipped += 1
            else:
                state = "done"
                rows[path] = summarise(path, name, result)
                open_record(folder, name)
                write_segmentation(folder, name, result)
                write_record(folder, name, job, rows[path])
                _write_summary(folder, names, rows, others)
        found = tuple(rows.get(path, ()))
        yield BatchStep(path, name, state, message, found, done, len(names))
    everything = tuple(row for path in names for row in rows.get(path, ()))
    return BatchReport(everything, len(rows) - len(kept), len(kept), skipped)


@dataclass(frozen=True, eq=False)
class _How:
    """All that is the same for every image."""

    reference: Reference
    backbone: Backbone
    options: SegmentOptions
    like: ArrayLike | None

    def segment(self, path: Path) -> Segmentation | str:
        """Segment an image, or say why it cannot be used."""
        try:
            return segment(
                read_image(path),
                self.reference,
                self.backbone,
                self.options,
                like=self.like,
            )
        except (MemoryError, OSError, RuntimeError, ValueError) as error:
            reason = explain(error)
            if reason is None:
                raise
            return reason if str(path) in reason else f"{path}: {reason}"


def _check(
    reference: Reference,
    backbone: Backbone,
    options: SegmentOptions,
    like: ArrayLike | None,
) -> None:
    """Complain once, and not for every image."""
    reference.check_backbone(backbone.info)
    reference.check_objects()
    resolve_thresholds(reference, options.threshold)
    target_window(reference, options.window)
    if like is None or options.window != "histogram":
        target_plane(np.zeros((1, 1)), options.window, like)


def _kept_rows(names: dict[Path, str], folder: Path, settings: str) -> dict[Path, Rows]:
    kept = {}
    for path, name in names.items():
        if not path.is_file():
            continue
        rows = read_record(folder, name, Job.of(path, settings))
        if rows is not None:
            # As it is called now: elsewhere the same path is written otherwise.
            kept[path] = [{**row, "image": str(path)} for row in rows]
    return kept


def _write_summary(
    folder: Path, names: dict[Path, str], rows: dict[Path, Rows], others: Rows
) -> None:
    together = [*others, *(row for path in names for row in rows.get(path, ()))]
    write_table(folder / SUMMARY, together)
