"""`dinoprompt segment`: a reference applied to image files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from napari_dinoprompt._cli.messages import explain, say, side_console
from napari_dinoprompt._cli.naming import name_results
from napari_dinoprompt._cli.progress import progress_bar
from napari_dinoprompt._cli.results import write_segmentation, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from rich.console import Console

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.reference import Reference
    from napari_dinoprompt.core.segmentation import Segmentation, SegmentOptions

__all__ = ["load_backbone_of", "segment_files", "show_summary"]

SUMMARY = "segmentation.csv"


def load_backbone_of(
    reference: Reference, *, checkpoint: Path | None, device: str, precision: str
) -> Backbone:
    """Load the backbone that a reference was made with.

    Raises
    ------
    DinopromptError
        If its weights are not here or not the same.
    """
    from napari_dinoprompt.core.backbones import load_backbone

    info = reference.backbone
    backbone = load_backbone(
        info.name,
        checkpoint=checkpoint,
        device=device,
        precision=precision,
        block=info.block if info.block >= 0 else None,
    )
    reference.check_backbone(backbone.info)
    return backbone


def segment_files(
    images: Sequence[Path],
    folder: Path,
    reference: Reference,
    backbone: Backbone,
    options: SegmentOptions,
) -> tuple[list[dict[str, Any]], int]:
    """Segment images and write the results of each; one that can't be read is skipped.

    Parameters
    ----------
    images : sequence of Path
    folder : Path
        Made if it is not there. Its summary is complete after every image.
    reference : Reference
    backbone : Backbone
        The one of the reference.
    options : SegmentOptions

    Returns
    -------
    rows : list of dict
        The summary: one row per image and class.
    failed : int
        Images that were skipped; each was reported on stderr.

    Raises
    ------
    DinopromptError, OSError
        If no image can be done with these options, or results cannot be written.
    """
    from napari_dinoprompt.core.image_files import read_image
    from napari_dinoprompt.core.segmentation import segment

    names = name_results(images, folder)
    rows: list[dict[str, Any]] = []
    failed = 0
    console = side_console()
    with progress_bar(console) as bar:
        task = bar.add_task("segmenting", total=len(names))
        for path, name in names.items():
            bar.update(task, description=path.name)
            try:
                result = segment(read_image(path), reference, backbone, options)
            except (MemoryError, OSError, RuntimeError, ValueError) as error:
                reason = explain(error)
                if reason is None:
                    raise
                said = reason if str(path) in reason else f"{path}: {reason}"
                say(f"{said} Skipped.", console)
                failed += 1
            else:
                write_segmentation(folder, name, result)
                rows += summarise(path, name, result)
                write_table(folder / SUMMARY, rows)
            bar.advance(task)
    return rows, failed


def summarise(path: Path, name: str, result: Segmentation) -> list[dict[str, Any]]:
    """Describe the mask of an image.

    Parameters
    ----------
    path : Path
    name : str
        Of its results.
    result : Segmentation

    Returns
    -------
    list of dict
        One per object class.
    """
    from napari_dinoprompt.core.metrics import measure_extent

    rows = []
    for number, one in enumerate(result.similarities.names, start=1):
        extent = measure_extent(result.mask, result.instances, number)
        rows.append(
            {
                "image": str(path),
                "results": name,
                "class": one,
                "class_number": number,
                "threshold": result.thresholds[one],
                "objects": extent.objects,
                "pixels": extent.pixels,
                "area_fraction": extent.fraction,
            }
        )
    return rows


def show_summary(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """Print the summary as a table."""
    table = Table()
    table.add_column("results", overflow="fold")
    table.add_column("class", overflow="fold")
    for name in ("threshold", "objects", "area"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row["results"],
            row["class"],
            f"{row['threshold']:.3f}",
            str(row["objects"]),
            f"{row['area_fraction']:.1%}",
        )
    console.print(table)
