"""Planes behind anything that can be sliced."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import torch
import zarr
from large_planes import Recording

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.lazy_plane import LazyPlane

ROWS, COLUMNS = slice(2, 9), slice(3, 5)


def in_dask(array: np.ndarray) -> Any:
    return da.from_array(array, chunks=4)


def in_zarr(array: np.ndarray) -> Any:
    return zarr.array(array, chunks=tuple(min(4, n) for n in array.shape))


@pytest.mark.parametrize("hold", [np.asarray, in_dask, in_zarr, Recording])
def test_parts_are_those_of_the_array(hold: Any) -> None:
    array = np.arange(12 * 9).reshape(12, 9).astype(np.uint16)
    plane = LazyPlane.of(hold(array))
    assert (plane.shape, plane.dtype) == ((12, 9), np.uint16)
    part = plane.read(ROWS, COLUMNS)
    assert type(part) is np.ndarray
    np.testing.assert_array_equal(part, array[ROWS, COLUMNS])


@pytest.mark.parametrize("hold", [np.asarray, in_dask, in_zarr])
def test_the_whole_is_the_array_as_it_is(hold: Any) -> None:
    array = np.arange(2 * 12 * 9 * 4).reshape(2, 12, 9, 4)
    whole = LazyPlane(hold(array), (1,)).whole()
    assert type(whole) is np.ndarray
    np.testing.assert_array_equal(whole, array[1])
    np.testing.assert_array_equal(LazyPlane(hold(array[0])).whole(), array[0])


@pytest.mark.parametrize(("channels", "kept"), [(1, None), (3, 3), (4, 3)])
def test_channels(channels: int, kept: int | None) -> None:
    array = np.random.default_rng(0).random((12, 9, channels))
    part = LazyPlane(array).read(ROWS, COLUMNS)
    expected = array[ROWS, COLUMNS]
    expected = expected[:, :, 0] if kept is None else expected[:, :, :kept]
    np.testing.assert_array_equal(part, expected)


def test_one_plane_of_a_stack() -> None:
    stack = np.random.default_rng(0).random((2, 3, 12, 9))
    recording = Recording(stack)
    plane = LazyPlane(recording, (1, 2))
    assert plane.shape == (12, 9)
    np.testing.assert_array_equal(plane.read(ROWS, COLUMNS), stack[1, 2, ROWS, COLUMNS])
    # Nothing else of the stack was asked for.
    assert recording.parts == [(1, 2, ROWS, COLUMNS)]


def test_a_plane_is_taken_as_it_is_and_other_things_as_arrays() -> None:
    plane = LazyPlane(np.zeros((4, 5)))
    assert LazyPlane.of(plane) is plane
    assert LazyPlane.of([[1, 2, 3], [4, 5, 6]]).shape == (2, 3)
    tensor = torch.ones(4, 5)
    assert LazyPlane.of(tensor).dtype == np.float32


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(5), "not an image plane"),
        (np.zeros((5, 6, 2)), "not an image plane"),
        (np.zeros((3, 5, 6)), "not an image plane"),
        (np.zeros((0, 6)), "empty"),
        (np.zeros((5, 6), complex), "complex"),
    ],
)
def test_what_is_no_plane_is_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        LazyPlane(array)


class _Broken:
    """What a damaged chunk of zarr or a failing task of dask looks like."""

    shape = (64, 64)
    ndim = 2
    dtype = np.dtype(np.uint8)

    def __getitem__(self, part: object) -> object:
        msg = "invalid input data"
        raise RuntimeError(msg)

    def __array__(self, dtype: object = None, copy: object = None) -> object:
        return self[:]


def test_what_cannot_be_read_is_told_in_words() -> None:
    plane = LazyPlane(_Broken())
    with pytest.raises(InputError, match="cannot be read: invalid input data"):
        plane.read(slice(0, 8), slice(0, 8))
    with pytest.raises(InputError, match="cannot be read: invalid input data"):
        plane.whole()
