"""Where a similarity map is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_dinoprompt.core.reference import Reference

__all__ = ["auto_threshold", "resolve_thresholds"]

# Prompts resemble each other more than they resemble the rims of their objects.
_SLACK = 0.8


def auto_threshold(reference: Reference, name: str) -> float:
    """Choose a threshold from what the reference knows, not from the target.

    An image that holds no object must not be able to lower it.

    Parameters
    ----------
    reference : Reference
    name : str
        One of its classes.

    Returns
    -------
    float
        0.8 times the median leave-one-out similarity of the class's prompts. One
        prompt alone has no other to agree with; then the histogram of its similarity
        over the source decides, as it was when the reference was made.

    Raises
    ------
    InputError
        If no prompt has this class.
    """
    agreement = reference.leave_one_out(name)
    if len(agreement) == 0:
        return reference.lone_thresholds[name]
    return float(np.clip(_SLACK * np.median(agreement), -1.0, 1.0))


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
    """
    return {
        name: float(threshold)
        if threshold is not None
        else reference.thresholds.get(name, auto_threshold(reference, name))
        for name in reference.object_classes
    }
