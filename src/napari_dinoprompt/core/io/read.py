"""Image planes from files, and results into TIFF files."""

from __future__ import annotations

import math
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import UnidentifiedImageError

from napari_dinoprompt.core.errors import InputError, first_line
from napari_dinoprompt.core.images.labels import as_labels
from napari_dinoprompt.core.images.lazy_plane import LazyPlane
from napari_dinoprompt.core.images.plane import as_plane

from .atomic import open_atomically, software_version
from .limits import check_regular
from .pick import EVERYTHING, Pick
from .pictures import read_picture
from .tiff import TIFF_MAGIC, open_tiff
from .views import PictureView, iter_tiles
from .zarr import is_zarr, open_zarr

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


_ZIP_MAGIC = b"PK\x03\x04"
# Up to so many bytes a plane is read at once.
_IN_MEMORY = 2**26
_TILE = 512
# Of a centimetre.
_MICROMETRES = 10_000
# A classic TIFF holds 4 GiB, its directory included.
_CLASSIC = 2**32 - 2**25


def read_image(path: Path, pick: Pick = EVERYTHING) -> NDArray[np.generic]:
    """Read one image plane.

    Returns (H, W) or (H, W, 3 or 4): grey, RGB or RGBA in the dtype of the file; grey
    with transparency comes without it.
    """
    image = _read_picture(path, pick)
    with _naming(path):
        as_plane(image)
    return image


def read_labels(path: Path) -> NDArray[np.int32]:
    """Read the truth of one plane: (H, W) labels, 0 where nothing is."""
    picture = _read_picture(path, labels=True)
    with _naming(path):
        return as_labels(picture)


def _read_picture(
    path: Path, pick: Pick = EVERYTHING, *, labels: bool = False
) -> NDArray[np.generic]:
    array, axes = open_array(path, pick, in_memory=sys.maxsize, labels=labels)
    with _explaining(path):
        return np.asarray(_as_picture(array, axes, path))


