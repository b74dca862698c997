"""What the numbers of a stored picture mean: which way grey goes, palettes, inks.

What is neither grey nor RGB, or is stored turned, is understood or refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tifffile import COMPRESSION, PHOTOMETRIC

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.lazy_plane import SlicedArray, full_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


_PLAIN = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB)
# Their decoders return RGB.
RGB_DECODED = (COMPRESSION.JPEG, COMPRESSION.OJPEG, COMPRESSION.JPEG2000)
_FOREIGN = {
    PHOTOMETRIC.MASK: "a transparency mask",
    PHOTOMETRIC.SEPARATED: "inks (CMYK)",
    PHOTOMETRIC.YCBCR: "brightness and colour differences (YCbCr)",
    PHOTOMETRIC.CIELAB: "Lab colours",
    PHOTOMETRIC.ICCLAB: "Lab colours",
    PHOTOMETRIC.ITULAB: "Lab colours",
    PHOTOMETRIC.CFA: "the raw mosaic of a camera",
    PHOTOMETRIC.LINEAR_RAW: "the raw colours of a camera",
    PHOTOMETRIC.LOGL: "logarithms of brightness",
    PHOTOMETRIC.LOGLUV: "logarithms of brightness",
}
_UPRIGHT = 1
ORIENTATION = 274
_PHOTOMETRIC = 262
_RED_GREEN_BLUE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


def shown_tiff(
    array: Any, axes: str, page: Any, path: Path, *, labels: bool
) -> tuple[Any, str]:
    """Return the array of a TIFF as it is to be seen; of labels the numbers count.

    Raises an InputError if its colours are not read here.
    """
    tag = page.tags.get(ORIENTATION)
    check_upright(None if tag is None else tag.value, path)
    meaning = meaning_of(page)
    if meaning in _PLAIN or (
        meaning == PHOTOMETRIC.YCBCR and page.compression in RGB_DECODED
    ):
        return array, axes
    if meaning == PHOTOMETRIC.MINISWHITE:
        return _inverted(array, page, path), axes
    if meaning == PHOTOMETRIC.PALETTE and page.colormap is not None:
        if labels:
            return array, axes
        table = _table(np.asarray(page.colormap))
        return _lazily(LookedUp(array, table), array), axes + "S" * (table.ndim - 1)
    stores = _FOREIGN.get(meaning, f"{meaning.name.lower()} values")
    raise _foreign(path, stores)


def meaning_of(page: Any) -> PHOTOMETRIC:
    """Return what the numbers of a page mean; black is 0 where it does not say."""
    said = _PHOTOMETRIC in page.tags
    return PHOTOMETRIC(page.photometric) if said else PHOTOMETRIC.MINISBLACK


def is_turned(orientation: object) -> bool:
    """Tell whether a picture is to be turned or mirrored before it is shown."""
    return orientation not in (None, 0, _UPRIGHT)


def check_upright(orientation: object, path: Path) -> None:
    """Refuse a picture that is to be turned before it is shown.

    napari does not turn it and other viewers do: truth and prompts would not fit.
    """
    if is_turned(orientation):
        raise InputError(
            f"The image {path} is stored turned or mirrored (orientation "
            f"{orientation}), which napari does not heed. Save it upright."
        )


def _foreign(path: Path, stores: str) -> InputError:
    return InputError(
        f"The image {path} stores {stores}, which is not read here. Save it as grey "
        "or RGB."
    )


def _inverted(array: Any, page: Any, path: Path) -> Any:
    """Let large numbers be bright where the file has them dark."""
    dtype = np.dtype(array.dtype)
    if dtype.kind not in "bu":
        raise InputError(
            f"The image {path} is stored with white as 0, in {dtype}, whose white "
            "nobody knows. Save it with black as 0."
        )
    bits = 1 if dtype.kind == "b" else int(page.bitspersample)
    return _lazily(Inverted(array, 2**bits - 1), array)


def _lazily(view: SlicedArray, array: Any) -> Any:
    """Keep what is read already an array, and the rest to be read in parts."""
    whole = isinstance(array, np.ndarray) and not isinstance(array, np.memmap)
    return np.asarray(view) if whole else view


class Inverted(SlicedArray):
    """An array of unsigned numbers or booleans with black and white exchanged."""

    def __init__(self, array: Any, white: int) -> None:
        self.shape = tuple(array.shape)
        self.dtype = np.dtype(array.dtype)
        self._array = array
        self._white = white

    def __getitem__(self, key: Any) -> NDArray[Any]:
        stored = np.asarray(self._array[key])
        if self.dtype.kind == "b":
            return ~stored
        return np.asarray(self.dtype.type(self._white) - stored)


class LookedUp(SlicedArray):
    """An array of indices seen through a table of N greys, or of (N, 3) colours."""

    def __init__(self, array: Any, table: NDArray[Any]) -> None:
        self.shape = (*array.shape, *table.shape[1:])
        self.dtype = table.dtype
        self._array = array
        self._table = table

    def __getitem__(self, key: Any) -> NDArray[Any]:
        places = full_key(key, self.ndim)
        stored = len(self._array.shape)
        table = self._table[:, places[stored]] if self.ndim > stored else self._table
        return np.asarray(table[np.asarray(self._array[places[:stored]])])


def _table(colormap: NDArray[Any]) -> NDArray[Any]:
    """Return the bytes of a palette, (3, N) of 16 bits; of a grey one a single row."""
    # Some programs store bytes as they are.
    bits = 8 if colormap.max(initial=0) > np.iinfo(np.uint8).max else 0
    colours = (colormap >> bits).astype(np.uint8).T
    grey = (colours == colours[:, :1]).all()
    return np.ascontiguousarray(colours[:, 0] if grey else colours)


def with_colours(
    axes: str,
    shape: Sequence[int],
    names: Sequence[str | None],
    shades: Sequence[tuple[int, int, int] | None],
) -> str:
    """Name three channels that are the colours of one picture so."""
    at = axes.find("C")
    coloured = at >= 0 and shape[at] == 3 and _are_colours(names, shades)
    return axes.replace("C", "S") if coloured else axes


def _are_colours(
    names: Sequence[str | None], shades: Sequence[tuple[int, int, int] | None]
) -> bool:
    """Tell whether three channels are the red, green and blue of one picture.

    By their names or by the colours in which they are to be shown; without either they
    are planes of different stains.
    """
    named = [(name or "").strip().lower() for name in names]
    by_name = named in (["red", "green", "blue"], ["r", "g", "b"])
    return by_name or tuple(shades) == _RED_GREEN_BLUE
