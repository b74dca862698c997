"""Square pictures of any size, put together from the sample images."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage.feature import peak_local_max

from napari_dinoprompt.core.io.read import read_image
from napari_dinoprompt.sample_data import FIELDS, sample_files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


_REAL = "nuclei_real"
_PIECE = 256
_CHUNK = 1024


@cache
def _fields(role: str = _REAL) -> tuple[NDArray[np.generic], ...]:
    return tuple(read_image(sample_files(name)[role]) for name in FIELDS)


def _piece(row: int, column: int, seed: int, role: str) -> NDArray[np.generic]:
    """Cut a piece out of one of the sample's fields and turn it."""
    rng = np.random.default_rng((seed, row, column))
    fields = _fields(role)
    field = fields[int(rng.integers(len(fields)))]
    y, x = (int(rng.integers(length - _PIECE + 1)) for length in field.shape[:2])
    return np.rot90(field[y : y + _PIECE, x : x + _PIECE], int(rng.integers(4)))


def picture(
    side: int,
    seed: int = 0,
    *,
    first: tuple[int, int] = (0, 0),
    width: int = 0,
    role: str = _REAL,
) -> NDArray[np.generic]:
    """Make a picture, or a part of a larger one.

    Parameters
    ----------
    side : int
        Height in pixels, and width unless `width` is given.
    seed : int
        Other seeds, other pictures.
    first : (int, int)
        Of a part, its first row and column, multiples of the pieces' size of 256.
    width : int
    role : str
        Which of the sample's pictures, such as ``"nuclei_truth"`` for the labels of
        the same places.

    Returns
    -------
    (side, side) ndarray
        Of the sample images' type.
    """
    width = width or side
    rows = [
        np.concatenate(
            [
                _piece((first[0] + y) // _PIECE, (first[1] + x) // _PIECE, seed, role)
                for x in range(0, width, _PIECE)
            ],
            axis=1,
        )
        for y in range(0, side, _PIECE)
    ]
    return np.ascontiguousarray(np.concatenate(rows)[:side, :width])


def places_on_objects(
    image: NDArray[np.generic], count: int, seed: int = 0
) -> NDArray[np.float64]:
    """Choose points where the picture is brightest around.

    Parameters
    ----------
    image : (H, W) ndarray
    count : int
    seed : int

    Returns
    -------
    (count, 2) ndarray of float64
        y and x in pixels.
    """
    smooth = ndi.gaussian_filter(image.astype(np.float32), 4)
    peaks = peak_local_max(smooth, min_distance=8, num_peaks=20 * count)
    rng = np.random.default_rng(seed)
    chosen: NDArray[np.float64] = rng.permutation(peaks)[:count].astype(np.float64)
    return chosen


def large_plane(folder: Path, side: int) -> Any:
    """Open a large plane on the disk; it is written first if it is not there.

    Parameters
    ----------
    folder : Path
    side : int

    Returns
    -------
    (side, side) zarr.Array
        In chunks of 1024.
    """
    import zarr

    path = folder / f"plane-{side}.zarr"
    done = folder / f"plane-{side}.done"
    if not done.exists():
        pixels = zarr.create_array(
            store=str(path),
            shape=(side, side),
            chunks=(_CHUNK, _CHUNK),
            dtype=_fields()[0].dtype,
            overwrite=True,
        )
        for y in range(0, side, _CHUNK):
            for x in range(0, side, _CHUNK):
                height, width = min(_CHUNK, side - y), min(_CHUNK, side - x)
                part = picture(height, first=(y, x), width=width)
                pixels[y : y + height, x : x + width] = part
        done.touch()
    return zarr.open_array(store=str(path), mode="r")
