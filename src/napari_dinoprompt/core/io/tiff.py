"""TIFF files that are read part by part, and nothing that they only name."""

from __future__ import annotations

import math
from collections import OrderedDict
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_dinoprompt.core.errors import InputError, first_line
from napari_dinoprompt.core.images.lazy_plane import SlicedArray, full_key

from .colours import shown_tiff, with_colours
from .limits import check_fits
from .pick import EVERYTHING, Pick
from .views import NativeOrder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


# How files begin, little and big endian, classic and BigTIFF. Names may lie.
TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_KEPT = 2**27
_MOST_PAGES = 10_000


def open_tiff(
    path: Path, in_memory: int, pick: Pick = EVERYTHING, *, labels: bool
) -> tuple[Any, str]:
    """Open the image of a TIFF without reading all of it.

    With shape and dtype; can be sliced. axes: one letter per axis, as tifffile names
    them: ``"YX"``, ``"SYX"``, ``"TCYX"``. Of labels the stored numbers count.
    """
    with tiff_file(path) as file:
        series = only_series(file, path, pick.series)
        shape, axes = tuple(series.shape), str(series.axes)
        check_shape(path, shape, len(axes))
        stored = _open_stored(file, series, path, in_memory)
        if pick.channel is not None:
            names = _channel_names(file, pick.series or 0)
            stored, axes = pick.pick_channel(stored, axes, names, path)
        found = shown_tiff(stored, axes, series.keyframe, path, labels=labels)
        return found[0], with_colours_of(found[1], file, shape)


def ome_pixels(file: tifffile.TiffFile, series: int = 0) -> Any:
    """Return what OME says of the pixels of an image of a file."""
    image = tifffile.xml2dict(file.ome_metadata or "")["OME"]["Image"]
    return (image[series] if isinstance(image, list) else image)["Pixels"]


def _channel_names(file: tifffile.TiffFile, series: int) -> list[str | None]:
    # As below.
    with suppress(Exception):
        channels = ome_pixels(file, series)["Channel"]
        every = channels if isinstance(channels, list | tuple) else [channels]
        return [one.get("Name") for one in every]
    return []


def with_colours_of(axes: str, file: tifffile.TiffFile, shape: tuple[int, ...]) -> str:
    """Name the channels of an OME-TIFF that are the colours of one picture so."""
    # Metadata is written by many programs, and is only a convenience here.
    with suppress(Exception):
        channels = ome_pixels(file)["Channel"] if file.is_ome else ()
        names = [one.get("Name") for one in channels]
        shades = [_shade(one.get("Color")) for one in channels]
        return with_colours(axes, shape, names, shades)
    return axes


def _shade(colour: int | None) -> tuple[int, int, int] | None:
    """Take a signed RGBA number of OME apart."""
    if colour is None:
        return None
    red, green, blue, _ = (int(colour) & 0xFFFFFFFF).to_bytes(4, "big")
    return red, green, blue


def _open_stored(
    file: tifffile.TiffFile, series: Any, path: Path, in_memory: int
) -> Any:
    """Open the numbers that a TIFF stores."""
    shape: tuple[int, ...] = tuple(series.shape)
    page: Any = series.keyframe
    if series.nbytes <= in_memory:
        check_fits(path, series.nbytes)
        image = np.asarray(series.asarray())
        check_shape(path, image.shape, len(series.axes))
        return image
    if series.dataoffset is not None and page.is_final:
        dtype = np.dtype(file.byteorder + series.dtype.char)
        last = series.dataoffset + series.nbytes
        if last > path.stat().st_size:
            raise InputError(f"The image {path} cannot be read: its end is missing.")
        stored = np.memmap(path, dtype, "r", series.dataoffset, shape)
        return stored if dtype.isnative else NativeOrder(stored)
    planes = math.prod(shape) // max(1, math.prod(page.shape))
    fits = (
        tuple(page.shape) == shape[len(shape) - len(page.shape) :]
        and page.axes in ("YX", "YXS", "SYX")
        and len(series.pages) == planes
        and None not in series.pages
        and math.prod(_segment_shape(page)) * page.dtype.itemsize <= _KEPT
    )
    if fits:
        return TiffPlanes(path, series)
    # Decoded once, into a temporary file.
    check_fits(path, series.nbytes, on_disk=True)
    return series.asarray(out="memmap")


def _segment_shape(page: Any) -> tuple[int, int, int]:
    """Height, width and channels of a tile or strip."""
    channels = page.samplesperpixel if page.axes == "YXS" else 1
    if page.is_tiled:
        return page.tilelength, page.tilewidth, channels
    return min(page.rowsperstrip, page.imagelength), page.imagewidth, channels


