"""Pictures that are no TIFF: PNG, JPEG and their kind, at the depth they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_dinoprompt.core.errors import InputError

from .colours import ORIENTATION, check_upright
from .limits import check_fits

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


_FORMATS = ("PNG", "JPEG", "MPO", "JPEG2000", "BMP", "DIB", "GIF", "PPM", "WEBP", "TGA")
_AS_STORED = ("1", "L", "I;16", "I;16B", "I", "F", "RGB", "RGBA", "LA")
_CONVERTED = {"CMYK": "RGB", "YCbCr": "RGB", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA"}
# Where a PNG says how many bits a number has.
_PNG_BITS, _PNG_HEAD = 24, 26


def read_picture(path: Path, *, labels: bool) -> NDArray[np.generic]:
    """Read the only picture of a file; of labels with a palette, their numbers.

    Returns (H, W) or (H, W, 3 or 4). Raises an InputError if the file holds several or
    its colours are not read here; decoders raise what they like of damaged ones.
    """
    # The content, not the name.
    with path.open("rb") as content:
        head = content.read(_PNG_HEAD)
        content.seek(0)
        with _open(content, path) as picture:
            _check(picture, head, path)
            if _is_deep(picture, head):
                return _decode_deep(path, str(picture.format))
            return _grey_or_rgb(picture, path, labels=labels)


def _open(content: Any, path: Path) -> Image.Image:
    try:
        return Image.open(content)
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise InputError(
            f"The image {path} has more than {most:.0f} million pixels, which is too "
            "many for its format. Save it as a tiled TIFF or a zarr folder."
        ) from error


def _check(picture: Image.Image, head: bytes, path: Path) -> None:
    """Refuse what would be misread."""
    if picture.format not in _FORMATS:
        raise InputError(
            f"The image {path} is a {picture.format} file, which is not read here. "
            "Save it as PNG or TIFF."
        )
    count = getattr(picture, "n_frames", 1)
    if count != 1 and picture.format != "MPO":
        msg = f"{path} holds {count} images ({picture.size[::-1]}); one is needed."
        raise InputError(msg)
    check_upright(picture.getexif().get(ORIENTATION), path)
    if picture.format == "PPM" and head.startswith(b"P6") and _is_wide(head):
        raise InputError(
            f"The image {path} is a PPM of 16 bits a colour, of which only 8 would be "
            "read. Save it as PNG or TIFF."
        )
    bands = len(picture.getbands())
    check_fits(path, picture.width * picture.height * bands * 4)


def _is_wide(head: bytes) -> bool:
    """Tell whether a PPM has more than a byte a colour."""
    numbers = head.split()[1:4]
    return len(numbers) == 3 and numbers[2].isdigit() and int(numbers[2]) > 255


def _is_deep(picture: Image.Image, head: bytes) -> bool:
    """Tell whether Pillow would take the lower bits of the numbers away."""
    if picture.format == "PNG":
        return head[_PNG_BITS] > 8
    return picture.format == "JPEG2000"


def _decode_deep(path: Path, kind: str) -> NDArray[np.generic]:
    import imagecodecs

    decode = imagecodecs.png_decode if kind == "PNG" else imagecodecs.jpeg2k_decode
    image: NDArray[np.generic] = np.asarray(decode(path.read_bytes()))
    # Grey with transparency comes without it.
    return image[:, :, 0] if image.ndim == 3 and image.shape[2] < 3 else image


def hides_pixels(picture: Image.Image) -> bool:
    """Tell whether some pixels of a picture are transparent and so not to be seen."""
    return picture.mode in ("RGBA", "LA") and not np.asarray(picture)[..., -1].all()


def _grey_or_rgb(
    picture: Image.Image, path: Path, *, labels: bool
) -> NDArray[np.generic]:
    mode = picture.mode
    if mode in ("P", "PA"):
        if labels and mode == "P":
            return np.asarray(picture)
        coloured = np.asarray(picture.convert("RGB"))
        grey = (coloured == coloured[:, :, :1]).all()
        return np.ascontiguousarray(coloured[:, :, 0]) if grey else coloured
    if mode in _CONVERTED:
        picture = picture.convert(_CONVERTED[mode])
    elif mode not in _AS_STORED:
        raise InputError(
            f"The image {path} stores {mode} colours, which are not read here. Save "
            "it as grey or RGB."
        )
    if not labels and hides_pixels(picture):
        raise InputError(
            f"The image {path} has transparent pixels, whose hidden colours would "
            "count. Save it without transparency."
        )
    image = np.asarray(picture)
    if not image.dtype.isnative:
        image = image.astype(image.dtype.newbyteorder("="))
    return image[:, :, 0] if picture.mode == "LA" else image
