"""Figures of a comparison in words: for tables on screen and on paper."""

from __future__ import annotations

import math

__all__ = ["say_figure", "say_interval"]

_COUNTS = {
    "objects_in_real",
    "objects_in_fake",
    "matched",
    "displaced",
    "only_in_real",
    "only_in_fake",
}
_DIGITS = {"mse": 4, "psnr": 1, "boundary_distance": 2, "area_ratio": 2}


def say_figure(key: str, value: float) -> str:
    """Write a figure as people read it."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    digits = 0 if key in _COUNTS else _DIGITS.get(key, 3)
    return f"{value:.{digits}f}"


def say_interval(key: str, interval: tuple[float, float] | None) -> str:
    """Write an interval; nothing where there is none."""
    if interval is None:
        return ""
    low, high = (say_figure(key, one) for one in interval)
    return f"[{low}, {high}]"
