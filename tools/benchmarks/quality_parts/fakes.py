"""Pictures that show nothing, made in the likeness of a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.images.intensity import IntensityWindow


EMPTY = ("blank", "noise")
"""Nothing may be found in these."""

_SEED = 0


def draw_empty(
    kind: str, real: NDArray[np.generic], window: IntensityWindow
) -> NDArray[np.generic]:
    """Make a picture that shows nothing.

    Parameters
    ----------
    kind : {"blank", "noise"}
        The middle of the window everywhere, or Gaussian noise with the mean and
        standard deviation of the real picture, of a fixed seed.
    real : (H, W) or (H, W, C) ndarray
    window : IntensityWindow
        Of the real picture.

    Returns
    -------
    ndarray
        Of the shape and dtype of `real`.
    """
    if kind == "blank":
        values = np.full(real.shape, (window.low + window.high) / 2)
    else:
        rng = np.random.default_rng(_SEED)
        grey = real.astype(np.float64)
        values = rng.normal(grey.mean(), grey.std(), real.shape)
    if np.issubdtype(real.dtype, np.integer):
        limits = np.iinfo(str(real.dtype))
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(real.dtype)
