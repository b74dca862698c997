"""The same prompts at several upscales and with several backbones."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import fits_whole, iter_features
from napari_dinoprompt.core.images.alignment import check_same_field, match_labels
from napari_dinoprompt.core.images.plane import as_plane, plane_shape
from napari_dinoprompt.core.progress import Notice, Progress, scaled_progress
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.core.references.from_prompts import iter_reference
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.segmentation.similarities import score_classes

from .prompt_maps import iou

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.images.intensity import IntensityWindow


# Columns of the table; between them come rows and columns of cells.
_SETTING = ("name", "backbone", "upscale", "cell")
_FOUND = (
    *("seconds", "bytes", "threshold", "fraction"),
    *("objects", "width", "iou", "agreement"),
)
# Finding the clicked objects takes about as long as the features.
_PARTS, _EXTRACTING = 100, 50
# A cheaper setting whose IoU is this near to the best one is as good.
_AS_GOOD = 0.01
# Masks that agree this well differ at rims only.
_SAME = 0.9
# Objects need about this many cells across, or their rims are guessed.
_CELLS_ACROSS = 4.0


@dataclass(frozen=True, eq=False)
class Setting:
    """A way to compute features.

    Attributes
    ----------
    backbone : Backbone
    upscale : float
    """

    backbone: Backbone
    upscale: float

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.backbone.info.name} x{self.upscale:g}"


@dataclass(frozen=True, eq=False)
class Trial:
    """What one setting gives.

    Attributes
    ----------
    name : str
        Of backbone and upscale, or of an image of its own.
    backbone : str
    upscale : float
    own_image : bool
        Whether another image of the same field was used.
    cell : float
        Side of a cell in pixels of the image that is studied.
    cells : (int, int)
        Rows and columns.
    mask : (H, W) ndarray of bool
        At the automatic threshold, not cleaned, on the grid of the image.
    threshold : float
    seconds : float
        For extracting the features; nothing is taken from the disk.
    bytes : int
        Memory that the features take.
    fraction : float
        Share of the image in the mask.
    objects : int
        Connected regions.
    width : float
        Of the object that a typical pixel of the mask lies in, as of a disc, in
        pixels; NaN if there is none.
    iou : float
        With the truth; NaN without one.
    agreement : float
        IoU with the mask of the first trial.
    """

    name: str
    backbone: str
    upscale: float
    own_image: bool
    cell: float
    cells: tuple[int, int]
    mask: NDArray[np.bool_]
    threshold: float
    seconds: float
    bytes: int
    fraction: float
    objects: int
    width: float
    iou: float
    agreement: float


@dataclass(frozen=True, eq=False)
class Resolution:
    """The same prompts with several settings.

    Attributes
    ----------
    trials : tuple of Trial
        The first is what the others are compared with.
    best : int
        Index of the one that is recommended.
    sentence : str
        The recommendation in words.
    """

    trials: tuple[Trial, ...]
    best: int
    sentence: str

    def rows(self) -> list[dict[str, object]]:
        """Return one record per setting."""
        return [
            {
                **{name: getattr(one, name) for name in _SETTING},
                **dict(zip(("rows", "columns"), one.cells, strict=True)),
                **{name: getattr(one, name) for name in _FOUND},
                "recommended": int(k == self.best),
            }
            for k, one in enumerate(self.trials)
        ]


def list_settings(
    backbones: Sequence[Backbone], upscales: Iterable[float]
) -> list[Setting]:
    """List all that is tried; the first of both are in use."""
    factors = dict.fromkeys(float(factor) for factor in upscales)
    return [Setting(one, factor) for one in backbones for factor in factors]


def iter_resolution(
    image: ArrayLike,
    prompts: Prompts,
    settings: Sequence[Setting],
    *,
    window: IntensityWindow | None = None,
    truth: ArrayLike | None = None,
    class_name: str | None = None,
    others: Mapping[str, ArrayLike] | None = None,
    points_only: bool = False,
) -> Generator[Progress | Notice, None, Resolution]:
    """Try the same prompts at several upscales and with several backbones.

    The settings are compared with the first. `others` are images of the same field
    with other numbers of pixels, such as one that another program has enlarged: the
    prompts are scaled by the ratio of the sizes, the window is their own, and the
    first backbone sees them as they are.

    Takes image (H, W) or (H, W, 3 or 4), truth (H, W).
    """
    if not settings:
        raise InputError("There is no resolution to try; give at least one.")
    plane = as_plane(image)
    shape = plane_shape(plane)
    true = None if truth is None else np.asarray(truth) != 0
    if true is not None and true.shape != shape:
        raise InputError(f"The truth is {true.shape} pixels, the image {shape}.")
    tasks = [_Task(one.name, plane, one, window, own_image=False) for one in settings]
    for name, other in (others or {}).items():
        pixels = as_plane(other)
        check_same_field(shape, plane_shape(pixels))
        setting = Setting(settings[0].backbone, 1.0)
        tasks.append(_Task(name, pixels, setting, None, own_image=True))
    for task in tasks:
        _check_size(task)
    total = _PARTS * len(tasks)
    yield Progress(0, total)
    trials: list[Trial] = []
    for done, task in enumerate(tasks):
        first = trials[0].mask if trials else None
        steps = _try(
            task, prompts, shape, true, class_name, first, points_only=points_only
        )
        trial = yield from scaled_progress(steps, _PARTS * done, _PARTS, total)
        trials.append(trial)
        yield Progress(_PARTS * (done + 1), total)
    best, sentence = advise(trials)
    return Resolution(tuple(trials), best, sentence)


@dataclass(frozen=True, eq=False)
class _Task:
    """One image with one setting."""

    name: str
    plane: NDArray[np.generic]
    setting: Setting
    window: IntensityWindow | None
    own_image: bool


def _check_size(task: _Task) -> None:
    shape = plane_shape(task.plane)
    if not fits_whole(shape, task.setting.backbone, task.setting.upscale):
        raise InputError(
            f"{task.name} needs more memory than a study may take for an image of "
            f"{shape[0]} x {shape[1]} pixels; leave it out or study a part of the "
            "image."
        )


def _try(
    task: _Task,
    prompts: Prompts,
    shape: tuple[int, int],
    truth: NDArray[np.bool_] | None,
    class_name: str | None,
    first: NDArray[np.bool_] | None,
    *,
    points_only: bool,
) -> Generator[Progress | Notice, None, Trial]:
    backbone = _uncached(task.setting.backbone)
    started = time.perf_counter()
    extracting = iter_features(
        task.plane, backbone, upscale=task.setting.upscale, window=task.window
    )
    features = yield from scaled_progress(extracting, 0, _EXTRACTING, _PARTS)
    seconds = time.perf_counter() - started
    ratio = np.divide(plane_shape(task.plane), shape)
    # Edge to edge: pixel centres are at integers.
    points = (prompts.points + 0.5) * ratio - 0.5
    prompting = iter_reference(
        {(): features},
        Prompts.of(points, prompts.classes),
        features.measures,
        source="image",
        points_only=points_only,
    )
    rest = _PARTS - _EXTRACTING
    new = yield from scaled_progress(prompting, _EXTRACTING, rest, _PARTS)
    reference = Reference.of(new.fields)
    reference.check_objects()
    name = class_name or reference.object_classes[0]
    found = score_classes(features, reference)
    number = reference.object_classes.index(name) + 1
    own = found.mask(reference.auto_thresholds) == number
    mask = match_labels(own, shape)
    objects, width = _objects(mask)
    vectors = features.vectors
    return Trial(
        name=task.name,
        backbone=backbone.info.name,
        upscale=task.setting.upscale,
        own_image=task.own_image,
        cell=features.grid.cell / float(ratio[0]),
        cells=features.grid.cells,
        mask=mask,
        threshold=float(reference.auto_thresholds[name]),
        seconds=seconds,
        bytes=vectors.numel() * vectors.element_size(),
        fraction=float(mask.mean()),
        objects=objects,
        width=width,
        iou=math.nan if truth is None else iou(mask, truth),
        agreement=1.0 if first is None else iou(mask, first),
    )


def _uncached(backbone: Backbone) -> Backbone:
    """Return the backbone without what it has on disk: its time would not be told."""
    if backbone.cache is None or not is_dataclass(backbone):
        return backbone
    network: Any = backbone
    fresh: Backbone = replace(network, cache=None)
    return fresh


def _objects(mask: NDArray[np.bool_]) -> tuple[int, float]:
    """Count objects, and measure the one that a typical pixel of the mask lies in."""
    from scipy import ndimage as ndi

    labels, count = ndi.label(mask, np.ones((3, 3)))
    if count == 0:
        return 0, math.nan
    # Specks may outnumber objects, but their pixels do not.
    sizes = np.sort(np.bincount(labels.ravel())[1:])
    middle = int(np.searchsorted(np.cumsum(sizes), sizes.sum() / 2))
    return int(count), float(np.sqrt(4 * sizes[min(middle, count - 1)] / np.pi))


def advise(tried: Sequence[Trial]) -> tuple[int, str]:
    """Recommend one of the settings.

    With a truth, the fastest of those whose IoU is next to the best. Without, nobody
    can tell which mask is right: the fastest of those that agree with the first one
    if all do, else the one whose cells are just small enough for the objects.
    """
    if len(tried) == 1:
        return 0, f"Only {tried[0].name} was tried: there is nothing to compare with."
    known = np.array([one.iou for one in tried])
    agreements = [one.agreement for one in tried]
    seconds = np.array([one.seconds for one in tried])
    if np.isfinite(known).all():
        good = np.flatnonzero(known >= known.max() - _AS_GOOD)
        best = int(good[np.argmin(seconds[good])])
        text = (
            f"Take {tried[best].name}: IoU {known[best]:.3f} in {_time(seconds[best])}."
        )
        top = int(np.argmax(known))
        if top != best:
            text += (
                f" {tried[top].name} has {known[top]:.3f}, but takes "
                f"{_time(seconds[top])}."
            )
        elif best != 0:
            text += f" {tried[0].name} has {known[0]:.3f}."
        return best, text
    if min(agreements) >= _SAME:
        best = int(np.argmin(seconds))
        return best, (
            f"All masks agree with that of {tried[0].name} to an IoU of at least "
            f"{min(agreements):.2f}: the resolution matters little, and "
            f"{tried[best].name} is the fastest ({_time(seconds[best])})."
        )
    across = np.array([one.width / one.cell for one in tried])
    fine = np.flatnonzero(across >= _CELLS_ACROSS)
    best = (
        int(fine[np.argmin(seconds[fine])])
        if len(fine)
        else int(np.argmax(np.nan_to_num(across)))
    )
    least = int(np.argmin(agreements))
    return best, (
        f"The masks differ: {tried[least].name} and {tried[0].name} agree to an IoU of "
        f"{agreements[least]:.2f}. Without a truth only your eyes can tell which is "
        f"right; look at {tried[best].name} first, where objects are about "
        f"{across[best]:.0f} cells across ({_time(seconds[best])})."
    )


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 99.5 else f"{seconds / 60:.0f} min"
