"""What counts as an image plane."""

import numpy as np
import pytest

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.planes import as_plane, is_constant, no_data_pixels

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
    assert is_constant(plane) is constant