class TiffPlanes(SlicedArray):
    """Planes of a TIFF; parts are decoded when they are asked for.

    Tiles and strips that were decoded last are kept, up to 128 MB: strips are as wide
    as the plane, and would else be decoded again for each part of it.

    Parameters
    ----------
    path : Path
        Opened anew for each part.
    series : TiffPageSeries
        One page per plane.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy dtype
    """

    def __init__(self, path: Path, series: tifffile.TiffPageSeries) -> None:
        self.shape = tuple(series.shape)
        self.dtype = np.dtype(series.dtype)
        self._path = path
        self._page: Any = series.keyframe
        self._options: dict[str, Any] = {}
        if self._page.jpegtables is not None:
            self._options["jpegtables"] = self._page.jpegtables
        if self._page.jpegheader is not None:
            self._options["jpegheader"] = self._page.jpegheader
        self._places = [
            (page.dataoffsets, page.databytecounts)
            for page in series.pages
            if page is not None
        ]
        # Decoders are made when they are first asked for, while the file is open.
        self._decode = self._page.decode
        self._kept: OrderedDict[tuple[int, int], NDArray[Any] | None] = OrderedDict()
        self._lock = Lock()

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part: integers, slices and ``...``."""
        key = full_key(key, self.ndim)
        wanted = [
            range(size)[one] if isinstance(one, slice) else [range(size)[one]]
            for one, size in zip(key, self.shape, strict=True)
        ]
        found = np.empty([len(one) for one in wanted], dtype=self.dtype)
        lead = self.ndim - len(self._page.shape)
        if found.size:
            for place in np.ndindex(*found.shape[:lead]):
                index = tuple(one[at] for one, at in zip(wanted, place, strict=False))
                plane = (
                    int(np.ravel_multi_index(index, self.shape[:lead])) if lead else 0
                )
                found[place] = self._read(plane, wanted[lead:])
        whole = slice(None)
        part = tuple(whole if isinstance(one, slice) else 0 for one in key)
        return np.asarray(found[part])

    def _read(self, plane: int, wanted: list[Any]) -> NDArray[Any]:
        """Read a box around what is wanted of a plane, and take it from there."""
        axes = self._page.axes
        y, x = wanted[axes.index("Y")], wanted[axes.index("X")]
        separate = axes == "SYX"
        samples = wanted[0] if separate else range(1)
        top, left = min(y), min(x)
        channels = self._page.shape[-1] if axes == "YXS" else 1
        box = np.zeros(
            (len(samples), max(y) + 1 - top, max(x) + 1 - left, channels), self.dtype
        )
        for at, sample in enumerate(samples):
            for segment, begin in self._segments(plane, sample, y, x):
                rows, into_rows = _overlap(
                    begin[0], segment.shape[0], top, box.shape[1]
                )
                columns, into = _overlap(begin[1], segment.shape[1], left, box.shape[2])
                box[at, into_rows, into] = segment[rows, columns]
        rows = np.asarray(y) - top
        box = box[:, rows][:, :, np.asarray(x) - left]
        if axes == "YXS":
            return np.asarray(box[0][:, :, np.asarray(wanted[2])])
        return np.asarray(box[..., 0] if separate else box[0, ..., 0])

    def _segments(
        self, plane: int, sample: int, y: Any, x: Any
    ) -> Iterator[tuple[NDArray[Any], tuple[int, int]]]:
        tall, wide, _ = _segment_shape(self._page)
        down = math.ceil(self._page.imagelength / tall)
        across = math.ceil(self._page.imagewidth / wide)
        with self._lock, self._path.open("rb") as file:
            for row in range(min(y) // tall, max(y) // tall + 1):
                for column in range(min(x) // wide, max(x) // wide + 1):
                    number = (sample * down + row) * across + column
                    segment = self._segment(file, plane, number)
                    if segment is not None:
                        yield segment, (row * tall, column * wide)

    def _segment(self, file: Any, plane: int, number: int) -> NDArray[Any] | None:
        place = (plane, number)
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        offsets, counts = self._places[plane]
        segment: NDArray[Any] | None = None
        # Tiles that hold nothing need not be stored.
        if counts[number]:
            file.seek(offsets[number])
            try:
                content = file.read(counts[number])
                decoded: Any = self._decode(content, number, **self._options)[0]
                segment = decoded[0]
            # Decoders raise whatever they stumble over in a damaged file.
            except Exception as error:
                reason = first_line(error)
                msg = f"The image {self._path} cannot be read: {reason}"
                raise InputError(msg) from error
        self._kept[place] = segment
        one = math.prod(_segment_shape(self._page)) * self.dtype.itemsize
        while len(self._kept) * one > _KEPT:
            self._kept.popitem(last=False)
        return segment


def _overlap(begin: int, size: int, start: int, length: int) -> tuple[slice, slice]:
    """Return what two stretches share, as seen from each."""
    first, last = max(begin, start), min(begin + size, start + length)
    return slice(first - begin, last - begin), slice(first - start, last - start)


def tiff_file(path: Path) -> tifffile.TiffFile:
    """Open a TIFF alone: other files that it names, wherever they lie, stay closed.

    Of an image that is spread over several files, as OME-TIFF and Micro-Manager write
    them, this is the part in this file.

    To be closed.
    """
    return tifffile.TiffFile(path, _multifile=False, is_ndtiff=False, is_mmstack=False)


def only_series(
    file: tifffile.TiffFile, path: Path, number: int | None = None
) -> tifffile.TiffPageSeries:
    """Return the image of a file, or the one of a number from 0.

    Of a pyramid that is the largest level; of a scanned slide the slide itself, not its
    label or thumbnail.
    """
    # Their directories are read one after the other, which a look at their number ends.
    count = len(file.pages)
    if count > _MOST_PAGES:
        raise InputError(
            f"{path} holds {count} pages, and at most {_MOST_PAGES} are looked "
            "through. Save it as a zarr folder, or as several files."
        )
    series = file.series
    if number is not None:
        if not 0 <= number < len(series):
            msg = f"{path} has no image {number}; there are {len(series)}, from 0."
            raise InputError(msg)
        return series[number]
    if len(series) > 1 and series[0].name != "Baseline":
        shapes = ", ".join(
            " ".join(filter(None, (f"{at}:", one.name, str(tuple(one.shape)))))
            for at, one in enumerate(series[:6])
        )
        msg = f"{path} holds {len(series)} images ({shapes}); choose one by --series."
        raise InputError(msg)
    return series[0]


def check_shape(path: Path, shape: tuple[int, ...], axes: int) -> None:
    """Refuse a damaged file whose description contradicts itself."""
    if len(shape) != axes:
        msg = f"The image {path} cannot be read: it does not hold what it declares."
        raise InputError(msg)
