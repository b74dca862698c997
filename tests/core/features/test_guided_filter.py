"""Similarities that follow the edges of the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage as ndi

from napari_dinoprompt.core.features.guided_filter import Guide
from napari_dinoprompt.core.scoring.similarity import to_pixels
from napari_dinoprompt.core.tiling.grid import CellGrid


def box(image: np.ndarray, radius: int) -> np.ndarray:
    return ndi.uniform_filter(image, 2 * radius + 1, mode="nearest")


def by_hand(light: np.ndarray, values: np.ndarray, radius: int) -> np.ndarray:
    """The guided filter as in equations 5, 6 and 8 of He, Sun and Tang."""
    light, values = light.astype(float), values.astype(float)
    mean, mean_values = box(light, radius), box(values, radius)
    variance = box(light**2, radius) - mean**2
    slope = (box(light * values, radius) - mean * mean_values) / (variance + 1e-3)
    offset = mean_values - slope * mean
    return box(slope, radius) * light + box(offset, radius)


@pytest.fixture
def light() -> torch.Tensor:
    rng = np.random.default_rng(0)
    noise = ndi.gaussian_filter(rng.random((61, 74)), 2)
    stretched = (noise - noise.min()) / np.ptp(noise)
    return torch.from_numpy(stretched.astype(np.float32))


@pytest.mark.parametrize(("cell", "cells", "radius"), [(1, 1, 1), (1, 3, 3), (4, 1, 4)])
def test_at_full_resolution_it_is_the_guided_filter(
    light: torch.Tensor, cell: int, cells: int, radius: int
) -> None:
    grid = CellGrid((61, 74), 4, 1.0)
    scores = torch.rand((2, *grid.cells), generator=torch.Generator().manual_seed(0))
    guide = Guide.of(light, cell, cells)
    assert (guide.step, guide.radius) == (1, radius)
    found = guide.fit(scores, grid).pixels().numpy()
    values = to_pixels(scores, grid).numpy()
    for mine, value in zip(found, values, strict=True):
        expected = by_hand(light.numpy(), value, radius)
        np.testing.assert_allclose(mine, expected, atol=2e-4)


def test_an_object_s_rim_is_where_the_light_has_it() -> None:
    """Cells of 16 pixels, an edge in the middle of one."""
    light = torch.zeros(96, 96)
    light[:, 41:] = 1
    grid = CellGrid((96, 96), 16, 1.0)
    cells = torch.tensor([0, 0, 0.4, 1, 1, 1]).expand(1, 6, 6).contiguous()
    plain = to_pixels(cells, grid)[0, 48]
    found = Guide.of(light, 16, 1).fit(cells, grid).pixels()[0, 48]
    assert found[41] - found[40] > 0.3
    assert (plain[1:] - plain[:-1]).max() < 0.06


def test_without_light_the_values_are_only_smoothed(light: torch.Tensor) -> None:
    grid = CellGrid((61, 74), 2, 1.0)
    cells = torch.rand((1, *grid.cells), generator=torch.Generator().manual_seed(0))
    found = Guide.of(torch.zeros_like(light), 2, 4).fit(cells, grid).pixels()
    assert found.min() >= cells.min()
    assert found.max() <= cells.max()
    assert found.mean() == pytest.approx(float(cells.mean()), abs=0.02)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 3), (40, 57), (33, 130)])
@pytest.mark.parametrize(
    ("patch", "upscale"), [(2, 1.0), (14, 1.7), (2, 3.3), (8, 0.6)]
)
@pytest.mark.parametrize("reach", [1, 4])
def test_a_constant_stays_constant_in_any_geometry(
    shape: tuple[int, int], patch: int, upscale: float, reach: int
) -> None:
    grid = CellGrid(shape, patch, upscale)
    rng = np.random.default_rng(1)
    light = torch.from_numpy(rng.random(shape).astype(np.float32))
    guide = Guide.of(light, grid.cell, reach)
    found = guide.fit(torch.full((1, *grid.cells), 0.4), grid)
    assert found.pixels().shape == (1, *shape)
    torch.testing.assert_close(found.pixels(), torch.full((1, *shape), 0.4))
    torch.testing.assert_close(found.blocks(0), torch.full(guide.coarse.shape, 0.4))


def test_a_coarse_grid_keeps_its_places() -> None:
    """Values that rise evenly do so in the blocks, at the right places."""
    grid = CellGrid((20, 4000), 14, 1.7)
    light = torch.zeros(grid.shape)
    columns = np.arange(grid.cells[1])
    places = grid.cell_centres(np.stack((columns, columns), axis=1))[:, 1]
    centres = torch.from_numpy(places).float()
    cells = (centres / 4000).expand(1, grid.cells[0], -1).contiguous()
    guide = Guide.of(light, grid.cell, 4)
    assert guide.step == 8
    found = guide.fit(cells, grid).pixels()[0, 10]
    inside = slice(100, -100)
    expected = torch.arange(4000) / 4000
    torch.testing.assert_close(found[inside], expected[inside], atol=2e-3, rtol=0)
