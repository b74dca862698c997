"""What stored numbers mean: the same picture however it is stored, or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.read import (
    open_array,
    open_image,
    read_image,
    read_labels,
)
from napari_dinoprompt.core.io.shown import describe_otherwise

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (31, 47), dtype=np.uint8)
WIDE = RNG.integers(0, 4096, (31, 47), dtype=np.uint16)
RGB = RNG.integers(0, 256, (31, 47, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (31, 47, 3), dtype=np.uint16)
PALETTE = RNG.integers(0, 256, (256, 3), dtype=np.uint8)


@pytest.mark.parametrize("part_by_part", [False, True])
@pytest.mark.parametrize(
    ("stored", "options", "shown"),
    [
        (255 - GREY, {}, GREY),
        (255 - GREY, {"compression": "zlib"}, GREY),
        (65535 - WIDE, {}, WIDE),
        (GREY <= 100, {}, GREY > 100),
    ],
)
def test_white_stored_as_zero_is_white(
    tmp_path: Path, stored, options, shown, part_by_part
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="miniswhite", **options)
    memory = 0 if part_by_part else 2**26
    plane = open_image(path, in_memory=memory)
    np.testing.assert_array_equal(plane.whole(), shown)
    corner = plane.read(slice(3, 9), slice(5, 8))
    np.testing.assert_array_equal(corner, shown[3:9, 5:8])


def test_white_stored_as_zero_of_twelve_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, 4095 - WIDE, photometric="miniswhite", bitspersample=12)
    np.testing.assert_array_equal(read_image(path), WIDE)


def test_an_inverted_stack_is_shown_plane_by_plane(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    stack = np.stack([GREY, GREY[::-1]])
    tifffile.imwrite(path, 255 - stack, photometric="miniswhite")
    for memory in (0, 2**26):
        array, axes = open_array(path, in_memory=memory)
        assert len(axes) == 3
        np.testing.assert_array_equal(array[1, 2:9], stack[1, 2:9])


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_white_of_which_nobody_knows_how_bright(tmp_path: Path, dtype) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY.astype(dtype), photometric="miniswhite")
    with pytest.raises(InputError, match="with white as 0, in"):
        read_image(path)


def write_palette(path: Path, indices: NDArray[np.uint8], palette, factor=257) -> None:
    table = (palette.astype(np.uint16) * factor).T
    tifffile.imwrite(path, indices, photometric="palette", colormap=table)


@pytest.mark.parametrize("factor", [1, 256, 257])
@pytest.mark.parametrize("part_by_part", [False, True])
def test_a_palette_is_looked_up(tmp_path: Path, part_by_part, factor) -> None:
    path = tmp_path / "a.tif"
    write_palette(path, GREY, PALETTE, factor)
    plane = open_image(path, in_memory=0 if part_by_part else 2**26)
    np.testing.assert_array_equal(plane.whole(), PALETTE[GREY])
    corner = plane.read(slice(3, 9), slice(5, 8))
    np.testing.assert_array_equal(corner, PALETTE[GREY][3:9, 5:8])


def test_a_palette_of_greys_is_grey(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint8)[::-1]
    write_palette(tmp_path / "a.tif", GREY, np.stack([ramp] * 3, axis=1))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), 255 - GREY)


def test_a_palette_in_a_png(tmp_path: Path) -> None:
    indices = GREY // 2
    picture = Image.fromarray(indices, "P")
    picture.putpalette(PALETTE.tobytes())
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PALETTE[indices])
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), indices)


@pytest.mark.parametrize(
    ("photometric", "channels", "words"),
    [
        ("separated", 4, "inks"),
        ("ycbcr", 3, "YCbCr"),
        ("cielab", 3, "Lab"),
        ("icclab", 3, "Lab"),
        ("cfa", 1, "mosaic"),
        ("linear_raw", 3, "raw colours"),
        ("logl", 1, "logarithms"),
        ("mask", 1, "mask"),
    ],
)
def test_foreign_colours_are_refused_by_name(
    tmp_path: Path, photometric, channels, words
) -> None:
    path = tmp_path / "a.tif"
    image = GREY if channels == 1 else np.stack([GREY] * channels, axis=2)
    tifffile.imwrite(path, image, photometric=photometric)
    with pytest.raises(InputError, match=f"stores .*{words}.* Save it as grey or RGB"):
        read_image(path)


def test_jpeg_in_a_tiff_is_rgb(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    smooth = np.full((64, 64, 3), (200, 30, 90), np.uint8)
    stored = np.asarray(Image.fromarray(smooth).convert("YCbCr"))
    tifffile.imwrite(path, stored, photometric="ycbcr", compression="jpeg")
    assert np.abs(read_image(path).astype(int) - smooth).max() < 4


@pytest.mark.parametrize("kind", ["tif", "jpg", "png"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_turned_pictures_are_refused(tmp_path: Path, orientation, kind) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "tif":
        extra = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path, GREY, extratags=extra)
    else:
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(GREY).save(path, exif=exif)
    with pytest.raises(InputError, match=rf"orientation {orientation}.*upright"):
        read_image(path)


def test_upright_pictures_are_not(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, extratags=[(274, "H", 1, 1, True)])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), GREY)


@pytest.mark.parametrize("kind", ["png", "jp2"])
def test_deep_colours_keep_their_depth(tmp_path: Path, kind) -> None:
    path = tmp_path / f"a.{kind}"
    encode = imagecodecs.png_encode if kind == "png" else imagecodecs.jpeg2k_encode
    options = {} if kind == "png" else {"level": 0, "reversible": True}
    path.write_bytes(encode(DEEP, **options))
    np.testing.assert_array_equal(read_image(path), DEEP)


def test_deep_grey_with_transparency(tmp_path: Path) -> None:
    image = np.stack([WIDE, WIDE], axis=2)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(image))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), WIDE)


def test_a_deep_ppm_is_refused(tmp_path: Path) -> None:
    head = b"P6\n47 31\n65535\n"
    (tmp_path / "a.ppm").write_bytes(head + DEEP.astype(">u2").tobytes())
    with pytest.raises(InputError, match="16 bits a colour"):
        read_image(tmp_path / "a.ppm")


def test_formats_of_which_nothing_is_known(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.sgi")
    with pytest.raises(InputError, match=r"SGI file.*Save it as PNG or TIFF"):
        read_image(tmp_path / "a.sgi")


def test_more_pixels_than_a_png_may_have(tmp_path: Path, monkeypatch) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"million pixels.*tiled TIFF"):
        read_image(tmp_path / "a.png")


LABELS = RNG.integers(0, 23, (31, 47))


@pytest.mark.parametrize(
    "stored",
    [
        LABELS.astype(np.float32),
        LABELS.astype(np.int64),
        np.stack([LABELS.astype(np.uint8)] * 3, axis=2),
        np.stack([LABELS.astype(np.uint8)] * 3 + [np.full_like(GREY, 255)], axis=2),
    ],
)
def test_labels_as_people_have_them(tmp_path: Path, stored) -> None:
    tifffile.imwrite(tmp_path / "a.tif", stored)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), LABELS)


def test_labels_with_a_palette_are_its_indices(tmp_path: Path) -> None:
    write_palette(tmp_path / "a.tif", LABELS.astype(np.uint8), PALETTE)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), LABELS)


def test_a_mask_of_one_bit_with_white_as_zero(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, LABELS == 0, photometric="miniswhite")
    np.testing.assert_array_equal(read_labels(path), LABELS > 0)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (LABELS + 0.5, "fractions"),
        (LABELS - 1, "negative"),
        (RGB, "colours"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, stored, words) -> None:
    tifffile.imwrite(tmp_path / "a.tif", stored)
    with pytest.raises(InputError, match=f"a.tif cannot be used: .*{words}"):
        read_labels(tmp_path / "a.tif")


def test_a_mask_with_soft_edges_is_no_label_image(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[10:40, 20:50] = 255
    Image.fromarray(mask).save(tmp_path / "mask.jpg", quality=60)
    mask[9, 20:50] = np.arange(30) * 8
    Image.fromarray(mask).save(tmp_path / "soft.png")
    for name in ("mask.jpg", "soft.png"):
        with pytest.raises(InputError, match="greys between black and white"):
            read_labels(tmp_path / name)


def test_255_objects_are_labels() -> None:
    from napari_dinoprompt.core.images.labels import as_labels

    many = np.repeat(np.arange(256, dtype=np.uint8), 16).reshape(64, 64)
    np.testing.assert_array_equal(as_labels(many), many)


def test_what_napari_shows_otherwise_is_described(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "white.tif", 255 - GREY, photometric="miniswhite")
    write_palette(tmp_path / "palette.tif", GREY, PALETTE)
    tifffile.imwrite(tmp_path / "6.tif", GREY, extratags=[(274, "H", 1, 6, True)])
    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(DEEP))
    (tmp_path / "wide.png").write_bytes(imagecodecs.png_encode(WIDE))
    tifffile.imwrite(tmp_path / "plain.tif", GREY)
    (tmp_path / "text.tif").write_text("no image")
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "inks.jpg")
    for name, words in (
        ("white.tif", "white is stored as 0"),
        ("palette.tif", "its numbers stand for colours"),
        ("6.tif", "turned or mirrored"),
        ("deep.png", "16 bits a colour"),
        ("inks.jpg", "other colours than RGB"),
    ):
        assert words in describe_otherwise(tmp_path / name)
    for name in ("wide.png", "plain.tif", "text.tif", "missing.tif"):
        assert describe_otherwise(tmp_path / name) == ""


def test_black_is_zero_where_a_file_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY)
    # The tag of the photometric meaning, under a number that says nothing.
    tag, nothing = ((number).to_bytes(2, "little") for number in (262, 65000))
    content = path.read_bytes().replace(
        tag + b"\3\0\1\0\0\0", nothing + b"\3\0\1\0\0\0"
    )
    path.write_bytes(content)
    np.testing.assert_array_equal(read_image(path), GREY)
    assert describe_otherwise(path) == ""


def test_a_soft_mask_of_small_objects_is_no_label_image(tmp_path: Path) -> None:
    """Of small objects the rim is most, so white is not."""
    soft = np.zeros((64, 64), np.uint8)
    y, x = np.mgrid[:12, :12] - 5.5
    spot = (300 - 45 * np.hypot(y, x)).clip(0, 255).astype(np.uint8)
    for at in (2, 26, 50):
        soft[at : at + 12, at : at + 12] = spot
    Image.fromarray(soft).save(tmp_path / "soft.png")
    with pytest.raises(InputError, match="greys between black and white"):
        read_labels(tmp_path / "soft.png")


@pytest.mark.parametrize("values", [(1, 2), (255, 254)])
def test_labels_without_a_background_are_refused(tmp_path: Path, values) -> None:
    """ilastik counts from 1, some programs from 255 down."""
    tifffile.imwrite(tmp_path / "a.tif", np.where(GREY > 99, *values).astype(np.uint8))
    with pytest.raises(InputError, match="no pixel is 0"):
        read_labels(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_hidden_colours_are_refused(tmp_path: Path, mode) -> None:
    path = tmp_path / "a.png"
    picture = Image.fromarray(RGB).convert(mode)
    picture.save(path)
    assert read_image(path).shape[:2] == GREY.shape
    picture.putalpha(Image.fromarray(GREY // 2))
    picture.save(path)
    with pytest.raises(InputError, match="transparent pixels"):
        read_image(path)
    assert "transparent pixels" in describe_otherwise(path)


def test_colours_that_napari_shows_apart_are_described(tmp_path: Path) -> None:
    names = {"Channel": {"Name": ["red", "green", "blue"]}}
    apart = np.moveaxis(RGB, 2, 0).copy()
    for path, more in ((tmp_path / "a.ome.tif", names), (tmp_path / "b.ome.tif", {})):
        options = {"photometric": "minisblack", "metadata": {"axes": "CYX", **more}}
        tifffile.imwrite(path, apart, **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif"), RGB)
    assert "the colours of one picture" in describe_otherwise(tmp_path / "a.ome.tif")
    path = tmp_path / "c.tif"
    tifffile.imwrite(path, apart, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(path), RGB)
    assert "the colours of one picture" in describe_otherwise(path)
    tifffile.imwrite(path, RGB, photometric="rgb")
    assert describe_otherwise(path) == ""
    assert describe_otherwise(tmp_path / "b.ome.tif") == ""
