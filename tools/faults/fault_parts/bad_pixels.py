"""Pixels that are not what an image should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def _numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, shape)


BAD_PIXELS: dict[str, Callable[[], np.ndarray]] = {
    "empty": lambda: np.empty((0, 40), np.uint8),
    "nothing but NaN": lambda: np.full((40, 50), np.nan, np.float32),
    "infinity": lambda: np.full((40, 50), np.inf, np.float32),
    "complex": lambda: _numbers(40, 50) + 1j,
    "objects": lambda: _numbers(40, 50).astype(object),
    "texts": lambda: _numbers(40, 50).astype(str),
    "bool": lambda: _numbers(40, 50) > 120,
    "dates": lambda: _numbers(40, 50).astype("datetime64[s]"),
    "one pixel": lambda: _numbers(1, 1),
    "one row": lambda: _numbers(1, 300),
    "one column": lambda: _numbers(300, 1).astype(np.uint16),
    "one dimension": lambda: _numbers(300),
    "five channels": lambda: _numbers(40, 50, 5),
    "float16": lambda: _numbers(40, 50).astype(np.float16),
    "uint64": lambda: _numbers(40, 50).astype(np.uint64) * 2**50,
    "big-endian": lambda: _numbers(40, 50).astype(">f8"),
    "1e300": lambda: _numbers(40, 50) * 1e300,
}
"""By what is wrong with them; some are only unusual."""
