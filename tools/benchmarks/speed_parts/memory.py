"""Memory of one image and of large planes, each in a process of its own."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from speed_parts.pictures import large_plane
from speed_parts.processes import run_job
from speed_parts.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from speed_parts.settings import Settings


_STEPS = {
    "open": "opened, ready to click",
    "first": "click to the first result",
    "fill": "all regions after that",
    "clean": "cleaned, objects numbered",
}


def measure_memory(settings: Settings) -> Iterator[Row]:
    """Measure the memory of extracting and scoring one image.

    Parameters
    ----------
    settings : Settings

    Yields
    ------
    Row
    """
    side = max(settings.sizes)
    network = asdict(settings.network)
    network["checkpoint"] = network["checkpoint"] and str(network["checkpoint"])
    tools = ["ours", *(["peer"] if settings.peer else [])]
    for tool in tools:
        job = {"tool": tool, "side": side, "upscale": 1.0, "network": network}
        outcome = run_job("extract", job)
        ready = outcome.figures["ready"]
        steps = {
            "with the network loaded": ready,
            "peak": outcome.peak,
            "peak above the network": outcome.peak - ready,
            "kept, above the network": outcome.figures["scored"] - ready,
        }
        for quantity, size in steps.items():
            yield Row("memory", tool, quantity, size / 1e6, "MB", side)


def measure_large(settings: Settings) -> Iterator[Row]:
    """Time large planes on the disk, and measure the memory that they take.

    Parameters
    ----------
    settings : Settings

    Yields
    ------
    Row
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = settings.large_folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, side in settings.large:
            plane = large_plane(folder, side)
            job = {
                "backbone": name,
                "side": side,
                "path": str(folder / f"plane-{plane.shape[0]}.zarr"),
                "threads": settings.threads,
            }
            outcome = run_job("large", job)
            found = outcome.figures
            for key, quantity in _STEPS.items():
                yield Row("large", name, quantity, found[key], "s", side)
            total = sum(found[key] for key in _STEPS)
            yield Row("large", name, "all of it", total, "s", side)
            per_area = total / (side**2 / 1e6)
            yield Row("large", name, "for each million pixels", per_area, "s", side)
            yield Row("large", name, "peak memory", outcome.peak / 1e6, "MB", side)
            yield Row("large", name, "objects", found["objects"], "", side)
            parts = float(found["part_by_part"])
            yield Row("large", name, "done part by part", parts, "", side)
