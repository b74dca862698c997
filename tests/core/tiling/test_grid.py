"""Where cells lie."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.tiling.grid import CellGrid

small = settings(deadline=None, max_examples=100)
grids = st.builds(
    CellGrid,
    st.tuples(st.integers(1, 600), st.integers(1, 600)),
    st.sampled_from([1, 2, 8, 14, 16]),
    st.floats(0.1, 8),
)


@small
@given(grids)
def test_cells_cover_the_plane_and_none_is_spare(grid: CellGrid) -> None:
    for pixels, cells in zip(grid.shape, grid.cells, strict=True):
        assert cells * grid.cell >= pixels * (1 - 1e-12)
        assert (cells - 1) * grid.cell < pixels


@pytest.mark.parametrize(
    ("shape", "patch", "upscale", "cells"),
    [
        ((28, 29), 14, 1, (2, 3)),
        ((1, 1), 14, 1, (1, 1)),
        ((10, 10), 14, 2, (2, 2)),
        ((518, 520), 14, 1.7, (63, 64)),
        ((100, 30), 2, 1, (50, 15)),
    ],
)
def test_number_of_cells(
    shape: tuple[int, int], patch: int, upscale: float, cells: tuple[int, int]
) -> None:
    grid = CellGrid(shape, patch, upscale)
    assert grid.cells == cells
    assert grid.cell == patch / upscale


def test_the_first_cell_starts_at_the_edge_of_the_plane() -> None:
    grid = CellGrid((50, 50), 14, 1)
    assert grid.cell_centres([0, 1]).tolist() == [6.5, 20.5]
    assert grid.to_cells([-0.5, 13.5]).tolist() == [-0.5, 0.5]


@small
@given(grids, st.integers(0, 300), st.integers(0, 300))
def test_pixels_to_cells_undoes_cells_to_pixels(
    grid: CellGrid, row: int, column: int
) -> None:
    back = grid.to_cells(grid.cell_centres([[row, column]]))
    np.testing.assert_allclose(back, [[row, column]], atol=1e-9)


@pytest.mark.parametrize(
    ("point", "inside"),
    [
        ((-0.5, -0.5), True),
        ((9.5, 19.5), True),
        ((-0.51, 5), False),
        ((9.51, 5), False),
        ((5, 19.51), False),
        ((19, 5), False),
        ((np.nan, 5), False),
    ],
)
def test_a_plane_reaches_half_a_pixel_beyond_its_pixel_centres(
    point: tuple[float, float], inside: bool
) -> None:
    assert CellGrid((10, 20), 4, 1).contains(np.array([point])).tolist() == [inside]


@pytest.mark.parametrize("upscale", [0, -1, math.nan, math.inf])
def test_impossible_upscales_are_refused(upscale: float) -> None:
    with pytest.raises(InputError, match="upscale"):
        CellGrid((10, 10), 4, upscale)
