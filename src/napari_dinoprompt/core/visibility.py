"""Whether anything of an image can be seen in the intensity window of a reference.

An image of another type than the reference's source, of 16 bits instead of 8, say, is
all white or all black in its window. Nothing is found then, and nobody knows why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.intensity import thin_pixels
from napari_dinoprompt.core.progress import Notice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_dinoprompt.core.intensity import IntensityWindow

__all__ = ["notice_of_window"]

# Of the pixels that may still be seen: a hot one is not what is looked for.
_SEEN = 0.002
# An image whose type ends this far below the window is not of the source's type.
_FAR_BELOW = 4.0


def notice_of_window(
    parts: Iterable[NDArray[np.generic]], window: IntensityWindow
) -> Notice | None:
    """Say so if an image shows next to nothing in a window.

    None too for an image of a single grey value: it shows nothing in any window.
    """
    sample = [thin_pixels(part).ravel() for part in parts]
    values = np.concatenate(sample).astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    darkest, brightest = np.quantile(values, (_SEEN / 2, 1 - _SEEN / 2))
    if darkest == brightest:
        return None
    top = _end_of_type(sample[0].dtype, values)
    white = (values < window.high).mean() <= _SEEN
    black = (values > window.low).mean() <= _SEEN
    if not (white or black or top * _FAR_BELOW < window.high):
        return None
    return Notice(
        "The image's grey values lie outside the intensity window of the reference, "
        f"{window.low:g} to {window.high:g}, so that next to nothing is seen of it. If "
        "it is only stored in another way, take the window 'image' (--window image)."
    )


def _end_of_type(dtype: np.dtype[Any], values: NDArray[np.float64]) -> float:
    """Return the white of a type; of numbers with a point that is 1 or unknown."""
    if dtype.kind == "b":
        return 1.0
    if dtype.kind in "iu":
        # Of wide integers hardly ever all are used.
        return float(np.iinfo(dtype).max) if dtype.itemsize < 4 else np.inf
    return 1.0 if values.min() >= 0 and values.max() <= 1 else np.inf
