"""The situations that the issue lists, one or more of a kind."""

from __future__ import annotations

import os
import struct
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

from situation_parts.contents import (
    SHAPE,
    SQUARE,
    Situation,
    grey,
    labels,
    prompts,
    rgb,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def tiff(pixels: Callable[[], Any], **options: Any) -> Callable[[Path], Path]:
    """Return what writes a TIFF."""

    def write(folder: Path) -> Path:
        path = folder / ("image.ome.tif" if options.get("ome") else "image.tif")
        tifffile.imwrite(path, pixels(), **options)
        return path

    return write


def picture(
    name: str, pixels: Callable[[], Any], mode: str | None = None, **options: Any
) -> Callable[[Path], Path]:
    """Return what writes a picture with Pillow."""

    def write(folder: Path) -> Path:
        shown = Image.fromarray(pixels())
        (shown if mode is None else shown.convert(mode)).save(folder / name, **options)
        return folder / name

    return write


def palette(folder: Path) -> Path:
    """Palette TIFF: the indices are the grey levels in reverse."""
    ramp = np.arange(255, -1, -1, dtype=np.uint16) * 257
    path = folder / "palette.tif"
    tifffile.imwrite(
        path, 255 - grey(), photometric="palette", colormap=np.stack([ramp] * 3)
    )
    return path


def exif(name: str, value: int) -> Callable[[Path], Path]:
    """Return what writes a square picture that is stored turned."""

    def write(folder: Path) -> Path:
        told = Image.Exif()
        told[274] = value
        turned = np.rot90(grey(0, SQUARE), 1).copy()
        Image.fromarray(turned).save(folder / name, exif=told, quality=97)
        return folder / name

    return write


def deep_png(pixels: np.ndarray, path: Path, *chunks: tuple[bytes, bytes]) -> Path:
    """Write a PNG of 16 bits, grey or RGB, with chunks before the pixels."""
    height, width = pixels.shape[:2]
    colour = 2 if pixels.ndim == 3 else 0
    rows = pixels.astype(">u2").reshape(height, -1)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", head), *chunks, (b"IDAT", packed), (b"IEND", b"")):
        crc = zlib.crc32(name + data)
        content += struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)
    path.write_bytes(content)
    return path


def many_pages(folder: Path, count: int = 20_000) -> Path:
    """TIFF of tiny pages."""
    path = folder / "pages.tif"
    page = np.zeros((2, 2), np.uint8)
    with tifffile.TiffWriter(path) as writer:
        for _ in range(count):
            writer.write(page, contiguous=False, metadata=None)
    return path


def pipe(folder: Path) -> Path:
    """Pipe that nobody writes into."""
    path = folder / "pipe.tif"
    os.mkfifo(path)
    return path


def indexed_truth(folder: Path) -> Path:
    """PNG with a palette, as annotation programs write it."""
    shown = Image.fromarray(labels().astype(np.uint8), mode="P")
    shown.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    shown.save(folder / "truth.png")
    return folder / "truth.png"


def soft_truth(folder: Path) -> Path:
    """Mask with smooth edges."""
    from scipy import ndimage as ndi

    mask = ndi.gaussian_filter((labels() > 0).astype(float), 0.7) * 255
    Image.fromarray(mask.round().astype(np.uint8)).save(folder / "soft.png")
    return folder / "soft.png"


def csv(text: Callable[[Any], str], encoding: str = "utf-8") -> Callable[[Path], Path]:
    """Return what writes points in another way."""

    def write(folder: Path) -> Path:
        path = folder / "points.csv"
        path.write_bytes(text(prompts("grey8")).encode(encoding))
        return path

    return write


def _rows(where: Any, comma: str = ",") -> str:
    head = comma.join(("index", "axis-0", "axis-1"))
    rows = [comma.join(map(str, (i, *point))) for i, point in enumerate(where)]
    return "\n".join([head, *rows, ""])


def ome_with_macro(folder: Path) -> Path:
    """OME-TIFF with a second, smaller image."""
    path = folder / "macro.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(grey(), metadata={"axes": "YX"})
        writer.write(grey()[::4, ::4].copy(), metadata={"axes": "YX"})
    return path


def unit(name: str, ome: bool) -> Callable[[Path], Path]:
    """Return what writes a stack with a voxel size."""
    stack = np.stack([grey(seed) for seed in range(3)])

    def write(folder: Path) -> Path:
        path = folder / ("units.ome.tif" if ome else "units.tif")
        if ome:
            sizes = {
                f"PhysicalSize{a}": v for a, v in zip("ZYX", (3, 1, 1), strict=True)
            }
            units = {f"PhysicalSize{a}Unit": name for a in "ZYX"}
            tifffile.imwrite(path, stack, metadata={"axes": "ZYX", **sizes, **units})
        else:
            tifffile.imwrite(
                path,
                stack,
                imagej=True,
                resolution=(1, 1),
                metadata={"axes": "ZYX", "spacing": 3, "unit": name},
            )
        return path

    return write