def open_image(
    path: Path, pick: Pick = EVERYTHING, *, in_memory: int = _IN_MEMORY
) -> LazyPlane:
    """Open one image plane, or a zarr folder with one, and read it only if it is small.

    Damage within a large file is found when it is read.
    """
    array, axes = open_array(path, pick, in_memory=in_memory)
    picture = _as_picture(array, axes, path)
    with _naming(path):
        if isinstance(picture, np.ndarray) and not isinstance(picture, np.memmap):
            as_plane(picture)
        return LazyPlane(picture)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in what is said against its image."""
    try:
        yield
    except InputError as error:
        raise InputError(f"The image {path} cannot be used: {error}") from error


def open_array(
    path: Path,
    pick: Pick = EVERYTHING,
    *,
    in_memory: int = _IN_MEMORY,
    labels: bool = False,
) -> tuple[Any, str]:
    """Open all that a file holds, planes and stacks, reading it only where small.

    Labels are stored numbers, whatever colours a palette gives them. Returns what has
    shape and dtype and can be sliced, and a letter per axis: ``"Y"``,
    ``"X"``, ``"S"`` for colours, others for planes.
    """
    if path.is_dir() and not is_zarr(path):
        raise InputError(f"{path} is a folder; give the images in it.")
    if not path.exists():
        raise InputError(f"There is no image file {path}.")
    with _explaining(path):
        if path.is_dir():
            return open_zarr(path, pick)
        check_regular(path)
        with path.open("rb") as file:
            magic = file.read(4)
        if not magic:
            raise InputError(f"The image {path} is empty.")
        if magic == _ZIP_MAGIC:
            msg = f"{path} is a zip archive; unpack it and give what is in it."
            raise InputError(msg)
        if magic in TIFF_MAGIC:
            return open_tiff(path, in_memory, pick, labels=labels)
        image = read_picture(path, labels=labels)
        if pick.series is not None:
            raise InputError(f"{path} holds one image; leave out --series.")
        axes = "YX" if image.ndim == 2 else "YXS"
        return pick.pick_channel(image, axes, ("red", "green", "blue"), path)


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Put what decoders raise into words."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        # Of what a file truly holds this was asked before.
        raise InputError(
            f"The image {path} cannot be read: it is damaged, or there is not enough "
            "memory."
        ) from error
    # Decoders raise whatever they stumble over in a damaged file.
    except Exception as error:
        msg = f"The image {path} cannot be read: {_reason(error)}"
        raise InputError(msg) from error


def _as_picture(array: Any, axes: str, path: Path) -> Any:
    """Drop axes of one and put colours last; refuse stacks."""
    if len(axes) != len(array.shape):
        msg = f"The image {path} cannot be read: its axes are not those of its shape."
        raise InputError(msg)
    # TIFF names axes of one too, zarr and OME-Zarr have them.
    shown = [
        (axis, size)
        for axis, size in zip(axes, array.shape, strict=True)
        if size != 1 or axis in "YXS"
    ]
    kept = "".join(axis for axis, _ in shown)
    if kept not in ("YX", "YXS", "SYX") or "Y" not in axes or "X" not in axes:
        shape = tuple(int(size) for size in array.shape)
        raise InputError(
            f"{path} holds a stack of shape {shape} (axes {axes}); one plane is "
            "needed. Save the plane as a file of its own"
            + (", or choose a channel by --channel." if "C" in kept else ".")
        )
    if axes in ("YX", "YXS"):
        return array
    view = PictureView(array, axes)
    return view[:, :] if isinstance(array, np.ndarray) else view


def _reason(error: Exception) -> str:
    text = first_line(error)
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image of a known kind."
    if "imagecodecs" in text:
        return f"its compression needs the package imagecodecs ({text})."
    return f"{text.rstrip('.')}."


def write_tiff(
    path: Path,
    array: Any,
    name: str = "",
    *,
    pixel_size: tuple[float, ...] | None = None,
) -> None:
    """Write a map, a mask or instances as a compressed TIFF.

    array: (H, W) or (K, H, W) float32, uint8, uint16 or int32. Instances of int32 are
    stored as uint16 where they fit: more programs open it. What is no ndarray, such as
    a zarr array, is read and written tile by tile. A name goes into its description,
    and the pixel size, height and width in micrometres, into its resolution.
    """
    options: dict[str, Any] = {}
    if pixel_size is not None:
        y, x = (_MICROMETRES / step for step in pixel_size)
        options = {"resolution": (x, y), "resolutionunit": "CENTIMETER"}
    dtype, axes = np.dtype(array.dtype), "YX" if len(array.shape) == 2 else "CYX"
    if dtype == np.int32 and math.prod(array.shape):
        dtype = np.dtype(np.uint16) if _fits(array) else dtype
    if isinstance(array, np.ndarray):
        data: Any = np.ascontiguousarray(array.astype(dtype, copy=False))
    else:
        data = (tile.astype(dtype, copy=False) for tile in iter_tiles(array, _TILE))
        options |= {
            "shape": tuple(array.shape),
            "dtype": dtype,
            "tile": (_TILE, _TILE),
            "bigtiff": math.prod(array.shape) * dtype.itemsize > _CLASSIC,
        }
    with open_atomically(path) as file:
        tifffile.imwrite(
            file,
            data,
            photometric="minisblack",
            compression="zlib",
            metadata={"axes": axes, "Name": name} if name else {"axes": axes},
            software=f"napari-dinoprompt {software_version()}",
            **options,
        )


def _fits(array: Any) -> bool:
    """Tell whether all numbers fit into uint16."""
    most = np.iinfo(np.uint16).max
    parts = (array,) if isinstance(array, np.ndarray) else iter_tiles(array, 4 * _TILE)
    return all(part.min() >= 0 and part.max() <= most for part in parts)
