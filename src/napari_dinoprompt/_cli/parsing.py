"""From what is typed on the command line to what `core` takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from napari_dinoprompt.core.intensity import IntensityWindow
    from napari_dinoprompt.core.segmentation import SegmentOptions
    from napari_dinoprompt.core.target_images import WindowPolicy

__all__ = [
    "parse_source_window",
    "parse_spacing",
    "parse_threshold",
    "parse_window",
    "segment_options",
]

Word = TypeVar("Word", bound=str)


def parse_window(text: str, words: tuple[Word, ...]) -> IntensityWindow | Word:
    """Read an intensity window.

    Parameters
    ----------
    text : str
        One of `words`, or two numbers ``LOW,HIGH``.
    words : tuple of str
        What may be said instead of numbers.

    Returns
    -------
    IntensityWindow or str

    Raises
    ------
    InputError
        If it is neither.
    """
    from napari_dinoprompt.core.intensity import IntensityWindow

    for word in words:
        if text == word:
            return word
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        msg = f"--window must be {', '.join(words)} or LOW,HIGH, not {text!r}."
        raise InputError(msg) from None
    return IntensityWindow(low, high)


def parse_source_window(text: str) -> IntensityWindow | None:
    """Read the intensity window of the image that prompts lie on.

    Parameters
    ----------
    text : str
        ``"auto"`` or ``LOW,HIGH``.

    Returns
    -------
    IntensityWindow or None
        None takes it from the image.

    Raises
    ------
    InputError
        If it is something else.
    """
    chosen = parse_window(text, ("auto",))
    return None if isinstance(chosen, str) else chosen


def parse_threshold(text: str | None) -> float | None:
    """Read a threshold.

    Parameters
    ----------
    text : str or None
        ``"auto"``, a number in [-1, 1], or nothing.

    Returns
    -------
    float or None
        None where the reference decides.

    Raises
    ------
    InputError
        If it is something else.
    """
    if text is None or text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # NaN fails the comparison.
    if not -1 <= value <= 1:
        msg = f"--threshold must be auto or a number in [-1, 1], not {text!r}."
        raise InputError(msg)
    return value


def parse_spacing(text: str | None) -> tuple[float, float, float] | None:
    """Read how far the voxels of a stack are apart.

    Parameters
    ----------
    text : str or None
        ``Z,Y,X``, three numbers above 0; or nothing.

    Returns
    -------
    (float, float, float) or None

    Raises
    ------
    InputError
        If it is something else.
    """
    if text is None:
        return None
    try:
        z, y, x = (float(part) for part in text.split(","))
    except ValueError:
        z = y = x = math.nan
    if not all(0 < step < math.inf for step in (z, y, x)):
        msg = f"--pixel-size must be three numbers above 0 as Z,Y,X, not {text!r}."
        raise InputError(msg)
    return z, y, x


def segment_options(
    threshold: str | None,
    window: str,
    *,
    min_size: int,
    fill_holes: bool,
    split: bool,
    objects_3d: bool = False,
    pixel_size: str | None = None,
) -> SegmentOptions:
    """Collect how a reference is applied.

    Parameters
    ----------
    threshold : str or None
        As `parse_threshold`.
    window : str
        ``"reference"``, ``"image"``, ``"histogram"`` or ``LOW,HIGH``.
    min_size : int
    fill_holes, split : bool
        As `Cleaning`.
    objects_3d : bool
        As `SegmentOptions`.
    pixel_size : str or None
        As `parse_spacing`.

    Returns
    -------
    SegmentOptions

    Raises
    ------
    InputError
        If an option cannot be used.
    """
    # Before torch is loaded for nothing.
    cut = parse_threshold(threshold)
    policies: tuple[WindowPolicy, ...] = ("reference", "image", "histogram")
    seen = parse_window(window, policies)
    spacing = parse_spacing(pixel_size)
    from napari_dinoprompt.core.masks import Cleaning
    from napari_dinoprompt.core.segmentation import SegmentOptions

    return SegmentOptions(
        window=seen,
        threshold=cut,
        cleaning=Cleaning(min_size=min_size, fill_holes=fill_holes, split=split),
        objects_3d=objects_3d,
        spacing=spacing,
    )
