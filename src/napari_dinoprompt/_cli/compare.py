"""`dinoprompt compare`: virtual stains against the real one.

dinoprompt compare real.tif fake.tif --reference nuclei.reference.safetensors \
--output comparison --min-size 20 --fill-holes --split

dinoprompt compare real.tif epoch_*.tif --reference nuclei.reference.safetensors \
--output comparison --truth labels.tif --input membrane.tif \
--min-size 20 --fill-holes --split

Written: comparison.csv (all figures and their intervals), comparison.json (the same, \
what each figure means, settings and noise floor), objects.csv (objects without a \
partner), comparison.png and .pdf, and per fake NAME_agreement.tif (1 in both masks, 2 \
only in the real, 3 only in the fake), NAME_ssim.tif, NAME_squared_error.tif and \
NAME_feature_distance.tif. Without --truth the mask of the real, itself an estimate, \
is what the fakes are compared with.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .console import follow, results_console, say, tell

if TYPE_CHECKING:
    from napari_dinoprompt.core.comparison.report import Comparison


def compare(
    real: Annotated[Path, typer.Argument(help="The real stain.")],
    fakes: Annotated[
        list[Path],
        typer.Argument(help="Virtual stains of the same field, of any pixel count."),
    ],
    reference: options.ReferenceFile,
    output: options.OutputFolder,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Labels of the objects that are really there, or a mask of them. "
            "The fakes, and the real too, are then compared with these."
        ),
    ] = None,
    input_image: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="What the fakes were generated from; it is shown in the figure.",
        ),
    ] = None,
    draws: Annotated[
        int,
        typer.Option(
            help="How many times the prompts are drawn anew, for intervals and noise "
            "floor; 0 for none.",
            min=0,
        ),
    ] = 20,
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class", help="Which class to compare. (default: the reference's first)"
        ),
    ] = None,
    series: options.Series = None,
    channel: options.Channel = None,
    window: options.Window = "reference",
    min_size: options.MinSize = 0,
    fill_holes: options.FillHoles = False,
    split: options.Split = False,
    checkpoint: options.Checkpoint = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Compare virtual stains with the real stain of the same field.

    The same reference, with its statistics and its threshold, is applied to all.
    Every figure comes with its interval over other draws of the prompts, and with its
    noise floor: the real against itself under such draws.
    """
    # A slip of the pen is told before torch is loaded.
    seen = options.parse_target_window(window)
    from napari_dinoprompt.core.batch.records import name_results
    from napari_dinoprompt.core.comparison.compare import iter_compare
    from napari_dinoprompt.core.comparison.report import comparison_paths, is_unfinished
    from napari_dinoprompt.core.io.atomic import check_place
    from napari_dinoprompt.core.io.pick import Pick
    from napari_dinoprompt.core.io.read import read_image, read_labels
    from napari_dinoprompt.core.masks.cleaning import Cleaning
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation.segment import (
        SegmentOptions,
        fitting_backbone,
    )

    cleaning = Cleaning(min_size, fill_holes, split)
    loaded = Reference.load(reference)
    choice = options.choose_backbone(
        loaded.backbone.name, checkpoint, device, precision
    )
    backbone = fitting_backbone(loaded, choice.fitting(loaded.backbone).load())
    check_place(output)
    if is_unfinished(output):
        say(f"the comparison in {output} did not finish; it is made anew.")
    pick = Pick(series, channel)
    named = name_results(fakes, output)
    names = list(named.values())
    options.refuse_overwriting(
        comparison_paths(output.resolve(), names), (real, *fakes, truth, input_image)
    )
    shown = None if input_image is None else read_image(input_image)
    steps = iter_compare(
        read_image(real, pick),
        [read_image(path, pick) for path in named],
        loaded,
        backbone=backbone,
        truth=None if truth is None else read_labels(truth),
        options=SegmentOptions(window=seen, cleaning=cleaning),
        names=names,
        class_name=class_name,
        draws=draws,
    )
    found = follow(steps, "comparing")
    found.save(output, shown)
    _show(found)
    tell(f"Written to {output.resolve()}")


def _show(comparison: Comparison) -> None:
    """Print all figures, one a line, with their intervals and the noise floor."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from napari_dinoprompt.core.comparison.columns import format_figure, format_interval

    against = "the truth" if comparison.truth is not None else "the mask of the real"
    tell(f"{comparison.class_name}, compared with {against}")
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
        cells = [
            f"{format_figure(one.key, report.measures.figures[one.key])} "
            f"{format_interval(one.key, report.intervals.get(one.key))}".rstrip()
            for report in comparison.rows
        ]
        if comparison.noise_floor:
            median, bound = (
                format_figure(one.key, value)
                for value in comparison.noise_floor[one.key]
            )
            cells.append(f"{median} ({bound})")
        table.add_row(comparison.title(one), *cells)
    results_console().print(table)
    tell(
        comparison.note
        or "In brackets: 95 % of other draws of the prompts. Noise floor: the real "
        "against itself under such draws, and what 95 % of them keep to."
    )
