"""`dinoprompt demo`: five prompts on a real stain, then on virtual stains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt._cli.messages import side_console
from napari_dinoprompt._cli.progress import progress_bar
from napari_dinoprompt.sample_data import FIELDS, sample_files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.metrics import Agreement, Extent
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation import Segmentation, SegmentOptions
    from napari_dinoprompt.core.streaming.segmentation import LargeSegmentation

__all__ = ["STAINS", "FieldStory", "StainResult", "tell_field", "write_demo"]

STAINS = {
    "nuclei_real": "real stain",
    "nuclei_fake_undertrained": "undertrained fake",
    "nuclei_fake_trained": "trained fake",
}
"""Role of each sample image that the reference is applied to, and what it shows."""

# A nucleus is about 20 to 40 pixels wide: with DINOv2's cells of 14 it needs enlarging.
_DINOV2_UPSCALE = 2.0
_MIN_SIZE = 30
# Of the prompts: few, for the story is to be told in half a minute.
_DRAWS = 3


@dataclass(frozen=True, eq=False)
class StainResult:
    """The reference applied to one image of a field.

    Attributes
    ----------
    title : str
        Which stain it is.
    path : Path
    image : (H, W) ndarray
    result : Segmentation or LargeSegmentation
    extent : Extent
    agreement : Agreement
        With the truth.
    """

    title: str
    path: Path
    image: NDArray[np.generic]
    result: Segmentation | LargeSegmentation
    extent: Extent
    agreement: Agreement


@dataclass(frozen=True, eq=False)
class FieldStory:
    """All that the demo shows of one sample field.

    Attributes
    ----------
    name : str
    reference : Reference
        Made from the prompts on the real stain.
    options : SegmentOptions
        How it is applied.
    truth : (H, W) ndarray of int32
        Instance labels of the drawn nuclei.
    truth_extent : Extent
    stains : tuple of StainResult
        The real stain first.
    """

    name: str
    reference: Reference
    options: SegmentOptions
    truth: NDArray[np.int32]
    truth_extent: Extent
    stains: tuple[StainResult, ...]


def tell_field(name: str, backbone: Backbone) -> FieldStory:
    """Make a reference on the real stain of a field and apply it to all its stains.

    Parameters
    ----------
    name : str
        One of the sample fields.
    backbone : Backbone

    Returns
    -------
    FieldStory
    """
    from napari_dinoprompt.core.extraction import extract_features
    from napari_dinoprompt.core.files.images import read_image
    from napari_dinoprompt.core.files.points import read_prompts
    from napari_dinoprompt.core.masks import Cleaning
    from napari_dinoprompt.core.metrics import measure_agreement, measure_extent
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation import SegmentOptions, segment

    files = sample_files(name)
    truth = read_image(files["nuclei_truth"]).astype(np.int32)
    prompts = read_prompts(files["prompts"])
    upscale = 1.0 if backbone.info.name == "filterbank" else _DINOV2_UPSCALE
    features = extract_features(
        read_image(files["nuclei_real"]), backbone, upscale=upscale
    )
    reference = Reference.from_prompts(
        features, prompts.points, prompts.classes, source=files["nuclei_real"].name
    )
    options = SegmentOptions(
        cleaning=Cleaning(min_size=_MIN_SIZE, fill_holes=True, split=True)
    )
    stains = []
    for role, title in STAINS.items():
        image = read_image(files[role])
        result = segment(image, reference, backbone, options)
        stains.append(
            StainResult(
                title=title,
                path=files[role],
                image=image,
                result=result,
                extent=measure_extent(result.mask, result.instances, 1),
                agreement=measure_agreement(result.mask, truth),
            )
        )
    return FieldStory(
        name=name,
        reference=reference,
        options=options,
        truth=truth,
        truth_extent=measure_extent((truth != 0).astype(np.uint8), truth, 1),
        stains=tuple(stains),
    )


def _compare(story: FieldStory, backbone: Backbone, folder: Path) -> None:
    """Compare the fakes of a field with the real stain and with the truth."""
    from napari_dinoprompt.core.comparing.comparison import compare
    from napari_dinoprompt.core.files.images import read_image

    real, *fakes = story.stains
    found = compare(
        real.image,
        [fake.image for fake in fakes],
        story.reference,
        backbone=backbone,
        truth=story.truth,
        options=story.options,
        names=[fake.title for fake in fakes],
        draws=_DRAWS,
    )
    found.save(folder, read_image(sample_files(story.name)["membrane"]))


def write_demo(folder: Path, backbone: Backbone) -> list[FieldStory]:
    """Compute both fields and write images, references, comparisons, figure and table.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    backbone : Backbone

    Returns
    -------
    list of FieldStory

    Raises
    ------
    DinopromptError, OSError
        If a file cannot be written.
    """
    from napari_dinoprompt._cli.demo_figure import draw_demo
    from napari_dinoprompt._cli.demo_table import demo_rows
    from napari_dinoprompt.core.files.atomic import check_place
    from napari_dinoprompt.core.files.results import write_segmentation, write_table

    check_place(folder)
    stories = []
    with progress_bar(side_console()) as bar:
        task = bar.add_task("", total=len(FIELDS) + 1)
        for name in FIELDS:
            bar.update(task, description=f"field {name}")
            story = tell_field(name, backbone)
            story.reference.save(folder / name)
            for stain in story.stains:
                write_segmentation(folder, stain.path.stem, stain.result)
            _compare(story, backbone, folder / "comparison" / name)
            stories.append(story)
            bar.advance(task)
        bar.update(task, description="figure")
        write_table(folder / "demo.csv", demo_rows(stories))
        draw_demo(folder / "demo.png", stories)
        bar.advance(task)
    return stories
