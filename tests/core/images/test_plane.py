"""What counts as an image plane."""

import imageio.v3 as iio
import numpy as np
import pytest

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.plane import as_plane, no_data_pixels, shows_nothing
from napari_dinoprompt.sample_data import FIELDS, sample_files

DTYPES = ["bool", "uint8", "uint16", "int16", "int32", "int64"]
FLOATS = ["float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES + FLOATS)
def test_every_number_format_is_kept(dtype: str) -> None:
    assert as_plane(np.ones((2, 3), dtype=dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 3), (2, 3)),
        ((2, 3, 1), (2, 3)),
        ((2, 3, 3), (2, 3, 3)),
        ((2, 3, 4), (2, 3, 3)),
        ((1, 1), (1, 1)),
    ],
)
def test_shapes_of_planes(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    image = np.arange(np.prod(shape)).reshape(shape)
    plane = as_plane(image)
    assert plane.shape == expected
    np.testing.assert_array_equal(plane.reshape(2 if shape[0] > 1 else 1, -1)[0, 0], 0)
    assert np.shares_memory(plane, image)


def test_alpha_is_dropped_and_not_colour() -> None:
    image = np.zeros((2, 2, 4), dtype=np.uint8)
    image[...] = 10, 20, 30, 255
    assert as_plane(image)[1, 1].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros(5),
        np.zeros((2, 3, 2)),
        np.zeros((2, 3, 5)),
        np.zeros((2, 2, 3, 3)),
        np.zeros((0, 4)),
        np.zeros((2, 2), dtype=complex),
        np.array([["a", "b"]]),
        np.full((2, 2), np.nan),
        np.full((2, 2), np.inf),
        np.array([[np.nan, -np.inf]], dtype=np.float16),
        np.stack([np.full((2, 2), np.nan), np.ones((2, 2)), np.ones((2, 2))], axis=2),
    ],
)
def test_what_is_no_plane_is_refused_in_one_line(image: np.ndarray) -> None:
    with pytest.raises(InputError) as refused:
        as_plane(image)
    assert "\n" not in str(refused.value)


def test_a_pixel_without_data_in_any_channel_has_none() -> None:
    plane = np.ones((2, 3, 3))
    plane[0, 1, 2], plane[1, 2, 0] = np.nan, np.inf
    missing = no_data_pixels(plane)
    assert missing is not None
    assert np.argwhere(missing).tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_without_gaps_there_is_no_map_of_them(dtype: str) -> None:
    assert no_data_pixels(np.ones((2, 2), dtype=dtype)) is None


@pytest.mark.parametrize(
    ("plane", "constant"),
    [
        (np.full((3, 3), 7), True),
        (np.ones((1, 1), dtype=bool), True),
        (np.array([[1.0, np.nan], [np.inf, 1.0]]), True),
        (np.array([[1.0, np.nan], [2.0, 1.0]]), False),
        (np.tile([1, 2, 3], (4, 4, 1)), True),
        (np.arange(12).reshape(2, 2, 3), False),
    ],
)
def test_constant_planes_are_told_from_others(
    plane: np.ndarray, constant: bool
) -> None:
    assert shows_nothing(plane) is constant


NOISES = {
    "uniform": lambda rng, shape: rng.integers(0, 256, shape, dtype=np.uint8),
    "gaussian": lambda rng, shape: rng.normal(100, 20, shape),
    "poisson": lambda rng, shape: rng.poisson(5, shape).astype(np.uint16),
    "salt and pepper": lambda rng, shape: (rng.random(shape) < 0.03) * 255.0,
}


@pytest.mark.parametrize("shape", [(64, 64), (300, 211), (128, 96, 3)])
@pytest.mark.parametrize("kind", NOISES)
def test_white_noise_shows_nothing(kind: str, shape: tuple[int, ...]) -> None:
    for seed in range(5):
        assert shows_nothing(NOISES[kind](np.random.default_rng(seed), shape))


@pytest.mark.parametrize("contrast", [0.3, 1.0, 5.0])
def test_objects_in_noise_are_something(contrast: float) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    discs = ((y % 40 - 20) ** 2 + (x % 40 - 20) ** 2 < 100).astype(float)
    assert not shows_nothing(contrast * discs + rng.normal(0, 1, discs.shape))


def test_too_few_pixels_are_not_judged_to_be_noise() -> None:
    assert not shows_nothing(np.random.default_rng(0).random((12, 12)))


def test_the_sample_shows_something() -> None:
    for field in FIELDS:
        for role, path in sample_files(field).items():
            if role.startswith(("membrane", "nuclei_real", "nuclei_fake")):
                assert not shows_nothing(iio.imread(path)), path


@pytest.mark.parametrize(("side", "spots", "sigmas"), [(512, 3, 10), (1024, 5, 10)])
def test_a_few_spots_in_noise_are_something(
    side: int, spots: int, sigmas: float
) -> None:
    """Their share of the variance is nothing, but they stand out."""
    rng = np.random.default_rng(0)
    plane = rng.normal(0, 1, (side, side))
    y, x = np.mgrid[-4:5, -4:5]
    for i, j in rng.integers(5, side - 5, (spots, 2)):
        plane[i - 4 : i + 5, j - 4 : j + 5] += sigmas * np.exp(-(y**2 + x**2) / 4.5)
    assert not shows_nothing(plane)


def test_gaps_do_not_make_noise_something() -> None:
    noise = np.random.default_rng(0).normal(60, 20, (256, 256))
    noise[3, 3] = np.nan
    assert shows_nothing(noise)
    noise[:20] = np.nan
    assert shows_nothing(noise)
