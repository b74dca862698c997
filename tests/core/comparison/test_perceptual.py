"""Cosine distance of features, cell by cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_dinoprompt.core.comparison.perceptual import (
    cell_distances,
    distance_map,
    mean_distance,
)
from napari_dinoprompt.core.tiling.grid import CellGrid

ZERO, ONE = torch.zeros(2), torch.ones(2)


def cells(*vectors: list[float]) -> torch.Tensor:
    """One row of cells."""
    return torch.tensor(vectors)[None]


def test_angles_by_hand() -> None:
    real = cells([1.0, 0], [1.0, 0], [1.0, 0], [1.0, 0])
    fake = cells([5.0, 0], [0, 0.1], [-3.0, 0], [2.0, 2.0])
    found = cell_distances(real, fake, ZERO, ONE)
    expected = [0, 1, 2, 1 - math.sqrt(0.5)]
    assert found.shape == (1, 4)
    assert found[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_statistics_are_those_given() -> None:
    """Subtracted, then multiplied, on both."""
    real, fake = cells([3.0, 1.0]), cells([2.0, 3.0])
    mean, inverse = torch.tensor([2.0, 1.0]), torch.tensor([1.0, 0.5])
    # (1, 0) and (0, 1)
    assert cell_distances(real, fake, mean, inverse).item() == pytest.approx(1)
    # A feature that says nothing is multiplied with 0.
    blind = torch.tensor([1.0, 0.0])
    assert cell_distances(real, fake, ZERO, blind).item() == 0


def test_vectors_without_length() -> None:
    real, fake = (
        cells([0.0, 0], [0.0, 0], [1.0, 0]),
        cells([0.0, 0], [1.0, 2], [0.0, 0]),
    )
    assert cell_distances(real, fake, ZERO, ONE).tolist() == [[0, 1, 1]]


vectors = st.integers(0, 2**32 - 1).map(
    lambda seed: torch.from_numpy(
        np.random.default_rng(seed).normal(0, 3, (40, 3, 5)).astype(np.float32)
    )
)


@settings(deadline=None, max_examples=30)
@given(vectors, vectors)
def test_identity_symmetry_bounds_and_definition(
    a: torch.Tensor, b: torch.Tensor
) -> None:
    mean, inverse = torch.linspace(-1, 1, 5), torch.linspace(0.5, 2, 5)
    assert (cell_distances(a, a, mean, inverse) == 0).all()
    found = cell_distances(a, b, mean, inverse)
    assert torch.equal(found, cell_distances(b, a, mean, inverse))
    assert (found >= 0).all()
    assert (found <= 2).all()
    u, v = (((one - mean) * inverse).double() for one in (a, b))
    expected = 1 - torch.nn.functional.cosine_similarity(u, v, dim=2)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)


def test_the_mean_is_over_valid_cells() -> None:
    distances = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    assert mean_distance(distances) == 1
    valid = torch.tensor([[True, False], [True, True]])
    assert mean_distance(distances, valid) == 1
    assert mean_distance(distances, ~valid) == 1
    valid = torch.tensor([[True, True], [False, False]])
    assert mean_distance(distances, valid) == 0.5
    assert math.isnan(mean_distance(distances, torch.zeros(2, 2, dtype=torch.bool)))


def test_the_map_has_the_cells_values_at_their_centres() -> None:
    grid = CellGrid((10, 14), 2, 1.0)
    distances = torch.rand(grid.cells)
    no_data = np.zeros((10, 14), bool)
    no_data[0, 0] = True
    found = distance_map(distances, grid, no_data)
    assert found.shape == (10, 14)
    assert found.dtype == np.float32
    assert np.isnan(found[0, 0])
    assert np.isfinite(found).sum() == 139
    inner = found[2:4, 4:6].mean()  # around the centre of cell (1, 2)
    neighbours = distances[0:3, 1:4]
    weights = torch.tensor([1.0, 6.0, 1.0]) / 8
    expected = weights @ neighbours @ weights
    assert inner == pytest.approx(float(expected), rel=1e-5)
