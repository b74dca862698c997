"""What an image looks like to a reference that is applied to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.histograms import match_histogram
from napari_dinoprompt.core.intensity import IntensityWindow

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.references.reference import Reference

__all__ = ["Window", "WindowPolicy", "check_like", "target_plane", "target_window"]

WindowPolicy = Literal["reference", "image", "histogram"]
"""How an image's grey values become black and white.

*reference*: as those of the reference's source, so that nothing is forgiven.
*image*: by the image's own percentiles, which forgives brightness and contrast.
*histogram*: they are first exchanged for those of a real image, rank by rank, which
forgives any curve between the two; only their order counts."""

Window = WindowPolicy | IntensityWindow | tuple[float, float]
"""A policy, or the grey values that are seen as 0 and 1."""


def target_plane(
    image: ArrayLike, policy: Window, like: ArrayLike | None = None
) -> ArrayLike:
    """Return an image that a reference is applied to, matched to another if asked.

    Raises InputError if one of the policy "histogram" and `like` is given without the
    other.
    """
    check_like(policy, like)
    return image if like is None else match_histogram(image, like)


def check_like(policy: Window, like: ArrayLike | None) -> None:
    """Check that an image to match is given where it is needed, and only there."""
    matching = isinstance(policy, str) and policy == "histogram"
    if matching == (like is None):
        msg = "The window 'histogram' and the real image to match go together: " + (
            "give the image too (like=..., --like REAL)."
            if matching
            else "give window='histogram' (--window histogram) or no image to match."
        )
        raise InputError(msg)


def target_window(reference: Reference, policy: Window) -> IntensityWindow | None:
    """Settle the intensity window of an image that a reference is applied to.

    None where the image's own percentiles decide. Histograms are matched to images
    that are seen as the reference's source.
    """
    if policy in ("reference", "histogram"):
        return reference.window
    if policy == "image":
        return None
    if isinstance(policy, str):
        msg = (
            "The window is 'reference', 'image', 'histogram' or (low, high), not "
            f"{policy!r}."
        )
        raise InputError(msg)
    if not isinstance(policy, IntensityWindow):
        try:
            low, high = policy
        except (TypeError, ValueError):
            msg = f"A window is a pair (low, high), not {policy!r}."
            raise InputError(msg) from None
        return IntensityWindow(low, high)
    return policy
