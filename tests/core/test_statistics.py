"""Mean and scale of features."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_dinoprompt.core.backbones.filterbank import FilterBank
from napari_dinoprompt.core.extraction import extract_features

if TYPE_CHECKING:
    from napari_dinoprompt.core.features import FeatureMap


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
