"""Statistics of several planes, against those of all their cells at once."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_dinoprompt.core.features.statistics import measure_vectors, pool_measures


@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.lists(st.integers(2, 400), min_size=2, max_size=5),
    apart=st.sampled_from([0.0, 1.0, 30.0]),
)
def test_pooled_is_what_all_cells_have_together(
    seed: int, counts: list[int], apart: float
) -> None:
    """The spread within the planes and that between their means both count."""
    rng = np.random.default_rng(seed)
    planes = [
        rng.normal(apart * rng.normal(size=3), [0.5, 1, 2], (count, 3))
        for count in counts
    ]
    vectors = [torch.tensor(plane, dtype=torch.float32) for plane in planes]
    pooled = pool_measures([measure_vectors(one, "standardised") for one in vectors])
    together = np.concatenate(planes)
    mean, scale = together.mean(axis=0), together.std(axis=0)
    np.testing.assert_allclose(pooled.statistics.mean, mean, atol=1e-4)
    np.testing.assert_allclose(pooled.statistics.scale, scale, rtol=1e-4)
    assert pooled.statistics.count == sum(counts)
    assert pooled.scoring == "standardised"
