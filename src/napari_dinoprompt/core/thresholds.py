"""Where a similarity map is cut."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.reference import Reference

__all__ = ["check_threshold", "choose_threshold", "resolve_thresholds"]

# Prompts resemble each other more than they resemble the rims of their objects: the
# cut lies between these shares of their agreement.
_LOWEST, _HIGHEST = 0.5, 0.9
# What one prompt alone is taken to agree with others: about the median over the
# nuclei and mitochondria that this was tried on.
_TYPICAL_AGREEMENT = 0.7
# Below this the prompts have nothing in common and say nothing about a cut.
_LEAST_AGREEMENT = 0.05
_STEPS = 41
# Half width in similarity of the window in which cells are counted.
_WINDOW = 0.1
_TIE = 0.05


def choose_threshold(
    agreement: NDArray[np.float32], similarities: NDArray[np.float32]
) -> float:
    """Choose a threshold from the prompts' agreement and the map of their source.

    The agreement of the prompts gives a range, and the emptiest part of the
    histogram of the source's similarity map within this range gives the threshold
    (the valley or mode method: Prewitt & Mendelsohn, Ann. N. Y. Acad. Sci. 128,
    1966, with a range that keeps it near the objects however small they are).

    Parameters
    ----------
    agreement : (n,) ndarray of float32
        Leave-one-out similarities of the class's prompts; empty for one prompt,
        which has no other to agree with.
    similarities : (M,) ndarray of float32
        Similarity of the source's cells with the class, M at least 1.

    Returns
    -------
    float
        In [-1, 1].
    """
    typical = float(np.median(agreement)) if len(agreement) else _TYPICAL_AGREEMENT
    typical = max(typical, _LEAST_AGREEMENT)
    candidates = np.linspace(_LOWEST * typical, _HIGHEST * typical, _STEPS)
    ordered = np.sort(similarities)
    nearby = np.searchsorted(ordered, candidates + _WINDOW) - np.searchsorted(
        ordered, candidates - _WINDOW
    )
    # A wide valley is cut in its middle; of several, the widest counts.
    low = nearby <= nearby.min() * (1 + _TIE)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], low, [False]))))
    first, behind = edges[::2], edges[1::2]
    widest = int(np.argmax(behind - first))
    return float(candidates[first[widest] : behind[widest]].mean())


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
        msg = f"The threshold of {name} must be a number in [-1, 1], not {value}."
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
