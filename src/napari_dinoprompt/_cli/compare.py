"""`dinoprompt compare`: virtual stains against the real one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from napari_dinoprompt._cli.messages import side_console
from napari_dinoprompt._cli.progress import follow
from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.comparing.columns import Column
    from napari_dinoprompt.core.comparing.measures import Report
    from napari_dinoprompt.core.comparing.report import Comparison
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation import SegmentOptions

__all__ = ["CompareJob", "compare_files", "show_comparison"]


@dataclass(frozen=True)
class CompareJob:
    """What is compared.

    Attributes
    ----------
    real : Path
    fakes : tuple of Path
    output : Path
        A folder.
    truth, input_image : Path or None
    draws : int
        Of the prompts.
    class_name : str or None
    """

    real: Path
    fakes: tuple[Path, ...]
    output: Path
    truth: Path | None = None
    input_image: Path | None = None
    draws: int = 20
    class_name: str | None = None


def compare_files(
    job: CompareJob, reference: Reference, backbone: Backbone, options: SegmentOptions
) -> Comparison:
    """Compare image files and write the results.

    Parameters
    ----------
    job : CompareJob
    reference : Reference
    backbone : Backbone
        The one of the reference.
    options : SegmentOptions

    Returns
    -------
    Comparison

    Raises
    ------
    DinopromptError
        If anything cannot be read, used or written.
    """
    from napari_dinoprompt.core.comparing.comparison import iter_compare
    from napari_dinoprompt.core.files.atomic import check_place
    from napari_dinoprompt.core.files.images import read_image
    from napari_dinoprompt.core.files.result_names import name_results

    check_place(job.output)
    names = name_results(job.fakes, job.output)
    _keep_inputs(job, list(names.values()))
    shown = None if job.input_image is None else read_image(job.input_image)
    steps = iter_compare(
        read_image(job.real),
        [read_image(path) for path in names],
        reference,
        backbone=backbone,
        truth=None if job.truth is None else read_image(job.truth),
        options=options,
        names=list(names.values()),
        class_name=job.class_name,
        draws=job.draws,
    )
    found = follow(steps, "comparing", side_console())
    found.save(job.output, shown)
    return found


def _keep_inputs(job: CompareJob, names: list[str]) -> None:
    from napari_dinoprompt.core.comparing.report import comparison_paths

    written = set(comparison_paths(job.output.resolve(), names))
    for given in (job.real, *job.fakes, job.truth, job.input_image):
        if given is not None and given.resolve() in written:
            msg = (
                f"The results would overwrite {given}; choose another folder with "
                "--output."
            )
            raise InputError(msg)


def show_comparison(comparison: Comparison, console: Console) -> None:
    """Print all figures, one a line, with their intervals and the noise floor."""
    against = "the truth" if comparison.truth is not None else "the mask of the real"
    console.print(f"{comparison.class_name}, compared with {against}", soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("figure")
    for report in comparison.rows:
        table.add_column(report.name, justify="right", overflow="fold")
    if comparison.noise_floor:
        table.add_column("noise floor (95 %)", justify="right")
    previous = ""
    for one in comparison.columns:
        if previous and one.group != previous:
            table.add_section()
        previous = one.group
        table.add_row(*_line(comparison, one))
    console.print(table)
    if comparison.note:
        console.print(comparison.note, soft_wrap=True)
    else:
        console.print(
            "In brackets: 95 % of other draws of the prompts. Noise floor: the real "
            "against itself under such draws, and what 95 % of them keep to.",
            soft_wrap=True,
        )


def _line(comparison: Comparison, one: Column) -> list[str]:
    from napari_dinoprompt.core.comparing.columns import say_figure

    cells = [comparison.title(one), *(_cell(row, one) for row in comparison.rows)]
    if comparison.noise_floor:
        median, bound = comparison.noise_floor[one.key]
        cells.append(f"{say_figure(one.key, median)} ({say_figure(one.key, bound)})")
    return cells


def _cell(report: Report, one: Column) -> str:
    from napari_dinoprompt.core.comparing.columns import say_figure, say_interval

    figure = say_figure(one.key, report.measures.figures[one.key])
    return f"{figure} {say_interval(one.key, report.intervals.get(one.key))}".rstrip()
