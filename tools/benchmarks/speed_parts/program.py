"""The benchmark from its settings to its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_dinoprompt.core.backbones.devices import choose_device
from speed_parts.caching import measure_cache
from speed_parts.clicks import measure_apply, measure_clicks
from speed_parts.extraction import measure_extraction, precisions
from speed_parts.memory import measure_large, measure_memory
from speed_parts.plots import write_plots
from speed_parts.profiling import profile_extraction
from speed_parts.rows import fill_document, machine, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from speed_parts.rows import Row
    from speed_parts.settings import Settings


def run_benchmark(settings: Settings, console: Console, command: str) -> list[Row]:
    """Measure what is asked for, and write it down after each part.

    Parameters
    ----------
    settings : Settings
    console : Console
    command : str
        What was typed, for the files.

    Returns
    -------
    list of Row

    Raises
    ------
    DinopromptError
        If something that is asked for is not here.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    settings.output.mkdir(parents=True, exist_ok=True)
    about = machine(choose_device(settings.network.device))
    rows: list[Row] = []
    for part in settings.parts:
        console.print(part)
        for row in _measure(part, settings, console):
            console.print(
                f"  {row.side or ''} x{row.upscale:g} {row.precision} {row.tool}: "
                f"{row.quantity} {row.value:.4g} {row.unit}",
                markup=False,
                soft_wrap=True,
            )
            rows.append(row)
            write_rows(settings.output, rows, about, command)
    write_plots(settings.output, rows)
    if settings.document is not None:
        fill_document(settings.document, rows)
    return rows


def _measure(part: str, settings: Settings, console: Console) -> Iterator[Row]:
    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    if part == "extraction":
        yield from measure_extraction(settings, say)
        if settings.profile:
            for precision in precisions(settings):
                yield from profile_extraction(
                    settings.network.load(precision),
                    max(settings.sizes),
                    precision,
                    settings.output,
                )
    elif part == "click":
        yield from measure_clicks(settings)
    elif part == "apply":
        yield from measure_apply(settings)
    elif part == "cache":
        yield from measure_cache(settings)
    elif part == "memory":
        yield from measure_memory(settings)
    elif part == "large":
        yield from measure_large(settings)
    else:
        # The measuring data are needed for this one only.
        from speed_parts.half import measure_half

        yield from measure_half(settings, say)
