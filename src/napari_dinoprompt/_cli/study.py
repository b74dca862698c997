"""`dinoprompt study`: what prompts, place, resolution and threshold do to a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_dinoprompt._cli.messages import side_console
from napari_dinoprompt._cli.progress import follow
from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.intensity import IntensityWindow
    from napari_dinoprompt.core.studying.report import Study

__all__ = ["StudyJob", "show_study", "split_parts", "study_files"]

_TRIED = (1.0, 2.0, 4.0)


@dataclass(frozen=True)
class StudyJob:
    """What is studied.

    Attributes
    ----------
    image, points, output : Path
        The output is a folder.
    truth : Path or None
    upscales : tuple of float
        The first is used throughout, all are tried; of a single one also 1, 2 and 4.
    window : IntensityWindow or None
        None takes it from the image.
    others : tuple of Path
        Images of the same field with other numbers of pixels.
    orders : int
    parts : tuple of str
        Empty for all.
    class_name : str or None
    """

    image: Path
    points: Path
    output: Path
    truth: Path | None = None
    upscales: tuple[float, ...] = (1.0,)
    window: IntensityWindow | None = None
    others: tuple[Path, ...] = ()
    orders: int = 200
    parts: tuple[str, ...] = ()
    class_name: str | None = None


def study_files(job: StudyJob, load: Callable[[], list[Backbone]]) -> Study:
    """Study an image file and write the results.

    Parameters
    ----------
    job : StudyJob
    load : callable returning list of Backbone
        The first is used throughout, the others are tried. Called once the files have
        been read: a slip of the pen is told at once.

    Returns
    -------
    Study

    Raises
    ------
    DinopromptError
        If anything cannot be read, used or written.
    """
    from napari_dinoprompt.core.files.atomic import check_place
    from napari_dinoprompt.core.files.images import read_image
    from napari_dinoprompt.core.files.points import read_prompts

    check_place(job.output)
    _keep_inputs(job)
    prompts = read_prompts(job.points)
    image = read_image(job.image)
    truth = None if job.truth is None else read_image(job.truth)
    others = {path.name: read_image(path) for path in job.others}
    # These import torch.
    from napari_dinoprompt.core.studying.report import PARTS
    from napari_dinoprompt.core.studying.study import iter_study

    backbone, *backbones = load()
    steps = iter_study(
        image,
        prompts.points,
        prompts.classes,
        backbone,
        truth=truth,
        upscale=job.upscales[0],
        window=job.window,
        class_name=job.class_name,
        orders=job.orders,
        upscales=job.upscales if len(job.upscales) > 1 else _TRIED,
        backbones=backbones,
        others=others,
        parts=job.parts or PARTS,
    )
    found = follow(steps, f"studying {job.image.name}", side_console())
    found.save(job.output)
    return found


def split_parts(text: str) -> tuple[str, ...]:
    """Read a list of parts, separated by commas; "all" is an empty one."""
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    return () if words == ("all",) else words


def _keep_inputs(job: StudyJob) -> None:
    from napari_dinoprompt.core.studying.report import PARTS, study_paths

    written = set(study_paths(job.output.resolve(), job.parts or PARTS))
    for given in (job.image, job.points, job.truth, *job.others):
        if given is not None and given.resolve() in written:
            msg = (
                f"The results would overwrite {given}; choose another folder with "
                "--output."
            )
            raise InputError(msg)


def show_study(study: Study, console: Console) -> None:
    """Print the answers, one a line."""
    for sentence in study.sentences:
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)
