"""How much a mask tells about the light, at every threshold at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["information_by_cut"]

_BINS = 64


def information_by_cut(
    values: NDArray[np.float32],
    light: NDArray[np.float32],
    thresholds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Measure the mutual information between masks and the light, without a truth.

    From one joint histogram, with 64 levels of light, for all thresholds: the mask at
    a threshold is a sum of its rows.

    Parameters
    ----------
    values : (M,) ndarray of float32
        What is cut.
    light : (M,) ndarray of float32
        In [0, 1].
    thresholds : (T,) ndarray of float64
        Rising.

    Returns
    -------
    (T,) ndarray of float64
        In bits: 0 if the mask says nothing about the light, at most 1.

    References
    ----------
    Shannon, "A mathematical theory of communication", Bell System Technical Journal
    27, 1948.
    """
    if len(values) == 0:
        return np.zeros(len(thresholds))
    level = np.minimum((light * _BINS).astype(np.int64), _BINS - 1)
    # The number of thresholds that a value is above.
    rank = np.searchsorted(thresholds, values, side="left")
    joint = np.bincount(
        rank * _BINS + level, minlength=(len(thresholds) + 1) * _BINS
    ).reshape(-1, _BINS)
    inside = joint[::-1].cumsum(axis=0)[::-1][1:] / len(values)
    light_share = joint.sum(axis=0) / len(values)
    outside = light_share - inside
    joint_entropy = _entropy(inside) + _entropy(outside)
    area = inside.sum(axis=1, keepdims=True)
    mask_entropy = _entropy(area) + _entropy(1 - area)
    found = mask_entropy + _entropy(light_share[None]) - joint_entropy
    return np.asarray(np.maximum(found, 0))


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    logs = np.zeros_like(shares)
    np.log2(shares, out=logs, where=shares > 1e-15)
    return np.asarray(-(shares * logs).sum(axis=1))
