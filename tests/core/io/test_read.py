"""Image planes from files of many kinds, and results into TIFF files."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.read import open_image, read_image, write_tiff

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (31, 47), dtype=np.uint8)
RGB = RNG.integers(0, 255, (31, 47, 3), dtype=np.uint8)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"bigtiff": True}])
def test_grey_tiffs_are_read_as_they_are(tmp_path: Path, dtype, options) -> None:
    image = GREY.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", image, **options)
    again = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(again, image)
    assert again.dtype == dtype


def test_a_tiff_of_any_name_is_a_tiff(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.lsm2", GREY, byteorder=">")
    np.testing.assert_array_equal(read_image(tmp_path / "a.lsm2"), GREY)


@pytest.mark.parametrize("channel_first", [False, True])
def test_rgb_tiffs_have_their_channels_last(tmp_path: Path, channel_first) -> None:
    stored = np.moveaxis(RGB, 2, 0) if channel_first else RGB
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), RGB)


def test_axes_of_one_are_no_stack(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY[None, None], imagej=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), GREY)


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "minisblack"},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"imagej": True, "metadata": {"axes": "CYX"}},
        {"ome": True, "metadata": {"axes": "TYX"}},
    ],
)
def test_stacks_are_refused_with_their_shape(tmp_path: Path, options) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.stack([GREY] * 5), **options)
    with pytest.raises(InputError, match=r"stack of shape \(5, 31, 47\)") as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_a_stack_of_rgb_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([RGB] * 2), photometric="rgb")
    with pytest.raises(InputError, match=r"shape \(2, 31, 47, 3\)"):
        read_image(tmp_path / "a.tif")


def test_pages_of_different_shapes_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GREY)
        file.write(GREY[:10])
    with pytest.raises(InputError, match=r"2 images \(0: \(31, 47\), 1: \(10, 47\)\)"):
        read_image(tmp_path / "a.tif")


def test_the_largest_level_of_a_pyramid_counts(tmp_path: Path) -> None:
    large = RNG.integers(0, 255, (64, 96), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(large, subifds=1, tile=(16, 16))
        file.write(large[::2, ::2], subfiletype=1, tile=(16, 16))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), large)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_grey_png(tmp_path: Path, dtype) -> None:
    image = GREY.astype(dtype) * (1 if dtype == "uint8" else 200)
    iio.imwrite(tmp_path / "a.png", image)
    again = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(again, image)
    assert again.dtype == dtype


@pytest.mark.parametrize(
    ("mode", "suffix", "shape"),
    [
        ("RGB", "png", (31, 47, 3)),
        ("RGBA", "png", (31, 47, 4)),
        ("LA", "png", (31, 47)),
        ("P", "png", (31, 47, 3)),
        ("1", "png", (31, 47)),
        ("RGB", "jpg", (31, 47, 3)),
        ("CMYK", "jpg", (31, 47, 3)),
        ("L", "jpg", (31, 47)),
        ("RGB", "bmp", (31, 47, 3)),
        ("P", "gif", (31, 47, 3)),
    ],
)
def test_other_kinds_of_images(tmp_path: Path, mode, suffix, shape) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(RGB).convert(mode).save(path)
    assert read_image(path).shape == shape


def test_grey_with_transparency_is_grey(tmp_path: Path) -> None:
    opaque = np.full_like(GREY, 255)
    Image.fromarray(np.stack([GREY, opaque], axis=2), mode=None).save(
        tmp_path / "a.png"
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), GREY)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_animations_are_refused(tmp_path: Path, suffix: str) -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())
    path = tmp_path / f"a.{suffix}"
    first.save(path, save_all=True, append_images=[second])
    with pytest.raises(InputError, match="holds 2 images"):
        read_image(path)


def content_of(kind: str, folder: Path) -> bytes:
    path = folder / "whole"
    if kind == "png":
        iio.imwrite(path, GREY, extension=".png")
    else:
        tifffile.imwrite(path, GREY, compression=None if kind == "tiff" else "zlib")
    return path.read_bytes()


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["png", "tiff", "tiff zlib"])
def test_truncated_files_are_one_error(tmp_path: Path, kind, share) -> None:
    content = content_of(kind, tmp_path)
    path = tmp_path / "half"
    path.write_bytes(content[: max(5, int(len(content) * share))])
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a", "imageio:chelsea.png"])
@pytest.mark.parametrize("content", [b"index,axis-0\n", b"PK\x03\x04zip", b"\x00" * 99])
def test_foreign_files_are_one_error(tmp_path: Path, name, content) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    words = r"not an image of a known kind|is a zip archive"
    with pytest.raises(InputError, match=words):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_small_images_are_opened_in_memory(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(RGB).save(path)
    plane = open_image(path)
    assert type(plane.array) is np.ndarray
    path.unlink()
    np.testing.assert_array_equal(plane.read(slice(3, 9), slice(2, 47)), RGB[3:9, 2:47])


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.tif").touch()
    for name, words in (
        ("none.tif", "There is no image file"),
        ("", "is a folder"),
        ("empty.tif", "is empty"),
        ("imageio:chelsea.png", "There is no image file"),
    ):
        with pytest.raises(InputError, match=words):
            read_image(tmp_path / name)


@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="it decodes them")
def test_a_compression_without_decoder_names_the_package(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.tif", compression="tiff_lzw")
    with pytest.raises(InputError, match="needs the package imagecodecs"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "image", [GREY.astype(np.complex64), np.full((4, 4), np.nan, np.float32)]
)
def test_planes_without_numbers_name_their_file(tmp_path: Path, image) -> None:
    tifffile.imwrite(tmp_path / "a.tif", image)
    with pytest.raises(InputError, match=r"a\.tif cannot be used"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("array", "stored"),
    [
        (RNG.normal(size=(5, 7)).astype(np.float32), "float32"),
        (np.full((5, 7), np.nan, np.float32), "float32"),
        (GREY, "uint8"),
        (GREY.astype(np.int32), "uint16"),
        (np.array([[0, 65535]], dtype=np.int32), "uint16"),
        (np.array([[0, 65536]], dtype=np.int32), "int32"),
        (np.array([[-1, 1]], dtype=np.int32), "int32"),
        (RNG.normal(size=(3, 5, 7)).astype(np.float32), "float32"),
        (GREY[::2, ::2], "uint8"),
        (GREY[:1, :1], "uint8"),
    ],
)
def test_what_is_written_is_read_again(tmp_path: Path, array, stored) -> None:
    write_tiff(tmp_path / "a.tif", array)
    again = tifffile.imread(tmp_path / "a.tif").reshape(array.shape)
    np.testing.assert_array_equal(again, array)
    assert again.dtype == stored
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE


def test_the_same_array_gives_the_same_file(tmp_path: Path) -> None:
    for name in "ab":
        write_tiff(tmp_path / f"{name}.tif", GREY)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"old")

    def full(file: object, *args: object, **kwargs: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(InputError, match=r"a\.tif cannot be written: the disk is full"):
        write_tiff(path, GREY)
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.tif"]


# --- what a file may cost


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_pipes_and_devices_are_no_images(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    for path in (tmp_path / "pipe.tif", Path("/dev/zero")):
        with pytest.raises(InputError, match="a pipe or a device"):
            read_image(path)


def test_tiffs_of_very_many_pages_are_not_looked_through(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("napari_dinoprompt.core.io.tiff._MOST_PAGES", 8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for _ in range(9):
            file.write(GREY, contiguous=False)
    with pytest.raises(InputError, match="9 pages, and at most 8"):
        read_image(tmp_path / "a.tif")


def test_chunks_that_cannot_be_decoded_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=GREY, chunks=(31, 47))
    (chunk,) = [one for one in path.rglob("*") if one.is_file() and one.suffix == ""]
    chunk.write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"a\.zarr cannot be read"):
        read_image(path)


def test_what_a_library_quotes_stays_one_line(tmp_path: Path) -> None:
    """A damaged file may hold any word where a library expects one of a few."""
    root = tmp_path / "a.zarr"
    zarr.create_array(str(root), shape=(4, 4), dtype="u1", zarr_format=2)
    described = json.loads((root / ".zarray").read_text())
    (root / ".zarray").write_text(json.dumps({**described, "order": "x" * 5000}))
    with pytest.raises(InputError, match=r"cannot be read: .*'C', 'F'") as said:
        read_image(root)
    assert len(str(said.value)) < 300 + len(str(root))
