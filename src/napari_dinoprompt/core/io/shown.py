"""What napari shows of a file, where that is not what the file means."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from PIL import Image
from tifffile import PHOTOMETRIC

from .colours import ORIENTATION, RGB_DECODED, is_turned, meaning_of
from .pictures import hides_pixels
from .tiff import TIFF_MAGIC, tiff_file, with_colours_of

if TYPE_CHECKING:
    from pathlib import Path


_OTHER = "it stores other colours than RGB, which napari takes for RGB"
_SHOWN = {
    PHOTOMETRIC.MINISWHITE: "white is stored as 0 in it, which napari shows as black",
    PHOTOMETRIC.PALETTE: "its numbers stand for colours, and napari shows the numbers",
    **dict.fromkeys(
        (PHOTOMETRIC.SEPARATED, PHOTOMETRIC.YCBCR, PHOTOMETRIC.CIELAB),
        _OTHER,
    ),
}
_APART = "its three channels are the colours of one picture, which napari shows apart"
_TURNED = "it is meant to be turned or mirrored, which napari does not"
_HIDDEN = "it has transparent pixels, whose hidden colours count"
_HALF = "it has 16 bits a colour, of which napari shows 8"
# Where a PNG says how many bits a number has, and whether it has colours.
_HEAD, _BITS, _COLOURS = 26, 24, 25


def describe_otherwise(path: Path) -> str:
    """Say what of a file napari shows otherwise than it is meant; "" if nothing.

    napari takes numbers as they are stored, and of 16 bits a colour in a PNG half.
    """
    # Any trouble with the file is napari's own to tell.
    with suppress(Exception):
        with path.open("rb") as content:
            head = content.read(_HEAD)
        if head[:4] in TIFF_MAGIC:
            with tiff_file(path) as file:
                page: Any = file.pages.first
                tag = page.tags.get(ORIENTATION)
                turned = tag is not None and is_turned(tag.value)
                said = _SHOWN.get(meaning_of(page), "")
                decoded = page.compression in RGB_DECODED
                axes = str(file.series[0].axes)
                # napari takes the last axis alone for colours.
                if "S" in with_colours_of(axes, file, file.series[0].shape)[:-1]:
                    said = _APART
        else:
            with Image.open(path) as picture:
                turned = is_turned(picture.getexif().get(ORIENTATION))
                deep = (
                    picture.format == "PNG" and head[_BITS] > 8 and head[_COLOURS] & 2
                )
                hidden = _HIDDEN if hides_pixels(picture) else ""
                inks = _OTHER if picture.mode == "CMYK" else ""
                said, decoded = (_HALF if deep else hidden or inks), False
        told = [] if decoded or not said else [said]
        return " and ".join(told + ([_TURNED] if turned else []))
    return ""
