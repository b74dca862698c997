"""Looking up vectors in a feature map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import extract_features

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones.filterbank import FilterBank
    from napari_dinoprompt.core.features.feature_map import FeatureMap
GEOMETRIES = [
    ((40, 57), 2, 1.0),
    ((40, 57), 14, 1.0),
    ((41, 57), 14, 2.0),
    ((41, 57), 14, 1.7),
    ((33, 19), 8, 0.6),
    ((33, 19), 2, 3.3),
    ((33, 19), 1, 1.0),
]


@pytest.mark.parametrize(("shape", "patch", "upscale"), GEOMETRIES)
def test_a_prompt_on_a_cell_s_centre_gives_exactly_its_vector(
    make_map, shape: tuple[int, int], patch: int, upscale: float
) -> None:
    features: FeatureMap = make_map(shape, patch, upscale)
    indices = np.argwhere(np.ones(features.grid.cells, dtype=bool))
    centres = features.grid.cell_centres(indices)
    on_plane = features.grid.contains(centres)
    assert on_plane.sum() > 0
    rows, columns = indices[on_plane].T
    np.testing.assert_array_equal(
        features.at(centres[on_plane]), features.vectors.numpy()[rows, columns]
    )


@pytest.mark.parametrize(("shape", "patch", "upscale"), GEOMETRIES)
def test_between_centres_the_lookup_is_bilinear(
    make_map, shape: tuple[int, int], patch: int, upscale: float
) -> None:
    """Vectors that are a plane over the cells come out as that plane."""
    features: FeatureMap = make_map(shape, patch, upscale)
    rows, columns = features.grid.cells
    slopes = np.zeros((rows, columns, 2), dtype=np.float32)
    slopes[..., 0] = np.arange(rows)[:, None]
    slopes[..., 1] = np.arange(columns)
    features = make_map(shape, patch, upscale, vectors=slopes)
    rng = np.random.default_rng(3)
    points = rng.uniform(-0.5, np.array(shape) - 0.5, (200, 2))
    expected = np.clip(features.grid.to_cells(points), 0, [rows - 1, columns - 1])
    np.testing.assert_allclose(features.at(points), expected, atol=1e-4)


def test_the_saddle_between_four_cells_is_their_mean(make_map) -> None:
    features: FeatureMap = make_map((20, 20), 4)
    found = features.at([(3.5, 7.5)])[0]
    np.testing.assert_allclose(
        found, features.vectors[:2, 1:3].mean(dim=(0, 1)).numpy(), atol=1e-6
    )


def test_at_the_edges_the_nearest_cells_count(make_map) -> None:
    features: FeatureMap = make_map((20, 32), 4)
    found = features.at([(-0.5, -0.5), (-0.5, 31.5), (19.5, -0.5), (19, 31)])
    expected = features.vectors.numpy()[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "point", [(-1, 0), (20, 3), (3, 30), (np.nan, 1), (np.inf, 1), (1e9, 1e9)]
)
def test_points_outside_are_refused_by_name(
    make_map, point: tuple[float, float]
) -> None:
    features: FeatureMap = make_map((20, 30), 4)
    with pytest.raises(InputError, match="outside the image of 20 x 30"):
        features.at([(3, 3), point])


def test_points_without_data_are_refused_and_their_neighbours_are_not(make_map) -> None:
    hole = np.zeros((20, 30), dtype=bool)
    hole[5, 7] = True
    features: FeatureMap = make_map((20, 30), 4, no_data=hole)
    assert features.at([(5, 6), (4.4, 7), (19.5, 29.5)]).shape == (3, 6)
    for point in [(5, 7), (5.4, 6.6), (4.6, 7.4)]:
        with pytest.raises(InputError, match="no data"):
            features.at([point])


def test_outside_lookup_for_machines_takes_the_nearest_cell(make_map) -> None:
    features: FeatureMap = make_map((20, 30), 4)
    found = features.interpolate(np.array([[-50.0, 999.0]]))
    np.testing.assert_array_equal(found[0], features.vectors.numpy()[0, -1])


def test_without_gaps_all_cells_are_valid(make_map) -> None:
    assert make_map().valid_cells() is None


@pytest.mark.parametrize(
    ("shape", "patch", "upscale"),
    [((12, 16), 4, 1.0), ((15, 30), 14, 1.0), ((29, 43), 14, 1.7), ((9, 9), 2, 4.0)],
)
def test_a_cell_is_valid_if_half_of_its_pixels_hold_data(
    make_map, shape: tuple[int, int], patch: int, upscale: float
) -> None:
    """Whole rows are missing from some row on: only rows of cells decide."""
    for first in range(1, shape[0]):
        hole = np.zeros(shape, dtype=bool)
        hole[first:] = True
        features: FeatureMap = make_map(shape, patch, upscale, no_data=hole)
        valid = features.valid_cells()
        assert valid is not None
        assert valid.shape == features.grid.cells
        cell = features.grid.cell
        for row, found in enumerate(valid.numpy()):
            top, bottom = row * cell, min((row + 1) * cell, shape[0])
            share = np.clip((first - top) / (bottom - top), 0, 1)
            if abs(share - 0.5) > 1 / (bottom - top):  # clear cases only
                assert (found == (share > 0.5)).all(), (first, row, share)


def test_mean_and_scale_of_every_feature(make_map) -> None:
    features: FeatureMap = make_map((40, 40), 4)
    statistics = features.measures.statistics
    vectors = features.vectors.numpy().reshape(-1, 6).astype(float)
    np.testing.assert_allclose(statistics.mean, vectors.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(statistics.scale, vectors.std(axis=0), atol=1e-5)
    assert statistics.count == 100
    assert statistics.mean.dtype == statistics.scale.dtype == np.float32


def test_a_feature_that_does_not_vary_is_marked(make_map) -> None:
    vectors = np.random.default_rng(0).random((5, 5, 3)).astype(np.float32)
    vectors[..., 1] = 0.7 + 1e-7 * vectors[..., 0]
    statistics = make_map((20, 20), 4, vectors=vectors).measures.statistics
    assert statistics.scale[1] == 0
    assert (statistics.scale[[0, 2]] > 0.1).all()


def test_a_single_cell_has_a_mean_and_no_scale(make_map) -> None:
    statistics = make_map((1, 1), 4).measures.statistics
    assert np.isfinite(statistics.mean).all()
    assert not statistics.scale.any()
    assert statistics.count == 1


def test_cells_without_data_do_not_count(make_map) -> None:
    hole = np.zeros((40, 40), dtype=bool)
    hole[:20] = True
    vectors = np.random.default_rng(0).random((10, 10, 3)).astype(np.float32)
    vectors[:5] = 1e6
    features = make_map((40, 40), 4, vectors=vectors, no_data=hole)
    statistics = features.measures.statistics
    lower = vectors[5:].reshape(-1, 3)
    np.testing.assert_allclose(statistics.mean, lower.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(statistics.scale, lower.std(axis=0), atol=1e-5)
    assert statistics.count == 50


@pytest.mark.parametrize("gap", [np.nan, np.inf])
def test_a_region_without_data_hardly_changes_the_statistics(
    filterbank: FilterBank, gap: float
) -> None:
    """Cells beside the gap still see its edge; those in it are out."""
    image = np.random.default_rng(0).normal(100, 10, (400, 400)).astype(np.float32)
    holed = np.concatenate([image, np.full((400, 400), gap, np.float32)])
    whole, part = (
        extract_features(i, filterbank, window=(50, 150)).measures.statistics
        for i in (image, holed)
    )
    assert part.count == whole.count
    first_scales = slice(0, 16)  # the reach of the coarse ones is most of the image
    np.testing.assert_allclose(
        part.mean[first_scales], whole.mean[first_scales], atol=0.02
    )
