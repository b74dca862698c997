"""`dinoprompt reference`: from an image and its prompts to a reference file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_dinoprompt._cli.messages import side_console
from napari_dinoprompt._cli.progress import follow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.intensity import IntensityWindow

__all__ = ["ReferenceJob", "describe_reference", "write_reference"]


@dataclass(frozen=True)
class ReferenceJob:
    """What a reference is made of.

    Attributes
    ----------
    image, points, output : Path
    upscale : float
    window : IntensityWindow or None
        None takes it from the image.
    """

    image: Path
    points: Path
    output: Path
    upscale: float = 1.0
    window: IntensityWindow | None = None


def write_reference(job: ReferenceJob, load: Callable[[], Backbone]) -> Path:
    """Make a reference and save it.

    Parameters
    ----------
    job : ReferenceJob
    load : callable returning Backbone
        Called once the files have been read: a slip of the pen is told at once.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    DinopromptError
        If the image, the points or an option cannot be used, or the file cannot be
        written.
    """
    from napari_dinoprompt.core.files.atomic import check_place
    from napari_dinoprompt.core.files.images import open_image
    from napari_dinoprompt.core.files.points import read_prompts

    check_place(job.output.parent)
    prompts = read_prompts(job.points)
    image = open_image(job.image)
    # These import torch.
    from napari_dinoprompt.core.feature_sources import iter_any_features
    from napari_dinoprompt.core.references.reference import Reference

    steps = iter_any_features(image, load(), upscale=job.upscale, window=job.window)
    features = follow(steps, f"features of {job.image.name}", side_console())
    reference = Reference.from_prompts(
        features, prompts.points, prompts.classes, source=job.image.name
    )
    return reference.save(job.output)


def describe_reference(path: Path) -> str:
    """Say in one line what a reference file holds."""
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.thresholds import resolve_thresholds

    reference = Reference.load(path)
    counts = ", ".join(
        f"{reference.classes.count(name)} {name}" for name in reference.class_names
    )
    thresholds = ", ".join(
        f"{value:.3f}" for value in resolve_thresholds(reference).values()
    )
    text = f"{path}: {reference.backbone}; prompts: {counts}"
    return f"{text}; threshold: {thresholds}" if thresholds else text
