"""What runs in threads beyond the image in view: applying and comparing references.

Calls into `core`, imported there and not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .library import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from napari_dinoprompt._qt.common.jobs import BackboneShelf
    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.backbones.load import BackboneChoice
    from napari_dinoprompt.core.batch.run import BatchReport, BatchStep
    from napari_dinoprompt.core.comparison.report import Comparison
    from napari_dinoprompt.core.images.lazy_plane import LazyPlane
    from napari_dinoprompt.core.masks.cleaning import Cleaning
    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.library import Entry
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation.segment import SegmentOptions, WindowPolicy


# Of the progress of one plane.
_STEPS = 100


@dataclass(frozen=True, eq=False)
class Means:
    """With what references are applied.

    Attributes
    ----------
    choice : Entry or Reference
    shelf : BackboneShelf
    backbone : BackboneChoice
        What the user works with; a reference of another backbone loads its own on the
        same device.
    window : {"reference", "image", "histogram"}
    read_like : callable returning (H, W) or (H, W, C) array_like, optional
        Of the image whose histogram is matched.
    cleaning : Cleaning
    """

    choice: Entry | Reference
    shelf: BackboneShelf
    backbone: BackboneChoice
    window: WindowPolicy
    read_like: Callable[[], ArrayLike] | None
    cleaning: Cleaning


@dataclass(frozen=True, eq=False)
class Target:
    """Planes of an image that a reference is applied to.

    Attributes
    ----------
    open_plane : callable from plane index to LazyPlane
    planes : list of plane index
    pixel_size : (float, float) or None
    """

    open_plane: Callable[[PlaneIndex], LazyPlane]
    planes: list[PlaneIndex]
    pixel_size: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class Applied:
    """One plane that is done.

    Attributes
    ----------
    target : int
        Which one.
    plane : plane index
    reference : Reference
    warnings : tuple of str
        What differs from the source of the reference.
    objects : int
        How many were found.
    levels : mapping of str to list of (h, w) array
        By *similarity*, *mask* and *instances*: of a large plane several each.
    """

    target: int
    plane: PlaneIndex
    reference: Reference
    warnings: tuple[str, ...]
    objects: int
    levels: Mapping[str, list[Any]]


def apply(
    means: Means, targets: Sequence[Target]
) -> Generator[Progress | Notice | Applied, None, int]:
    """Apply a reference to planes of several images; returns how many were done."""
    from napari_dinoprompt.core.progress import scaled_progress
    from napari_dinoprompt.core.segmentation.segment import iter_segment

    reference, backbone, options, like = yield from _prepare(means)
    todo = [(n, plane) for n, one in enumerate(targets) for plane in one.planes]
    for done, (number, plane) in enumerate(todo):
        target = targets[number]
        opened = target.open_plane(plane)
        steps = iter_segment(opened, reference, backbone, options, like=like)
        found = yield from scaled_progress(
            steps, _STEPS * done, _STEPS, _STEPS * len(todo)
        )
        warnings = reference.warnings_for(
            window=found.window, pixel_size=target.pixel_size
        )
        levels = yield from found.iter_levels()
        yield Applied(number, plane, reference, warnings, found.objects, levels)
    return len(todo)


def batch(
    means: Means, images: Sequence[Path], folder: Path
) -> Generator[Progress | BatchStep, None, BatchReport]:
    """Apply a reference to files; as `core.batch.segment_batch`."""
    from napari_dinoprompt.core.batch.run import find_images, segment_batch

    reference, backbone, options, like = yield from _prepare(means)
    files = find_images(images)
    return (
        yield from segment_batch(files, folder, reference, backbone, options, like=like)
    )


def compare(
    means: Means,
    read_real: Callable[[], ArrayLike],
    names: list[str],
    read_fakes: list[Callable[[], ArrayLike]],
    read_truth: Callable[[], ArrayLike] | None,
    class_name: str | None,
    draws: int,
) -> Generator[Progress | Notice, None, Comparison]:
    """Compare fakes with the real; as `core.comparison.compare.iter_compare`."""
    from napari_dinoprompt.core.comparison.compare import iter_compare

    reference, backbone, options, _ = yield from _prepare(means)
    return (
        yield from iter_compare(
            read_real(),
            [read() for read in read_fakes],
            reference,
            backbone=backbone,
            truth=None if read_truth is None else read_truth(),
            options=options,
            names=names,
            class_name=class_name,
            draws=draws,
        )
    )


def save_comparison(
    comparison: Comparison, folder: Path, read_input: Callable[[], ArrayLike] | None
) -> Generator[None, None, Path]:
    """Write tables, maps and the figure; as `Comparison.save`."""
    yield
    comparison.save(folder, None if read_input is None else read_input())
    return folder


def _prepare(
    means: Means,
) -> Generator[
    Progress, None, tuple[Reference, Backbone, SegmentOptions, ArrayLike | None]
]:
    """Read the reference and what is to be matched, and load its backbone."""
    from napari_dinoprompt.core.progress import Progress
    from napari_dinoprompt.core.segmentation.segment import SegmentOptions

    yield Progress(0, 0)
    reference = resolve(means.choice)
    backbone = means.shelf.get(means.backbone.fitting(reference.backbone))
    reference.check_backbone(backbone.info)
    options = SegmentOptions(window=means.window, cleaning=means.cleaning)
    like = None if means.read_like is None else means.read_like()
    return reference, backbone, options, like
