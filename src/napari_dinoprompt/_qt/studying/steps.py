"""What runs in threads for the prompt study: calls into `core`, imported there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_dinoprompt import layers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path
    from weakref import ref

    import numpy as np
    from napari.layers import Labels
    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt._qt.job_work import BackboneShelf
    from napari_dinoprompt.core.prepared import PreparedPlanes
    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.studying.resolution import Resolution
    from napari_dinoprompt.session import FeatureRequest, ImageState, PromptSnapshot

__all__ = ["StudyKey", "StudyOptions", "StudyResult", "save", "study"]


@dataclass(frozen=True, eq=False)
class StudyOptions:
    """What the user chose for a part of the study, beside what is in use."""

    orders: int = 200
    upscales: tuple[float, ...] = (1.0, 2.0, 4.0)
    backbones: tuple[str, ...] = ()
    other_name: str = ""
    read_other: Callable[[], ArrayLike] | None = None
    """Reads the same field with another number of pixels."""


@dataclass(frozen=True, eq=False)
class StudyKey:
    """What a result is about."""

    state: ImageState
    planes: ref[PreparedPlanes]
    """Features take much memory: a result must not keep them."""
    view: PlaneIndex
    request: FeatureRequest
    snapshot: PromptSnapshot | None
    reference: Reference
    thresholds: Mapping[str, float]
    """That the user set."""
    truth: Labels | None
    truth_edits: int
    """How often a truth had other pixels."""
    class_name: str


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a part of the study found, and the (H, W) light of the plane for figures."""

    part: str
    key: StudyKey
    found: Any
    light: NDArray[np.float32]


def study(
    part: str,
    key: StudyKey,
    options: StudyOptions,
    planes: PreparedPlanes,
    shelf: BackboneShelf,
    read_truth: Callable[[], ArrayLike] | None,
) -> Generator[Progress | Notice, None, StudyResult]:
    """Do one part of the study."""
    from napari_dinoprompt.core.progress import Progress
    from napari_dinoprompt.core.studying.convergence import iter_convergence
    from napari_dinoprompt.core.studying.influence import iter_influence
    from napari_dinoprompt.core.studying.subject import make_subject
    from napari_dinoprompt.core.studying.threshold import iter_threshold

    yield Progress(0, 0)
    plane, reference = planes[key.view], key.reference
    truth = None if read_truth is None else read_truth()
    steps: Generator[Progress | Notice, None, Any]
    if part == "resolution":
        steps = _try_resolutions(key, options, planes, shelf, truth)
    else:
        subject = make_subject(
            plane.whole,
            reference,
            truth=truth,
            class_name=key.class_name or None,
            plane=key.view,
            lengths=plane.lengths(planes.measures(reference.planes)),
        )
        if part == "convergence":
            steps = iter_convergence(subject, orders=options.orders)
        elif part == "influence":
            steps = iter_influence(subject)
        else:
            steps = iter_threshold(subject)
    found = yield from steps
    return StudyResult(part, key, found, plane.whole.light.cpu().numpy())


def _try_resolutions(
    key: StudyKey,
    options: StudyOptions,
    planes: PreparedPlanes,
    shelf: BackboneShelf,
    truth: ArrayLike | None,
) -> Generator[Progress | Notice, None, Resolution]:
    """Try what is in use first, then what the user has ticked."""
    import numpy as np

    from napari_dinoprompt.core.prompts import Prompts
    from napari_dinoprompt.core.studying.resolution import (
        iter_resolution,
        list_settings,
    )

    reference, used = key.reference, key.request.backbone
    prompts = Prompts(reference.points, reference.classes, reference.planes)
    here = [plane == key.view for plane in reference.planes]
    others = {}
    if options.read_other is not None:
        others[options.other_name] = options.read_other()
    image = layers.read_plane(key.state.image, key.view)
    # Not through the shelf, which would let go of the one in use.
    rest = [
        replace(used, name=name, checkpoint=None).load()
        for name in options.backbones
        if name != used.name
    ]
    return (
        yield from iter_resolution(
            image,
            prompts.keep(np.array(here)),
            list_settings(
                [shelf.get(used), *rest], (key.request.upscale, *options.upscales)
            ),
            window=planes[key.view].whole.window,
            truth=truth,
            class_name=key.class_name or None,
            others=others,
        )
    )


def save(result: StudyResult, path: Path, *, plot: bool) -> Generator[None, None, Path]:
    """Write the table of a part, or its plot: those that `Study.save` writes."""
    from napari_dinoprompt.core.comparing.figure import render
    from napari_dinoprompt.core.files.atomic import write_bytes
    from napari_dinoprompt.core.files.tables import as_csv
    from napari_dinoprompt.core.studying.figures import draw_figure

    yield
    if plot:
        figure = draw_figure(result.part, result.found, result.light)
        content = render(figure, path.suffix.lstrip(".").lower())
    else:
        content = as_csv(result.found.rows())
    return write_bytes(path, content)
