"""What each figure of a comparison is called, means, comes from and looks like.

Written in columns.toml beside this, the one place for it: tooltips, headers of files
and the documentation are made of it.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

# Values of an agreement map.
NEITHER, BOTH, ONLY_IN_REAL, ONLY_IN_FAKE = range(4)
# The same in the dock and in files, for eyes that confuse red and green too: Okabe and
# Ito, Color Universal Design, 2008.
AGREEMENT_COLOURS = {BOTH: "#009E73", ONLY_IN_REAL: "#56B4E9", ONLY_IN_FAKE: "#D55E00"}

Group = Literal["pixels", "objects", "intensities", "features", "ranking"]
Better = Literal["higher", "lower", "none"]


@dataclass(frozen=True)
class Column:
    """One figure of a comparison.

    Attributes
    ----------
    key : str
        As in the dictionaries of `Measures` and in files.
    title : str
        For people's eyes.
    group : {"pixels", "objects", "intensities", "features", "ranking"}
        What is compared.
    better : {"higher", "lower", "none"}
        Which way a fake is more like the real; "none" where neither end is.
    meaning : str
        One plain sentence.
    source : str
        Citation.
    with_truth : str
        The title where the real side is labelled by hand; only then is what it lacks
        known to be wrong. Empty where the title stays.
    """

    key: str
    title: str
    group: Group
    better: Better
    meaning: str
    source: str
    with_truth: str = ""


_TABLE = tomllib.loads(files(__package__).joinpath("columns.toml").read_text("utf-8"))
# All figures, in the order in which tables show them.
COLUMNS = tuple(Column(**one) for one in _TABLE["figure"])

_COUNTS = {
    *("objects_in_real", "objects_in_fake", "matched"),
    *("displaced", "only_in_real", "only_in_fake"),
}
_DIGITS = {"mse": 4, "psnr": 1, "boundary_distance": 2, "area_ratio": 2}


def format_figure(key: str, value: float) -> str:
    """Write a figure as people read it."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    digits = 0 if key in _COUNTS else _DIGITS.get(key, 3)
    return f"{value:.{digits}f}"


def format_interval(key: str, interval: tuple[float, float] | None) -> str:
    """Write an interval; nothing where there is none."""
    if interval is None:
        return ""
    low, high = (format_figure(key, one) for one in interval)
    return f"[{low}, {high}]"
