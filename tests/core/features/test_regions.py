"""Regions cover a plane, and their rims are wide enough."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_dinoprompt.core.features.guided_filter import Guide
from napari_dinoprompt.core.features.regions import Region, RegionPlan
from napari_dinoprompt.core.images.lazy_plane import LEVELS
from napari_dinoprompt.core.tiling.grid import CellGrid

GRIDS = st.builds(
    CellGrid,
    st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    st.sampled_from([2, 8, 14, 16]),
    st.floats(0.3, 8),
)


@settings(deadline=None, max_examples=60)
@given(GRIDS, st.integers(1, 4))
def test_regions_cover_each_pixel_once(grid: CellGrid, radius: int) -> None:
    plan = RegionPlan.of(grid, radius, 512)
    rows = sorted({(one.rows.start, one.rows.stop) for one in plan.regions})
    columns = sorted({(one.columns.start, one.columns.stop) for one in plan.regions})
    assert len(plan.regions) == len(rows) * len(columns)
    for ends, length in ((rows, grid.shape[0]), (columns, grid.shape[1])):
        assert [0, *(stop for _, stop in ends)] == [
            *(start for start, _ in ends),
            length,
        ]
        # Whole pixels at every level, whole blocks of the guide.
        assert all(start % 2 ** (LEVELS - 1) == 0 for start, _ in ends)
        assert all(start % plan.step == 0 for start, _ in ends)


@settings(deadline=None, max_examples=60)
@given(GRIDS, st.integers(1, 4))
def test_rims_stay_on_the_plane_and_on_blocks(grid: CellGrid, radius: int) -> None:
    plan = RegionPlan.of(grid, radius, 512)
    for region in plan.regions:
        outer = plan.outer(region)
        for part, inner, length in zip(
            (outer.rows, outer.columns),
            (region.rows, region.columns),
            grid.shape,
            strict=True,
        ):
            assert part.start == max(0, inner.start - plan.rim)
            assert part.stop == min(length, inner.stop + plan.rim)
            assert part.start % plan.step == 0
        rows, columns = region.within(outer)
        assert outer.rows.start + rows.start == region.rows.start
        assert outer.columns.start + columns.stop == region.columns.stop


@pytest.mark.parametrize(
    ("patch", "upscale", "radius"),
    [(2, 1, 2), (2, 1.37, 2), (8, 1, 1), (8, 0.7, 1), (14, 1, 1), (14, 4, 2)],
)
def test_the_rim_is_as_wide_as_the_fit_to_the_light_looks(
    patch: int, upscale: float, radius: int
) -> None:
    grid = CellGrid((160, 40), patch, upscale)
    plan = RegionPlan.of(grid, radius, 512)
    rng = np.random.default_rng(0)
    light = torch.from_numpy(rng.random(grid.shape, dtype=np.float32))
    cells = torch.from_numpy(rng.random((1, *grid.cells), dtype=np.float32))

    def fit(light: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        return Guide.of(light, grid.cell, radius).fit(cells, grid).pixels()[0]

    before = fit(light, cells)
    # Everything changes from the row on where the rim of the rows above ends.
    last = 160 // 2 // plan.step * plan.step
    end = last + plan.rim
    other_light, other_cells = light.clone(), cells.clone()
    other_light[end:] = 1 - other_light[end:]
    other_cells[:, math.ceil(end / grid.cell) :] *= -1
    after = fit(other_light, other_cells)
    assert end < 150
    torch.testing.assert_close(after[:last], before[:last], atol=1e-6, rtol=0)
    assert (after[end:] - before[end:]).abs().max() > 0.1


@pytest.mark.parametrize("wanted", [(-50, 3), (0, 1), (37, 60), (90, 200)])
def test_around_holds_the_pixels_on_the_plane(wanted: tuple[int, int]) -> None:
    plan = RegionPlan((100, 99), 64, 8, 7)
    region = plan.around(wanted, (10, 20))
    assert region.rows.start % 7 == 0
    assert region.rows.start <= max(0, wanted[0])
    assert min(100, wanted[1]) <= region.rows.stop <= 100
    assert region.columns == slice(7, 21)


def test_the_nearest_comes_first() -> None:
    plan = RegionPlan((300, 400), 100, 8, 1)
    assert plan.nearest_first(np.zeros((0, 2))) == plan.regions
    points = np.array([[150.0, 350.0], [20.0, 40.0]])
    order = plan.nearest_first(points)
    assert len(order) == len(plan.regions) == 12
    assert all(region in order for region in plan.regions)
    # Nearer to its middle is the first point.
    assert order[0] == Region(slice(100, 200), slice(300, 400))
    assert order[1] == Region(slice(0, 100), slice(0, 100))
    far = Region(slice(200, 300), slice(100, 200))
    assert order.index(far) > 5
