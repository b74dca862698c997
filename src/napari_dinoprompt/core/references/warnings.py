"""What differs from how a reference was made without making it useless.

Another backbone is refused (`Reference.check_backbone`); here is the second tier.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_dinoprompt.core.intensity import IntensityWindow
    from napari_dinoprompt.core.references.reference import Reference

__all__ = ["warn_of"]

# Objects that differ by less in size look the same to a backbone.
_PIXEL_TOLERANCE = 0.05
# Rounding, of the upscale itself or of the window's width.
_ROUNDING = 1e-6


def warn_of(
    reference: Reference,
    *,
    upscale: float | None,
    window: IntensityWindow | None,
    pixel_size: tuple[float, float] | None,
) -> tuple[str, ...]:
    """Compare how an image is about to be used with how a reference was made.

    Parameters
    ----------
    reference : Reference
    upscale, window, pixel_size
        As `Reference.warnings_for`.

    Returns
    -------
    tuple of str
        One line each.
    """
    said = (
        _warn_of_upscale(reference.upscale, upscale),
        _warn_of_window(reference.window, window),
        _warn_of_pixels(reference, pixel_size),
    )
    return tuple(line for line in said if line)


def _warn_of_upscale(mine: float, other: float | None) -> str:
    if other is None or math.isclose(mine, other, rel_tol=_ROUNDING):
        return ""
    return (
        f"The reference was made at an upscale of {mine:g}, not {other:g}: objects "
        "look larger or smaller to the backbone."
    )


def _warn_of_window(mine: IntensityWindow, other: IntensityWindow | None) -> str:
    if other is None:
        return ""
    near = _ROUNDING * max(mine.high - mine.low, other.high - other.low)
    if abs(mine.low - other.low) <= near and abs(mine.high - other.high) <= near:
        return ""
    return (
        f"The reference was made in the intensity window {mine.low:g} to "
        f"{mine.high:g}, not {other.low:g} to {other.high:g}: a difference in "
        "brightness or contrast is forgiven."
    )


def _warn_of_pixels(reference: Reference, other: tuple[float, float] | None) -> str:
    known = [one.pixel_size for one in reference.sources if one.pixel_size is not None]
    if other is None or not known:
        return ""
    if any(_alike(size, other) for size in known):
        return ""
    mine = known[0]
    return (
        f"The reference was made on pixels of {mine[0]:g} x {mine[1]:g}, not "
        f"{other[0]:g} x {other[1]:g}: objects have another size in pixels."
    )


def _alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(
        abs(a / b - 1) <= _PIXEL_TOLERANCE if b else a == b
        for a, b in zip(other, one, strict=True)
    )
