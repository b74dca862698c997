"""Plans of tiles, as invariants."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_dinoprompt.core.tiling.tiles import (
    TilePlan,
    plan_abutting,
    plan_overlapping,
)

small = settings(deadline=None, max_examples=60)
grids = st.tuples(st.integers(1, 70), st.integers(1, 70))


def cover(plan: TilePlan) -> np.ndarray:
    """Count how many tiles write each cell."""
    count = np.zeros(plan.grid, dtype=int)
    for tile in plan.tiles:
        rows = slice(tile.row, tile.row + tile.height)
        count[rows, tile.column : tile.column + tile.width] += 1
    return count


@small
@given(grids, st.integers(2, 20), st.data())
def test_overlapping_tiles_cover_every_cell(
    grid: tuple[int, int], size: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    plan = plan_overlapping(grid, size=size, overlap=overlap, ramp=1)
    assert cover(plan).min() >= 1
    for axis, cells in enumerate(grid):
        starts = sorted({(t.row, t.column)[axis] for t in plan.tiles})
        assert starts[0] == 0
        if cells >= size:
            assert starts[-1] + size == cells
        else:
            assert len(starts) == 1
        shared = size - np.diff(starts)
        assert (shared >= overlap).all()
    assert {(t.height, t.width) for t in plan.tiles} == {(size, size)}


@small
@given(st.integers(30, 300), st.integers(2, 20), st.data())
def test_there_are_no_more_overlapping_tiles_than_needed(
    cells: int, size: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    plan = plan_overlapping((cells, 1), size=size, overlap=overlap, ramp=1)
    fewer = len(plan.tiles) - 1
    assert fewer * (size - overlap) + overlap < cells


@small
@given(st.integers(1, 40), st.data())
def test_blending_weights_are_positive_symmetric_and_fall_to_the_border(
    size: int, data: st.DataObject
) -> None:
    ramp = data.draw(st.integers(1, size))
    weights = plan_overlapping((9, 9), size=size, overlap=0, ramp=ramp).weights()
    assert weights.shape == (size, size)
    assert weights.min() > 0
    assert weights.max() <= 1
    np.testing.assert_allclose(weights, weights[::-1, ::-1])
    np.testing.assert_allclose(weights, weights.T)
    inwards = np.diff(weights[size // 2, : (size + 1) // 2])
    assert (inwards >= 0).all()
    if 2 <= ramp <= size // 2:
        assert weights[size // 2, 0] <= 0.25


@small
@given(grids, st.integers(1, 4), st.integers(1, 3), st.sampled_from([1, 2, 4, 8]))
def test_abutting_tiles_write_every_cell_once(
    grid: tuple[int, int], steps: int, halo: int, align: int
) -> None:
    plan = plan_abutting(grid, size=steps * align, halo=halo * align, align=align)
    assert (cover(plan) == 1).all()
    assert plan.halo == halo * align
    for tile in plan.tiles:
        assert tile.row % align == tile.column % align == 0
        assert tile.height % align == tile.width % align == 0
        assert tile.height <= steps * align
        assert tile.width <= steps * align
