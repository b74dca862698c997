"""What runs in threads for the prompt study: calls into `core`, imported there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt._qt.job_work import BackboneShelf
    from napari_dinoprompt.core.backbones import BackboneChoice
    from napari_dinoprompt.core.prepared import PreparedPlanes
    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.studying.resolution import Resolution, Setting
    from napari_dinoprompt.core.studying.subject import Subject

__all__ = ["StudyMeans", "StudyOptions", "save_plot", "save_table", "study"]

SUGGESTION_KEYS = ("rank", "y", "x", "likely", "settles", "similarity", "reason")
"""The columns of a table of suggestions that has no line."""


@dataclass(frozen=True, eq=False)
class StudyOptions:
    """What the user chose for a part of the study.

    Attributes
    ----------
    orders : int
        In which prompts are added.
    upscales : tuple of float
        That are tried, beside the one in use.
    backbones : tuple of str
        That are tried, beside the one in use.
    other_name : str
    read_other : callable returning (h, w) or (h, w, C) array_like, optional
        The same field with another number of pixels, and its name.
    """

    orders: int = 200
    upscales: tuple[float, ...] = (1.0, 2.0, 4.0)
    backbones: tuple[str, ...] = ()
    other_name: str = ""
    read_other: Callable[[], ArrayLike] | None = None


@dataclass(frozen=True, eq=False)
class StudyMeans:
    """What is studied.

    Attributes
    ----------
    planes : PreparedPlanes
    view : plane index
        The plane that is studied.
    reference : Reference
        Of all prompts.
    class_name : str or None
        None is the first.
    read_plane : callable returning (H, W) or (H, W, C) array_like
    read_truth : callable returning (H, W) array_like, optional
    shelf : BackboneShelf
    backbone : BackboneChoice
        In use.
    upscale : float
        In use.
    """

    planes: PreparedPlanes
    view: PlaneIndex
    reference: Reference
    class_name: str | None
    read_plane: Callable[[], ArrayLike]
    read_truth: Callable[[], ArrayLike] | None
    shelf: BackboneShelf
    backbone: BackboneChoice
    upscale: float


def study(
    part: str, means: StudyMeans, options: StudyOptions
) -> Generator[Progress | Notice, None, tuple[Any, NDArray[np.float32]]]:
    """Do one part of the study; returns what was found, and the light of the plane."""
    from napari_dinoprompt.core.progress import Progress

    yield Progress(0, 0)
    light = means.planes[means.view].whole.light.cpu().numpy()
    if part == "resolution":
        return (yield from _resolution(means, options)), light
    subject = _subject(means)
    if part == "convergence":
        from napari_dinoprompt.core.studying.convergence import iter_convergence

        return (yield from iter_convergence(subject, orders=options.orders)), light
    if part == "influence":
        from napari_dinoprompt.core.studying.influence import iter_influence

        return (yield from iter_influence(subject)), light
    if part == "suggestion":
        from napari_dinoprompt.core.studying.suggestion import iter_suggestions

        return (yield from iter_suggestions(subject)), light
    from napari_dinoprompt.core.studying.threshold import iter_threshold

    return (yield from iter_threshold(subject)), light


def save_table(part: str, found: Any, path: Path) -> Generator[None, None, Path]:
    """Write the table of a part; as `core.studying.files.save_table`."""
    from napari_dinoprompt.core.studying import files

    yield
    keys = SUGGESTION_KEYS if part == "suggestion" else None
    return files.save_table(path, found.rows(), keys)


def save_plot(
    part: str, found: Any, light: NDArray[np.float32], path: Path
) -> Generator[None, None, Path]:
    """Write the figure of a part, the one that `Study.save` writes."""
    from napari_dinoprompt.core.studying import files
    from napari_dinoprompt.core.studying.report import PARTS, Study

    yield
    parts: dict[str, Any] = dict.fromkeys(PARTS) | {part: found}
    figure = Study(**parts, light=light, settings={}).figures()[part]
    return files.save_figure(path, figure)


def _subject(means: StudyMeans) -> Subject:
    from napari_dinoprompt.core.studying.subject import make_subject

    plane, reference = means.planes[means.view], means.reference
    measures = means.planes.measures(reference.planes)
    return make_subject(
        plane.whole,
        reference,
        truth=_truth(means),
        class_name=means.class_name,
        plane=means.view,
        lengths=plane.lengths(measures),
    )


def _truth(means: StudyMeans) -> ArrayLike | None:
    return None if means.read_truth is None else means.read_truth()


def _resolution(
    means: StudyMeans, options: StudyOptions
) -> Generator[Progress | Notice, None, Resolution]:
    import numpy as np

    from napari_dinoprompt.core.prompts import Prompts
    from napari_dinoprompt.core.studying.resolution import iter_resolution

    reference = means.reference
    prompts = Prompts(reference.points, reference.classes, reference.planes)
    here = [plane == means.view for plane in reference.planes]
    others = {}
    if options.read_other is not None:
        others[options.other_name] = options.read_other()
    return (
        yield from iter_resolution(
            means.read_plane(),
            prompts.keep(np.array(here)),
            _settings(means, options),
            window=means.planes[means.view].whole.window,
            truth=_truth(means),
            class_name=means.class_name,
            others=others,
        )
    )


def _settings(means: StudyMeans, options: StudyOptions) -> list[Setting]:
    """List what is tried; what is in use comes first."""
    from napari_dinoprompt.core.studying.resolution import Setting

    names = [one for one in options.backbones if one != means.backbone.name]
    # Not through the shelf, which would let go of the one in use.
    rest = [replace(means.backbone, name=one, checkpoint=None).load() for one in names]
    backbones = [means.shelf.get(means.backbone), *rest]
    factors = dict.fromkeys((means.upscale, *options.upscales))
    return [Setting(one, factor) for one in backbones for factor in factors]
