"""Image planes from files, and results into TIFF files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import tifffile

from napari_dinoprompt.core.atomic import open_atomically
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.planes import as_plane
from napari_dinoprompt.core.version import software_version

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_image", "write_tiff"]

# Little and big endian, classic and BigTIFF. The name of a file may lie.
_TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


def read_image(path: Path) -> NDArray[np.generic]:
    """Read one image plane.

    Parameters
    ----------
    path : Path
        A TIFF of any kind, or what Pillow reads: PNG, JPEG and others.

    Returns
    -------
    (H, W) or (H, W, 3 or 4) ndarray
        Grey, RGB or RGBA in the dtype of the file; grey with transparency comes
        without it.

    Raises
    ------
    InputError
        If the file is missing, damaged, not an image, or holds more than one plane;
        the message names the file.
    """
    if path.is_dir():
        msg = f"{path} is a folder; give the images in it."
        raise InputError(msg)
    if not path.is_file():
        msg = f"There is no image file {path}."
        raise InputError(msg)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if not magic:
            msg = f"The image {path} is empty."
            raise InputError(msg)
        image = _read_tiff(path) if magic in _TIFF_MAGIC else _read_other(path)
    except (InputError, MemoryError):
        raise
    # Decoders raise whatever they stumble over in a damaged file.
    except Exception as error:
        msg = f"The image {path} cannot be read: {_reason(error)}"
        raise InputError(msg) from error
    try:
        as_plane(image)
    except InputError as error:
        msg = f"The image {path} cannot be used: {error}"
        raise InputError(msg) from error
    return image


def _reason(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    if "imagecodecs" in text:
        return f"its compression needs the package imagecodecs ({text})."
    if "can not handle the given uri" in text:
        return "it is not an image of a known kind."
    return f"{text.rstrip('.')}."


def _read_tiff(path: Path) -> NDArray[np.generic]:
    with tifffile.TiffFile(path) as file:
        series = file.series
        if len(series) != 1:
            shapes = ", ".join(str(tuple(one.shape)) for one in series[:4])
            msg = f"{path} holds {len(series)} images ({shapes}); one is needed."
            raise InputError(msg)
        (only,) = series
        axes, shape = only.axes, tuple(only.shape)
        if not (len(shape) == 2 or (len(shape) == 3 and "S" in axes)):
            msg = (
                f"{path} holds a stack of shape {shape} (axes {axes}); one plane is "
                "needed. Save the plane as a file of its own."
            )
            raise InputError(msg)
        image = np.asarray(only.asarray())
    # Colours may be stored one after the other.
    return np.moveaxis(image, axes.index("S"), -1) if "S" in axes else image


def _read_other(path: Path) -> NDArray[np.generic]:
    # The content, not the name: imageio looks some names up on the web.
    content = path.read_bytes()
    # "..." is imageio's word for all that is in the file, not known to its types.
    everything: Any = ...
    found = iio.improps(content, plugin="pillow", index=everything)
    mode = iio.immeta(content, plugin="pillow")["mode"]
    if found.n_images != 1:
        msg = (
            f"{path} holds {found.n_images} images (shape {found.shape}); one is "
            "needed."
        )
        raise InputError(msg)
    # Four channels of ink are no RGBA.
    options = {"mode": "RGB"} if mode == "CMYK" else {}
    image = iio.imread(content, plugin="pillow", index=0, **options)
    return image[:, :, 0] if mode in ("LA", "La") else image


def write_tiff(path: Path, array: NDArray[np.generic]) -> None:
    """Write a map, a mask or instances as a compressed TIFF.

    Parameters
    ----------
    path : Path
    array : (H, W) or (K, H, W) ndarray of float32, uint8, uint16 or int32
        Instances of int32 are stored as uint16 where they fit: more programs open it.

    Raises
    ------
    InputError
        If it cannot be written; an older file of that name is kept.
    """
    if array.dtype == np.int32 and array.size:
        fits = array.min() >= 0 and array.max() <= np.iinfo(np.uint16).max
        array = array.astype(np.uint16) if fits else array
    try:
        with open_atomically(path) as file:
            tifffile.imwrite(
                file,
                np.ascontiguousarray(array),
                photometric="minisblack",
                compression="zlib",
                metadata={"axes": "YX" if array.ndim == 2 else "CYX"},
                software=f"napari-dinoprompt {software_version()}",
            )
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}."
        raise InputError(msg) from error
