"""Images are told by their pixels, without reading much of a large one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.fingerprint import fingerprint_image
from napari_dinoprompt.core.images.lazy_plane import LazyPlane

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


def fingerprint(array: object, stack: tuple[int, ...] = ()) -> str:
    steps: Generator[None, None, str] = fingerprint_image(
        lambda index: LazyPlane(array, index), stack
    )
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return str(end.value)


@pytest.fixture
def plane() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, (40, 50)).astype(np.uint16)


def test_one_pixel_more_or_less_is_another_image(plane) -> None:
    found = fingerprint(plane)
    assert fingerprint(plane.copy()) == found
    assert fingerprint(plane.astype(">u2")) == found
    other = plane.copy()
    other[17, 31] += 1
    assert fingerprint(other) != found
    assert fingerprint(plane.astype(np.int32)) != found
    assert fingerprint(plane.reshape(50, 40)) != found


def test_a_stack_is_not_its_plane(plane) -> None:
    stack = np.stack([plane, plane + 1, plane + 2])
    found = fingerprint(stack, (3,))
    assert found != fingerprint(plane)
    assert fingerprint(stack[:2], (2,)) != found
    for changed in range(3):
        other = stack.copy()
        other[changed, 3, 4] = 0
        assert fingerprint(other, (3,)) != found


class Counting:
    """An array that counts what is read of it."""

    def __init__(self, shape: tuple[int, ...], value: Callable[[int, int], int]):
        self.shape = shape
        self.dtype = np.dtype(np.uint16)
        self.pixels = 0
        self._value = value

    def __getitem__(self, part: tuple) -> np.ndarray:
        *_index, rows, columns = part
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        self.pixels += shape[0] * shape[1]
        return np.full(shape, self._value(rows.start, columns.start), np.uint16)


def test_a_huge_plane_is_read_in_few_places_that_do_not_change() -> None:
    huge = Counting((100_000, 80_000), lambda y, x: (y * 7 + x) % 60_000)
    found = fingerprint(huge)
    assert huge.pixels == 16 * 64 * 64
    again = Counting((100_000, 80_000), lambda y, x: (y * 7 + x) % 60_000)
    assert fingerprint(again) == found
    other = Counting((100_000, 80_000), lambda y, x: (y * 7 + x) % 60_000 * (y > 0))
    assert fingerprint(other) != found


def test_of_a_long_stack_three_planes_are_read() -> None:
    stack = Counting((1000, 300, 200), lambda y, x: 1)
    fingerprint(stack, (1000,))
    assert stack.pixels == 3 * 300 * 200


def test_an_image_that_cannot_be_read_is_an_input_error() -> None:
    def broken(_y: int, _x: int) -> int:
        raise RuntimeError("the server is gone")

    with pytest.raises(InputError, match="the server is gone"):
        fingerprint(Counting((9, 9), broken))
