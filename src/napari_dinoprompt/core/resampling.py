"""Reading any part of an enlarged or reduced plane, mirrored beyond its edges.

The *canvas* is the picture that a backbone sees: canvas pixel n lies at
``(n + 0.5) / upscale - 0.5`` in image pixels. The factor is never rounded into a
whole number of pixels, so that any real upscale is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Taps", "mirror", "resample", "resampling_taps"]

# Catmull-Rom: interpolates and reproduces quadratics (Keys, IEEE TASSP 29, 1981).
_CUBIC_A = -0.5


@dataclass(frozen=True)
class Taps:
    """Which source pixels make each canvas pixel along one axis.

    Attributes
    ----------
    indices : (n, k) ndarray of int64
        Source pixels, inside the plane.
    weights : (n, k) ndarray of float32
        Rows sum to 1.
    """

    indices: NDArray[np.int64]
    weights: NDArray[np.float32]

    @property
    def span(self) -> slice:
        """The smallest contiguous run of source pixels that holds all indices."""
        return slice(int(self.indices.min()), int(self.indices.max()) + 1)


def mirror(indices: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Fold indices into [0, length) as if the plane were mirrored at its edges.

    The edge pixel is repeated (… 1 0 | 0 1 …), which is defined for every length
    down to 1.
    """
    folded = np.mod(indices, 2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(distance)
    near = (_CUBIC_A + 2) * x**3 - (_CUBIC_A + 3) * x**2 + 1
    far = _CUBIC_A * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def resampling_taps(start: int, stop: int, *, length: int, upscale: float) -> Taps:
    """Compute the taps of canvas pixels ``start`` to ``stop`` along one axis.

    Cubic convolution; when reducing, the kernel is widened by 1 / upscale against
    aliasing.
    """
    canvas = np.arange(start, stop)
    if upscale == 1:
        return Taps(
            mirror(canvas, length)[:, None], np.ones((len(canvas), 1), dtype=np.float32)
        )
    stretch = max(1.0, 1.0 / upscale)
    centres = (canvas + 0.5) / upscale - 0.5
    first = np.floor(centres - 2 * stretch).astype(np.int64) + 1
    count = int(np.ceil(4 * stretch))
    indices = first[:, None] + np.arange(count)
    weights = _cubic((indices - centres[:, None]) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    indices = mirror(indices, length)
    if count > length:
        indices, weights = _once_each(indices, weights, length)
    return Taps(indices, weights.astype(np.float32))


def _once_each(
    indices: NDArray[np.int64], weights: NDArray[np.float64], length: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Add up the weights of each source pixel: thousands of taps may mean a few."""
    rows = np.arange(len(indices))[:, None]
    summed = np.bincount(
        (rows * length + indices).ravel(),
        weights=weights.ravel(),
        minlength=len(indices) * length,
    ).reshape(-1, length)
    pixels = np.broadcast_to(np.arange(length), summed.shape)
    return pixels, summed.astype(np.float64)


def _along_first_axis(
    values: NDArray[np.float32], taps: Taps, offset: int
) -> NDArray[np.float32]:
    indices = taps.indices - offset
    if indices.shape[1] == 1:
        return values[indices[:, 0]]
    shape = (-1,) + (1,) * (values.ndim - 1)
    out = taps.weights[:, 0].reshape(shape) * values[indices[:, 0]]
    for tap in range(1, indices.shape[1]):
        out += taps.weights[:, tap].reshape(shape) * values[indices[:, tap]]
    return out


def resample(
    values: NDArray[np.float32], rows: Taps, columns: Taps
) -> NDArray[np.float32]:
    """Apply taps along both axes of the part of a plane that they span.

    values: (h, w) or (h, w, C) float32. Returns (n_rows, n_columns[, C]) float32:
    clipped to [0, 1]: cubic kernels overshoot at edges.
    """
    tall = _along_first_axis(values, rows, rows.span.start)
    wide = _along_first_axis(np.swapaxes(tall, 0, 1), columns, columns.span.start)
    return np.clip(np.swapaxes(wide, 0, 1), 0.0, 1.0)
