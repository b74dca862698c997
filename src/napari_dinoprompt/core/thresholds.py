"""Whose threshold counts: the caller's, the user's, or auto."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.prompts import list_classes

if TYPE_CHECKING:
    from napari_dinoprompt.core.references.reference import Reference

__all__ = ["check_threshold", "resolve_thresholds"]


def check_threshold(value: float, name: str) -> float:
    """Refuse what cannot be a threshold.

    Parameters
    ----------
    value : float
    name : str
        Its class, for the message.

    Returns
    -------
    float
        The value.

    Raises
    ------
    InputError
        If it is not a number in [-1, 1].
    """
    if not (math.isfinite(value) and -1 <= value <= 1):
        shown = list_classes([name])
        msg = f"The threshold of {shown} must be a number in [-1, 1], not {value}."
        raise InputError(msg)
    return float(value)


def resolve_thresholds(
    reference: Reference, threshold: float | None = None
) -> dict[str, float]:
    """Settle the threshold of each object class.

    Parameters
    ----------
    reference : Reference
    threshold : float, optional
        What the caller asks for, for all classes; None leaves it to the reference:
        what its user set, else auto.

    Returns
    -------
    dict of str to float
        By object class.

    Raises
    ------
    InputError
        If the threshold is not a number in [-1, 1].
    """
    return {
        name: check_threshold(threshold, name)
        if threshold is not None
        else reference.thresholds.get(name, reference.auto_thresholds[name])
        for name in reference.object_classes
    }
