"""An image that was seen before: features from the disk."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.tiling.cache import TileCache
from speed_parts.extraction import count_tiles, precisions
from speed_parts.pictures import picture
from speed_parts.rows import Row
from speed_parts.timing import in_turn, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from speed_parts.settings import Settings


_LIMIT = 4_000_000_000


def measure_cache(settings: Settings) -> Iterator[Row]:
    """Time the first extraction of an image and the same again.

    Parameters
    ----------
    settings : Settings

    Yields
    ------
    Row
    """
    side = max(settings.sizes)
    image = picture(side, seed=2)
    for precision in precisions(settings):
        backbone = settings.network.load(precision)
        tiles = count_tiles(backbone, side, 1.0)
        first: list[float] = []
        again: list[float] = []
        rounds = max(1, settings.repeats // 2)
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                kept = replace(backbone, cache=TileCache(Path(folder), _LIMIT))
                works = {"once": lambda: extract_features(image, kept)}  # noqa: B023
                first += in_turn(works, 1, backbone.device)["once"]
                again += in_turn(works, 1, backbone.device)["once"]

        def row(
            tool: str,
            quantity: str,
            value: float,
            unit: str,
            precision: str = precision,
            runs: int = rounds,
        ) -> Row:
            return Row(
                *("cache", tool, quantity, value, unit), side, 1.0, precision, runs
            )

        yield row("first time", "time", median(first), "s")
        yield row("from the cache", "time", median(again), "s")
        yield row("from the cache", "speed", tiles / median(again), "tiles/s")
        yield row("from the cache", "gain", ratio(first, again), "x as fast")
