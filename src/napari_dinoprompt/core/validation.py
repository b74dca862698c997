"""What callers give, as arrays and numbers, or an error that says what is wrong."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# How much an image is enlarged, or that this is chosen by its objects.
Upscale = float | Literal["auto"]


def as_array(given: ArrayLike) -> NDArray[Any]:
    """Return anything that is an array or can be made one.

    A view where that is possible. What is masked becomes NaN, which is no data.
    """
    if isinstance(given, np.ma.MaskedArray) and given.dtype.kind in "buif":
        return _filled(given)
    try:
        return np.asarray(given)
    except (TypeError, ValueError) as error:
        msg = "This is no array: its rows are of different lengths."
        raise InputError(msg) from error


def _filled(given: Any) -> NDArray[Any]:
    if not np.ma.is_masked(given):
        return np.asarray(given)
    return np.asarray(given.astype(float_type(given.dtype)).filled(np.nan))


def float_type(dtype: np.dtype[Any]) -> type[np.float32 | np.float64]:
    """Choose the floating point numbers that hold those of an image exactly."""
    wide = dtype.itemsize > 2 and dtype != np.float32
    return np.float64 if wide else np.float32


def as_points(given: ArrayLike, *, lone: bool = False) -> NDArray[np.float64]:
    """Return points as an array of their own, which changes with nobody else's.

    given: (N, 2) array_like. Returns (N, 2) float64: no points may have any shape.
    """
    try:
        points = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = "Points are pairs of numbers (y, x), and these are not."
        raise InputError(msg) from error
    if lone and points.shape == (2,):
        return points[None]
    if points.size and (points.ndim != 2 or points.shape[1] != 2):
        msg = f"Points must be (N, 2), y and x of each, not of shape {points.shape}."
        raise InputError(msg)
    return points


def check_upscale(given: object) -> Upscale:
    """Return an upscale, unless it is neither a number above 0 nor ``"auto"``."""
    if isinstance(given, str) and given == "auto":
        return "auto"
    try:
        value = float(given) if isinstance(given, SupportsFloat) else math.nan
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0 < value < math.inf:
        msg = f"The upscale must be auto or a number above 0, not {given!r}."
        raise InputError(msg)
    return value


def check_seed(seed: int) -> None:
    """Refuse what chance cannot start from."""
    if whole_from_zero(seed) is None:
        raise InputError(f"The seed is a whole number from 0, not {seed}.")


def whole_from_zero(number: int) -> int | None:
    """Return a whole number that is not negative as Python's; None for any other."""
    try:
        whole = operator.index(number)
    except TypeError:
        return None
    return whole if whole >= 0 else None
