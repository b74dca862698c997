"""The filter bank."""

import numpy as np
import pytest
import torch
from scipy import ndimage as ndi

from napari_dinoprompt.core.backbones import filterbank as module
from napari_dinoprompt.core.backbones.filterbank import LEVELS, FilterBank
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.tiling.grid import resample, resampling_taps

INTENSITY, EDGE, RIDGE, VALLEY = range(4)
COLOUR = 4


def vectors(image: np.ndarray, bank: FilterBank, upscale: float = 1.0) -> torch.Tensor:
    return extract_features(image, bank, upscale=upscale, window=(0, 1)).vectors


def by_level(found: torch.Tensor) -> torch.Tensor:
    """(rows, columns, level, response)."""
    return found.unflatten(2, (LEVELS, -1))


def smooth(shape: tuple[int, ...] = (70, 91), seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random(shape)
    sigma = (3, 3, 0)[: len(shape)]
    image = ndi.gaussian_filter(noise, sigma)
    return (image - image.min()) / np.ptp(image) * 0.8 + 0.1


def test_the_identity_names_no_network(filterbank: FilterBank) -> None:
    info = filterbank.info
    assert info.name == "filterbank"
    assert info.dimension == 6 * LEVELS == 30
    assert info.block == -1
    assert "dino" not in str(info).lower()
    assert filterbank.scoring == "standardised"
    assert vectors(smooth(), filterbank).shape[2] == 30


@pytest.mark.parametrize("core", [32, 64, 96])
def test_tiled_equals_untiled(
    filterbank: FilterBank, monkeypatch: pytest.MonkeyPatch, core: int
) -> None:
    image = np.random.default_rng(0).random((221, 309, 3))
    assert len(filterbank.plan((111, 155)).tiles) == 1
    whole = vectors(image, filterbank)
    monkeypatch.setattr(module, "_CORE", core)
    assert len(filterbank.plan((111, 155)).tiles) > 3
    tiled = vectors(image, filterbank)
    torch.testing.assert_close(tiled, whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", [(70, 91), (64, 64), (33, 50)])
@pytest.mark.parametrize("factor", [2, 3])
def test_upscale_equals_the_image_enlarged(
    filterbank: FilterBank, shape: tuple[int, int], factor: int
) -> None:
    image = smooth(shape).astype(np.float32)
    rows, columns = (
        resampling_taps(0, factor * length, length=length, upscale=factor)
        for length in shape
    )
    enlarged = resample(image[rows.span, columns.span], rows, columns)
    assert enlarged.shape == (factor * shape[0], factor * shape[1])
    found = vectors(image, filterbank, upscale=factor)
    expected = vectors(enlarged, filterbank)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_a_grey_image_has_no_colour_and_equals_itself_as_rgb(
    filterbank: FilterBank,
) -> None:
    grey = smooth()
    found = vectors(grey, filterbank)
    assert not by_level(found)[..., COLOUR:].any()
    assert by_level(found)[..., :COLOUR].std() > 0.01
    as_rgb = vectors(np.stack([grey] * 3, axis=2), filterbank)
    torch.testing.assert_close(as_rgb, found, atol=1e-6, rtol=0)


def test_colours_are_told_apart_at_the_same_brightness(filterbank: FilterBank) -> None:
    image = np.full((32, 96, 3), 0.4)
    for band, colour in enumerate([(0.8, 0.2, 0.2), (0.2, 0.8, 0.2), (0.2, 0.2, 0.8)]):
        image[:, 32 * band : 32 * (band + 1)] = colour
    found = by_level(vectors(image, filterbank))[8, [8, 24, 40], 0]
    brightness = torch.full((3,), (np.sqrt(0.8) + 2 * np.sqrt(0.2)) / 3)
    torch.testing.assert_close(found[:, INTENSITY], brightness.float())
    colours = found[:, COLOUR:]
    apart = torch.cdist(colours, colours)[~torch.eye(3, dtype=torch.bool)]
    assert apart.min() > 0.2


def test_a_flat_image_has_its_intensity_and_nothing_else(
    filterbank: FilterBank,
) -> None:
    found = by_level(vectors(np.full((40, 50), 0.3), filterbank))
    torch.testing.assert_close(
        found[..., INTENSITY], torch.full_like(found[..., 0], np.sqrt(0.3))
    )
    assert found[..., 1:].abs().max() < 1e-5


def test_responses_at_a_blob(filterbank: FilterBank) -> None:
    """At the middle of a blob whose root is a Gaussian: both curvatures down.

    The scale-normalised curvature is largest where the scale meets the blob's.
    """
    y, x = np.mgrid[:128, :128] - 63.5
    sigma = 5.6
    blob = np.exp(-(y**2 + x**2) / (2 * sigma**2))
    middle = by_level(vectors(blob**2, filterbank))[31:33, 31:33].mean(dim=(0, 1))
    assert (middle[:4, RIDGE] < 0).all()
    assert (middle[:4, VALLEY] < 0).all()
    # Theory: t * s^2 / (s^2 + t)^2 with t = scale^2 has its maximum at t = s^2.
    scales = torch.tensor([4.0**level for level in range(LEVELS)])
    expected = -scales * sigma**2 / (sigma**2 + scales) ** 2
    found = (middle[:, RIDGE] + middle[:, VALLEY]) / 2
    # Pixels of the coarse levels lie around the middle, not on it.
    torch.testing.assert_close(found, expected, atol=0.1, rtol=0)
    assert found[2:4].max() < 1.5 * found[[0, 4]].min()


def test_responses_at_an_edge(filterbank: FilterBank) -> None:
    step = np.zeros((128, 128))
    step[:, 64:] = 1
    found = by_level(vectors(step, filterbank))[32]
    for level in range(3):
        edge = found[:, level, EDGE]
        assert int(edge.argmax()) in (31, 32)
        # Scale-normalised: the slope of a blurred step is 1 / sqrt(2 pi) = 0.4 at any
        # scale, here a mean over the width of a cell.
        assert 0.2 < edge.max() < 0.4
        # Bent across the edge, on either side, and not along it.
        bent = found[:, level, RIDGE] + found[:, level, VALLEY]
        assert bent[:32].max() > 0.05
        assert bent[32:].min() < -0.05
    assert found[5, 0, EDGE] < 1e-6


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_the_image_turns_the_map(filterbank: FilterBank, turns: int) -> None:
    image = smooth((96, 64, 3))  # whole cells at every level, so that padding turns too
    found = vectors(np.rot90(image, turns).copy(), filterbank)
    expected = torch.rot90(vectors(image, filterbank), turns)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_mirroring_the_image_mirrors_the_map(filterbank: FilterBank) -> None:
    image = smooth((96, 64))
    found = vectors(image[:, ::-1].copy(), filterbank)
    torch.testing.assert_close(
        found, vectors(image, filterbank).flip(1), atol=1e-5, rtol=0
    )


def test_shifting_the_image_by_the_coarsest_step_shifts_the_map(
    filterbank: FilterBank,
) -> None:
    image = smooth((420, 420))
    step = 2 ** (LEVELS - 1)
    found = vectors(image[step:, step:], filterbank)
    expected = vectors(image, filterbank)[step // 2 :, step // 2 :]
    reach = module._HALO
    torch.testing.assert_close(
        found[reach:-reach, reach:-reach],
        expected[reach:-reach, reach:-reach],
        atol=1e-6,
        rtol=0,
    )
    assert found[reach:-reach, reach:-reach].numel() > 0
