"""From what is typed on the command line to what `core` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_dinoprompt._cli.messages import say
from napari_dinoprompt.core.errors import InputError, WeightsNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_dinoprompt.core.intensity import IntensityWindow

__all__ = ["default_backbone", "parse_threshold", "parse_window"]


def parse_window(text: str, *words: str) -> IntensityWindow | str:
    """Read an intensity window.

    Parameters
    ----------
    text : str
        One of `words`, or two numbers ``LOW,HIGH``.
    *words : str
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

    if text in words:
        return text
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        msg = f"--window must be {', '.join(words)} or LOW,HIGH, not {text!r}."
        raise InputError(msg) from None
    return IntensityWindow(low, high)


def parse_threshold(text: str | None) -> float | Literal["auto"] | None:
    """Read a threshold.

    Parameters
    ----------
    text : str or None
        ``"auto"`` or a number in [-1, 1].

    Returns
    -------
    float, "auto" or None
        None if the user did not ask for any.

    Raises
    ------
    InputError
        If it is something else.
    """
    if text is None:
        return None
    if text == "auto":
        return "auto"
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    # A comparison that NaN fails.
    if not -1 <= value <= 1:
        msg = f"--threshold must be auto or a number in [-1, 1], not {text!r}."
        raise InputError(msg)
    return value


def default_backbone(checkpoint: Path | None = None) -> str:
    """Choose a backbone for a user who named none, and say so if it is not DINOv2.

    Parameters
    ----------
    checkpoint : Path, optional
        Weights that the user gave; taken for DINOv2's.

    Returns
    -------
    str
        ``"dinov2-small"`` if its weights are here, else ``"filterbank"``.
    """
    from napari_dinoprompt.core.weights import find_dinov2

    wanted = "dinov2-small"
    if checkpoint is not None:
        return wanted
    try:
        find_dinov2(wanted)
    except WeightsNotFoundError:
        say(
            f"the weights of {wanted} are not on this machine; using 'filterbank', "
            "which needs none (see 'dinoprompt models')."
        )
        return "filterbank"
    return wanted
