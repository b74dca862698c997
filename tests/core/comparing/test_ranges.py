"""Grey values of one type in the range of another."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dinoprompt.core.comparing.grids import match_range

GREY = np.array([[0, 51], [102, 255]], dtype=np.uint8)


@pytest.mark.parametrize(
    ("plane", "real", "expected"),
    [
        (GREY.astype(np.uint16) * 257, GREY, GREY),
        (GREY / 255, GREY, GREY),
        (GREY / np.float32(255) * 1.05, GREY, GREY * 1.05),
        (GREY, GREY.astype(np.uint16) * 257, GREY * 257.0),
        (GREY, GREY.astype(np.uint16) * 16, GREY * (4095 / 255)),
        (GREY.astype(np.uint16) * 16, GREY / 255, GREY * (16 / 4095)),
        (GREY, GREY / 255, GREY / 255),
        (GREY > 99, GREY, (GREY > 99) * 255),
    ],
)
def test_white_stays_white(plane, real, expected) -> None:
    np.testing.assert_allclose(match_range(plane, real), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("plane", "real"),
    [
        (GREY, GREY),
        (GREY, GREY.astype(np.uint16)),
        (GREY.astype(np.uint16), GREY),
        # A dark fake of the same type stays dark.
        (GREY.astype(np.uint16), GREY.astype(np.uint16) * 257),
        (GREY, GREY.astype(np.float32)),
        (GREY.astype(np.float32), GREY),
        (GREY.astype(np.int64), GREY),
        (GREY, GREY.astype(np.int32)),
        (np.full((2, 2), np.nan), GREY),
    ],
)
def test_what_is_not_known_is_left(plane, real) -> None:
    assert match_range(plane, real) is plane


def test_no_data_stays_without_and_says_nothing() -> None:
    plane = np.array([[0, np.nan], [0.5, 1]], dtype=np.float32)
    found = match_range(plane, GREY)
    np.testing.assert_array_equal(found, [[0, np.nan], [127.5, 255]])
    assert found.dtype == np.float32
