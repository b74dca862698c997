"""What runs in threads beyond the image in view: applying and comparing references.

Calls into `core`, imported there and not before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from napari_dinoprompt._qt import library_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from napari_dinoprompt._qt.steps import BackboneShelf
    from napari_dinoprompt.core.backbones import Backbone, BackboneChoice
    from napari_dinoprompt.core.batch import BatchReport, BatchStep
    from napari_dinoprompt.core.comparing.report import Comparison
    from napari_dinoprompt.core.library import Entry
    from napari_dinoprompt.core.masks import Cleaning
    from napari_dinoprompt.core.progress import Progress
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.reference import Reference
    from napari_dinoprompt.core.segmentation import (
        Segmentation,
        WindowPolicy,
    )

__all__ = [
    "Applied",
    "Means",
    "Target",
    "apply",
    "batch",
    "compare",
    "save_comparison",
]

T = TypeVar("T")

_IMAGES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")


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
    read_plane : callable from plane index to (H, W) or (H, W, C) array_like
    planes : list of plane index
    pixel_size : (float, float) or None
    """

    read_plane: Callable[[PlaneIndex], ArrayLike]
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
    segmentation : Segmentation
    warnings : tuple of str
        What differs from the source of the reference.
    objects : int
        How many were found.
    """

    target: int
    plane: PlaneIndex
    reference: Reference
    segmentation: Segmentation
    warnings: tuple[str, ...]
    objects: int


def apply(
    means: Means, targets: Sequence[Target]
) -> Generator[Progress | Applied, None, int]:
    """Apply a reference to planes of several images; returns how many were done."""
    from napari_dinoprompt.core.progress import Progress
    from napari_dinoprompt.core.segmentation import SegmentOptions, iter_segment

    yield Progress(0, 0)
    reference, backbone = _prepare(means)
    like = None if means.read_like is None else means.read_like()
    options = SegmentOptions(window=means.window, cleaning=means.cleaning)
    todo = [(n, plane) for n, one in enumerate(targets) for plane in one.planes]
    for done, (number, plane) in enumerate(todo):
        target = targets[number]
        pixels = target.read_plane(plane)
        tiles = iter_segment(pixels, reference, backbone, options, like=like)
        found = yield from _count(tiles, done, len(todo))
        warnings = reference.warnings_for(
            window=found.similarities.window, pixel_size=target.pixel_size
        )
        objects = int(found.instances.max(initial=0))
        yield Applied(number, plane, reference, found, warnings, objects)
    return len(todo)


def _count(
    tiles: Generator[Progress, None, T], done: int, total: int
) -> Generator[Progress, None, T]:
    """Turn progress in the tiles of one plane of several into that of all."""
    from napari_dinoprompt.core.progress import Progress

    while True:
        try:
            said = next(tiles)
        except StopIteration as finished:
            found: T = finished.value
            return found
        yield Progress(done * said.total + said.done, total * said.total)


def batch(
    means: Means, images: Sequence[Path], folder: Path
) -> Generator[Progress | BatchStep, None, BatchReport]:
    """Apply a reference to files; as `core.batch.segment_batch`."""
    from napari_dinoprompt.core.batch import segment_batch
    from napari_dinoprompt.core.errors import InputError
    from napari_dinoprompt.core.progress import Progress
    from napari_dinoprompt.core.segmentation import SegmentOptions

    yield Progress(0, 0)
    reference, backbone = _prepare(means)
    like = None if means.read_like is None else means.read_like()
    options = SegmentOptions(window=means.window, cleaning=means.cleaning)
    files = [path for one in images for path in _files(one)]
    if not files:
        msg = f"There are no images in {images[0]}."
        raise InputError(msg)
    return (
        yield from segment_batch(files, folder, reference, backbone, options, like=like)
    )


def _files(path: Path) -> list[Path]:
    """Return the images in a folder but for results of a batch, or the file itself."""
    if not path.is_dir():
        return [path]
    from napari_dinoprompt.core.batch_records import results_in

    results = results_in(path)
    found = (one for one in path.iterdir() if one.suffix.lower() in _IMAGES)
    return sorted(one for one in found if one not in results)


def compare(
    means: Means,
    read_real: Callable[[], ArrayLike],
    names: list[str],
    read_fakes: list[Callable[[], ArrayLike]],
    read_truth: Callable[[], ArrayLike] | None,
    class_name: str | None,
    draws: int,
) -> Generator[Progress, None, Comparison]:
    """Compare fakes with the real; as `core.comparing.comparison.iter_compare`."""
    from napari_dinoprompt.core.comparing.comparison import iter_compare
    from napari_dinoprompt.core.progress import Progress
    from napari_dinoprompt.core.segmentation import SegmentOptions

    yield Progress(0, 0)
    reference, backbone = _prepare(means)
    return (
        yield from iter_compare(
            read_real(),
            [read() for read in read_fakes],
            reference,
            backbone=backbone,
            truth=None if read_truth is None else read_truth(),
            options=SegmentOptions(window=means.window, cleaning=means.cleaning),
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


def _prepare(means: Means) -> tuple[Reference, Backbone]:
    """Read the reference and load the backbone that it was made with."""
    reference = library_steps.resolve(means.choice)
    info = reference.backbone
    choice = means.backbone
    if choice.name != info.name:
        choice = replace(choice, name=info.name, checkpoint=None)
    backbone = means.shelf.get(choice)
    if backbone.info.block != info.block and info.block >= 0:
        from napari_dinoprompt.core.backbones import load_backbone

        backbone = load_backbone(
            choice.name,
            checkpoint=choice.checkpoint,
            weights_folder=choice.weights_folder,
            device=choice.device,
            precision=choice.precision,
            block=info.block,
        )
    reference.check_backbone(backbone.info)
    return reference, backbone
