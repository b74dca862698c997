"""Agreement of grey values: what moves which figure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from napari_dinoprompt.core.comparison.intensity import as_grey, compare_greys

RNG = np.random.default_rng(0)
REAL = ndi.gaussian_filter(RNG.random((60, 70)), 2).astype(np.float32)
REAL = (REAL - REAL.min()) / np.ptp(REAL)


def test_the_real_is_its_own_perfect_fake() -> None:
    found = compare_greys(REAL, REAL)
    assert (found.mse, found.psnr, found.ssim) == (0, math.inf, 1)
    assert found.pearson == pytest.approx(1)
    assert (found.ssim_map == 1).all()
    assert (found.squared_error == 0).all()
    assert found.ssim_map.dtype == found.squared_error.dtype == np.float32


def test_a_known_difference_gives_known_figures() -> None:
    dim = REAL * np.float32(0.5)
    found = compare_greys(dim, dim + np.float32(0.1))
    assert found.mse == pytest.approx(0.01, rel=1e-5)
    assert found.psnr == pytest.approx(20, rel=1e-5)
    assert found.pearson == pytest.approx(1)
    np.testing.assert_allclose(found.squared_error, 0.01, rtol=1e-4)
    # Only the term of brightness moves; contrast and structure are the same.
    assert 0.5 < found.ssim < 1


def test_each_damage_moves_the_figures_that_it_should() -> None:
    inverted = compare_greys(REAL, 1 - REAL)
    assert inverted.pearson == pytest.approx(-1)
    assert inverted.ssim < 0
    scaled = compare_greys(REAL, REAL * np.float32(0.6))
    assert scaled.pearson == pytest.approx(1)
    assert scaled.mse > 0
    assert scaled.ssim < 0.99
    one, two = (
        compare_greys(REAL, ndi.gaussian_filter(REAL, sigma)) for sigma in (1, 3)
    )
    assert 1 > one.ssim > two.ssim
    assert 0 < one.mse < two.mse
    assert one.psnr > two.psnr
    assert 1 > one.pearson > two.pearson
    noise = RNG.normal(0, 0.1, REAL.shape).astype(np.float32)
    noisy = compare_greys(REAL, REAL + noise)
    assert noisy.mse == pytest.approx(float((noise**2).mean()), rel=1e-3)
    assert noisy.ssim < one.ssim
    shifted = compare_greys(REAL, np.roll(REAL, 5, axis=0))
    assert shifted.pearson < 0.7


def test_a_local_damage_shows_in_the_maps_there_and_nowhere_else() -> None:
    fake = REAL.copy()
    fake[30:36, 40:46] = 1 - fake[30:36, 40:46]
    found = compare_greys(REAL, fake)
    assert (found.squared_error > 0).sum() <= 36
    assert found.ssim_map[33, 43] < 0.5
    away = np.ones(REAL.shape, bool)
    away[25:41, 35:51] = False
    assert (found.ssim_map[away] == 1).all()


def test_ssim_is_that_of_scikit_image() -> None:
    from skimage.metrics import structural_similarity

    fake = ndi.gaussian_filter(REAL, 1.5)
    expected = structural_similarity(
        REAL,
        fake,
        data_range=1,
        gaussian_weights=True,
        use_sample_covariance=False,
    )
    assert compare_greys(REAL, fake).ssim == pytest.approx(expected, rel=1e-6)


def test_what_holds_no_data_changes_nothing() -> None:
    """Whatever lies there, in either, and whether the mask or NaN says so."""
    fake = ndi.gaussian_filter(REAL, 1)
    valid = np.ones(REAL.shape, bool)
    valid[:20, :30] = False
    found = compare_greys(REAL, fake, valid)
    wild = fake.copy()
    wild[~valid] = 1e6
    blank = REAL.copy()
    blank[~valid] = np.nan
    for other in (
        compare_greys(REAL, wild, valid),
        compare_greys(blank, fake),
        compare_greys(REAL, np.where(valid, fake, np.inf)),
    ):
        assert (other.mse, other.ssim, other.pearson) == (
            found.mse,
            found.ssim,
            found.pearson,
        )
    assert found.mse == pytest.approx(float(((REAL - fake)[valid] ** 2).mean()))
    assert (np.isnan(found.squared_error) == ~valid).all()
    # The window of 11 x 11 must not look into what is unknown.
    assert (
        np.isnan(found.ssim_map) == ndi.binary_dilation(~valid, np.ones((11, 11)))
    ).all()


def test_without_any_data_nothing_can_be_said() -> None:
    found = compare_greys(REAL, REAL, np.zeros(REAL.shape, bool))
    figures = (found.mse, found.psnr, found.ssim, found.pearson)
    assert all(math.isnan(one) for one in figures)


def test_constant_planes_have_no_correlation() -> None:
    flat = np.full_like(REAL, 0.3)
    assert math.isnan(compare_greys(flat, flat).pearson)
    assert math.isnan(compare_greys(REAL, flat).pearson)
    assert compare_greys(flat, flat).ssim == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (6, 6), (10, 40)])
def test_tiny_planes_have_no_ssim(shape: tuple[int, int]) -> None:
    plane = np.linspace(0, 1, math.prod(shape), dtype=np.float32).reshape(shape)
    found = compare_greys(plane, plane)
    assert math.isnan(found.ssim)
    assert found.ssim_map.shape == shape
    assert (found.mse, found.psnr) == (0, math.inf)


def test_the_smallest_plane_with_ssim() -> None:
    assert compare_greys(REAL[:11, :11], REAL[:11, :11]).ssim == 1


def test_colours_are_compared_by_their_mean() -> None:
    colours = np.stack([REAL, REAL / 2, REAL * 0], axis=2)
    np.testing.assert_allclose(as_grey(colours), REAL / 2, rtol=1e-6)
    assert as_grey(np.stack([REAL] * 3, axis=2)).tolist() == REAL.tolist()
    assert compare_greys(REAL, np.stack([REAL] * 3, axis=2)).mse == 0


planes = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).random((14, 12)).astype(np.float32)
)


@settings(deadline=None, max_examples=30)
@given(planes, planes)
def test_bounds_and_symmetry(a: np.ndarray, b: np.ndarray) -> None:
    one, other = compare_greys(a, b), compare_greys(b, a)
    assert one.mse == other.mse
    assert one.ssim == pytest.approx(other.ssim)
    assert one.pearson == pytest.approx(other.pearson)
    assert 0 <= one.mse <= 1
    assert -1 <= one.ssim <= 1
    assert -1 <= one.pearson <= 1
