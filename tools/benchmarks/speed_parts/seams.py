"""Seams: how much a map jumps where tiles meet, beside elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.tiling.tiles import TilePlan


def tile_borders(plan: TilePlan, cell: float = 1.0) -> tuple[list[int], list[int]]:
    """List where tiles begin and end inside the plane.

    Parameters
    ----------
    plan : TilePlan
    cell : float
        Side of a cell, 1 to stay in cells.

    Returns
    -------
    (rows, columns)
        First row or column behind each border.
    """
    size = plan.tiles[0].height
    rows, columns = (
        sorted(
            {
                round(border * cell)
                for border in (*starts[1:], *(start + size for start in starts[:-1]))
            }
        )
        for starts in plan.starts
    )
    return rows, columns


def jump_ratio(
    values: NDArray[Any], borders: tuple[Sequence[int], Sequence[int]]
) -> float:
    """Compare the differences of neighbours across borders with all others.

    Parameters
    ----------
    values : (rows, columns) ndarray
    borders : (rows, columns)
        First row or column behind each border.

    Returns
    -------
    float
        Mean absolute difference across borders as a multiple of that elsewhere, along
        both axes; 1 where there is no border.
    """
    across, elsewhere = [], []
    for axis, places in enumerate(borders):
        jumps = np.abs(np.diff(values, axis=axis))
        there = np.zeros(jumps.shape[axis], dtype=np.bool_)
        there[[place - 1 for place in places if 1 <= place <= len(there)]] = True
        across.append(np.compress(there, jumps, axis=axis).ravel())
        elsewhere.append(np.compress(~there, jumps, axis=axis).ravel())
    seams, others = np.concatenate(across), np.concatenate(elsewhere)
    return float(np.nanmean(seams) / np.nanmean(others)) if len(seams) else 1.0