def _scaled(factor: float) -> tuple[float, float, float]:
    return 3 * factor, factor, factor


def _zip(folder: Path) -> Path:
    import shutil

    import zarr

    zarr.save_array(str(folder / "a.zarr"), grey())
    return shutil.make_archive(str(folder / "image.zarr"), "zip", folder / "a.zarr")  # type: ignore[return-value]


def three_channels(folder: Path) -> Path:
    """OME-TIFF of three 8-bit channels that are called red, green and blue."""
    path = folder / "rgb.ome.tif"
    names = {"Channel": {"Name": ["red", "green", "blue"]}}
    tifffile.imwrite(
        path,
        np.moveaxis(rgb(), 2, 0).copy(),
        photometric="minisblack",
        metadata={"axes": "CYX", **names},
    )
    return path


LISTED = [
    Situation(
        1, "TIFF, white is 0", "", tiff(lambda: 255 - grey(), photometric="miniswhite")
    ),
    Situation(1, "TIFF with a palette", "", palette),
    Situation(1, "JPEG, EXIF orientation 6", "", exif("t.jpg", 6), like="square8"),
    Situation(
        1,
        "TIFF, orientation 6",
        "",
        tiff(
            lambda: np.rot90(grey(0, SQUARE)).copy(),
            extratags=[(274, 3, 1, 6, True)],
        ),
        like="square8",
    ),
    Situation(
        1,
        "PNG of 48 bits",
        "",
        lambda folder: deep_png(rgb().astype(np.uint16) * 257, folder / "deep.png"),
        like="rgb16",
    ),
    Situation(
        1, "OME-TIFF, channels red, green, blue", "", three_channels, like="rgb8"
    ),
    Situation(
        1,
        "TIFF in inks (CMYK)",
        "",
        tiff(
            lambda: np.dstack([255 - rgb(), np.zeros(SHAPE, np.uint8)]),
            photometric="separated",
        ),
        like="rgb8",
    ),
    Situation(
        1,
        "TIFF in Lab",
        "",
        tiff(rgb, photometric="cielab"),
        like="rgb8",
    ),
    Situation(
        2, "labels in float32", "", tiff(lambda: labels().astype(np.float32)), "truth"
    ),
    Situation(2, "indexed PNG", "", indexed_truth, "truth"),
    Situation(
        2,
        "labels as RGB with equal channels",
        "",
        picture("rgb.png", lambda: np.dstack([labels().astype(np.uint8)] * 3)),
        "truth",
    ),
    Situation(
        2,
        "1-bit TIFF, white is 0",
        "",
        tiff(lambda: labels() == 0, photometric="miniswhite"),
        "truth",
        like="binary",
    ),
    Situation(2, "mask with soft edges", "", soft_truth, "truth", like="binary"),
    Situation(
        2,
        "mask as JPEG",
        "",
        picture("mask.jpg", lambda: (labels() > 0).astype(np.uint8) * 255, quality=60),
        "truth",
        like="binary",
    ),
    Situation(
        3,
        "fake in -1 to 1",
        "",
        tiff(lambda: grey(1).astype(np.float32) / 127.5 - 1),
        "fake",
    ),
    Situation(
        3,
        "fake z-scored",
        "",
        tiff(lambda: ((grey(1) - grey(1).mean()) / grey(1).std()).astype(np.float32)),
        "fake",
    ),
    Situation(3, "image exposed 8 times shorter", "", tiff(lambda: grey() // 8)),
    Situation(
        3,
        "12 bits times 16",
        "",
        tiff(lambda: grey().astype(np.uint16) * 256),
        like="grey12",
    ),
    Situation(
        4,
        "TIFF of (H, W, 5)",
        "",
        tiff(lambda: np.dstack([grey(seed) for seed in range(5)])),
    ),
    *(
        Situation(
            5,
            f"{'OME' if ome else 'ImageJ'}, unit {name}",
            "",
            unit(name, ome),
            "spacing",
            expected=None if factor is None else _scaled(factor),
        )
        for name, factor, ome in (
            *(("nm", 1e-3, True), ("mm", 1e3, True), ("Å", 1e-4, True)),
            *(("m", 1e6, True), ("pixel", None, True), ("micron", 1.0, False)),
            *(("cm", 1e4, False), ("nanometer", 1e-3, False)),
        )
    ),
    Situation(6, "OME-TIFF with a macro image", "", ome_with_macro),
    Situation(6, "zipped OME-Zarr", "", _zip),
    Situation(
        6,
        "points with ;",
        "",
        csv(partial(_rows, comma=";")),
        "points",
    ),
    Situation(6, "points in UTF-16", "", csv(_rows, "utf-16"), "points"),
    Situation(6, "squashed fake", "", tiff(lambda: grey(1)[::2].copy()), "fake"),
    Situation(7, "TIFF of 20,000 tiny pages", "", many_pages, like="none"),
    Situation(7, "a pipe", "", pipe),
]
