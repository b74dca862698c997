"""Images that are opened without being read, and results written tile by tile."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING
from zipfile import ZipFile

import numpy as np
import pytest
import tifffile
import zarr

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.read import (
    open_array,
    open_image,
    read_image,
    write_tiff,
)
from napari_dinoprompt.core.io.tiff import TiffPlanes
from napari_dinoprompt.core.io.zarr import stamp

if TYPE_CHECKING:
    from pathlib import Path

    from napari_dinoprompt.core.images.lazy_plane import LazyPlane

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 60000, (131, 147), dtype=np.uint16)
RGB = RNG.integers(0, 255, (131, 147, 3), dtype=np.uint8)
PARTS = [
    (slice(0, 131), slice(0, 147)),
    (slice(3, 4), slice(140, 147)),
    (slice(60, 131), slice(15, 40)),
]


def check(plane: LazyPlane, image: np.ndarray) -> None:
    assert plane.shape == image.shape[:2]
    assert plane.dtype == image.dtype
    for part in PARTS:
        np.testing.assert_array_equal(plane.read(*part), image[part])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"tile": (32, 48)},
        {"tile": (32, 48), "compression": "zlib", "predictor": True},
        {"rowsperstrip": 7, "compression": "zlib"},
        {"rowsperstrip": 7, "compression": "lzw", "byteorder": ">"},
        {"compression": "zlib"},
        {"bigtiff": True, "tile": (16, 16), "compression": "zstd"},
    ],
)
@pytest.mark.parametrize("image", [GREY, RGB], ids=["grey", "rgb"])
def test_parts_of_a_tiff_are_those_of_the_image(tmp_path: Path, image, options) -> None:
    path = tmp_path / "a.tif"
    options = {"photometric": "rgb" if image is RGB else "minisblack", **options}
    tifffile.imwrite(path, image, **options)
    plane = open_image(path, in_memory=0)
    assert type(plane.array) is not np.ndarray
    check(plane, image)
    np.testing.assert_array_equal(read_image(path), image)


@pytest.mark.parametrize("options", [{}, {"tile": (32, 32), "compression": "zlib"}])
def test_colours_stored_one_after_the_other_come_last(tmp_path: Path, options) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.moveaxis(RGB, 2, 0),
        photometric="rgb",
        planarconfig="separate",
        **options,
    )
    check(open_image(path, in_memory=0), RGB)


@pytest.mark.parametrize("bands", ["SubIFDs", "pages"])
def test_the_largest_level_of_a_pyramid_is_opened(tmp_path: Path, bands) -> None:
    path = tmp_path / "a.tif"
    subifds = 1 if bands == "SubIFDs" else None
    with tifffile.TiffWriter(path, ome=bands == "SubIFDs") as file:
        file.write(GREY, tile=(32, 32), compression="zlib", subifds=subifds)
        file.write(GREY[::2, ::2], tile=(32, 32), compression="zlib", subfiletype=1)
    check(open_image(path, in_memory=0), GREY)


def test_jpeg_tiles_with_shared_tables(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    smooth = np.zeros((131, 147, 3), np.uint8)
    smooth[:, :, 0], smooth[40:90, :, 1] = np.arange(147), 99
    tifffile.imwrite(path, smooth, tile=(64, 64), compression="jpeg", photometric="rgb")
    check(open_image(path, in_memory=0), tifffile.imread(path))


def test_tiles_that_hold_nothing_are_black(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tiles = (None if n == 1 else np.full((64, 64), n, np.uint8) for n in range(4))
    tifffile.imwrite(
        path, tiles, shape=(128, 128), dtype="u1", tile=(64, 64), compression="zlib"
    )
    plane = open_image(path, in_memory=0)
    found = plane.read(slice(0, 128), slice(0, 128))
    assert np.unique(found).tolist() == [0, 2, 3]
    assert not found[:64].any()


def test_a_stack_is_opened_whole_and_refused_as_one_image(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    stack = np.stack([GREY, GREY[::-1], GREY // 2, GREY // 3]).reshape(2, 2, 131, 147)
    tifffile.imwrite(
        path, stack, ome=True, metadata={"axes": "TCYX"}, tile=(32, 32),
        compression="zlib",
    )  # fmt: skip
    array, axes = open_array(path, in_memory=0)
    assert isinstance(array, TiffPlanes)
    assert axes == "TCYX"
    np.testing.assert_array_equal(array[1, 0, 20:90, 3:], stack[1, 0, 20:90, 3:])
    np.testing.assert_array_equal(array[:, 1, ::5, -1], stack[:, 1, ::5, -1])
    np.testing.assert_array_equal(array[..., 7], stack[..., 7])
    np.testing.assert_array_equal(np.asarray(array), stack)
    with pytest.raises(InputError, match=r"stack of shape \(2, 2, 131, 147\)"):
        open_image(path, in_memory=0)


@pytest.mark.parametrize("options", [{}, {"tile": (32, 32), "compression": "zlib"}])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_truncated_tiffs_are_one_error(tmp_path: Path, options, share) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"a\.tif cannot be read"):
        open_image(path, in_memory=0).read(slice(0, 131), slice(0, 147))


def ome_zarr(
    path: Path, array: np.ndarray, axes: str, version: str, channels=()
) -> None:
    group = zarr.open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)
    described = [
        {
            "axes": [{"name": name} for name in axes],
            "datasets": [{"path": "s0"}, {"path": "s1"}],
        }
    ]
    said = {"multiscales": described}
    if channels:
        said["omero"] = {"channels": list(channels)}
    if version == "0.5":
        group.attrs["ome"] = {"version": version, **said}
    else:
        group.attrs.update(said)
    for level in range(2):
        part = array[..., :: 2**level, :: 2**level]
        chunks = (*[1] * (array.ndim - 2), 32, 32)
        made = group.create_array(
            f"s{level}", shape=part.shape, chunks=chunks, dtype=part.dtype
        )
        made[...] = part


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("array", "axes", "image"),
    [
        (GREY, "yx", GREY),
        (GREY[None, None, None], "tczyx", GREY),
        (np.moveaxis(RGB, 2, 0), "cyx", RGB),
        (np.moveaxis(RGB, 2, 0)[None, :, None], "tczyx", RGB),
    ],
)
def test_ome_zarr(tmp_path: Path, version, array, axes, image) -> None:
    path = tmp_path / "a.ome.zarr"
    shades = [{"color": one} for one in ("FF0000", "00FF00", "0000FF")]
    ome_zarr(path, array, axes, version, channels=shades if "c" in axes else ())
    check(open_image(path), image)
    np.testing.assert_array_equal(read_image(path), image)


CHANNELS = {
    "stains": ([{"label": "DAPI"}, {"label": "GFP"}, {"label": "Cy5"}], False),
    "unnamed": ([], False),
    "named": ([{"label": "Red"}, {"label": "green"}, {"label": "Blue"}], True),
}


@pytest.mark.parametrize("kind", CHANNELS)
def test_three_channels_are_colours_only_if_they_say_so(tmp_path: Path, kind) -> None:
    """The same rule in OME-Zarr and OME-TIFF."""
    channels, colours = CHANNELS[kind]
    array = np.moveaxis(RGB, 2, 0)
    ome_zarr(tmp_path / "a.zarr", array, "cyx", "0.5", channels=channels)
    names = [one["label"] for one in channels]
    metadata = {"axes": "CYX", **({"Channel": {"Name": names}} if names else {})}
    tifffile.imwrite(
        tmp_path / "a.ome.tif", array, metadata=metadata, photometric="minisblack"
    )
    for path in (tmp_path / "a.zarr", tmp_path / "a.ome.tif"):
        if colours:
            np.testing.assert_array_equal(read_image(path), RGB)
        else:
            with pytest.raises(InputError, match=r"stack of shape \(3, 131, 147\)"):
                read_image(path)


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize("image", [GREY, RGB], ids=["grey", "rgb"])
def test_plain_zarr_arrays(tmp_path: Path, form: int, image) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=image, zarr_format=form)
    check(open_image(tmp_path / "a.zarr"), image)


def test_zarr_folders_that_hold_no_plane_say_so(tmp_path: Path) -> None:
    ome_zarr(tmp_path / "stack", np.stack([GREY] * 2), "zyx", "0.4")
    zarr.open_group(tmp_path / "group", mode="w")
    zarr.create_array(tmp_path / "text", shape=(3, 3), dtype="<U4", zarr_format=2)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "zarr.json").write_text("{")
    (tmp_path / "folder").mkdir()
    ome_zarr(tmp_path / "outside", GREY, "yx", "0.5")
    group = zarr.open_group(tmp_path / "outside")
    group.attrs["ome"] = {"multiscales": [{"datasets": [{"path": "../stack/s0"}]}]}
    for name, words in (
        ("stack", r"stack of shape \(2, 131, 147\)"),
        ("group", "without an OME-Zarr image"),
        ("text", "numbers are needed"),
        ("damaged", "cannot be read"),
        ("folder", "is a folder"),
        ("outside", "outside itself"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            open_image(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_a_stamp_tells_when_a_folder_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    array = zarr.create_array(path, shape=(64, 64), chunks=(32, 32), dtype="u1")
    array[:] = 1
    before = stamp(path)
    assert stamp(path) == before
    assert before[0] == sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    array[40, 40] = 7
    assert stamp(path) != before
    file = path / "zarr.json"
    assert stamp(file) == (file.stat().st_size, file.stat().st_mtime_ns)
    with pytest.raises(FileNotFoundError):
        stamp(tmp_path / "none")


@pytest.mark.parametrize(
    ("array", "stored"),
    [
        (RNG.normal(size=(700, 530)).astype(np.float32), "float32"),
        (RNG.normal(size=(2, 30, 513)).astype(np.float32), "float32"),
        (RNG.integers(0, 4, (513, 20), dtype=np.uint8), "uint8"),
        (np.arange(700 * 90, dtype=np.int32).reshape(700, 90), "uint16"),
        (np.arange(700 * 100, dtype=np.int32).reshape(700, 100), "int32"),
    ],
)
def test_what_is_written_in_tiles_is_read_again(tmp_path: Path, array, stored) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, zarr.array(array))
    again = tifffile.imread(path)
    np.testing.assert_array_equal(again, array)
    assert again.dtype == stored
    whole = tmp_path / "whole.tif"
    write_tiff(whole, array)
    np.testing.assert_array_equal(tifffile.imread(whole), again)
    found, axes = open_array(path, in_memory=0)
    np.testing.assert_array_equal(np.asarray(found), array)
    assert axes == ("YX" if array.ndim == 2 else "CYX")


MEMORY = """
import sys, threading, time
from pathlib import Path
import numpy as np, zarr
from napari_dinoprompt.core.io.read import open_image, write_tiff

def held():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024

folder = Path(sys.argv[1])
array = zarr.create_array(
    folder / "a", shape=(7000, 7000), chunks=(512, 512), dtype="u2"
)
array[:512] = np.tile(np.arange(7000, dtype="u2"), (512, 1))
write_tiff(folder / "warm.tif", zarr.zeros((600, 600), dtype="u1"))
before, most, done = held(), 0.0, threading.Event()

def watch():
    global most
    while not done.wait(0.01):
        most = max(most, held())

watcher = threading.Thread(target=watch)
watcher.start()
write_tiff(folder / "a.tif", array)
plane = open_image(folder / "a.tif", in_memory=2**20)
for y in range(0, 7000, 1000):
    found = plane.read(slice(y, y + 1000), slice(0, 1000))
    assert (found[0] == (np.arange(1000) if y < 512 else 0)).all()
done.set()
watcher.join()
print(most - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_plane_is_never_held(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # The plane has 98 MB; what is kept of it decoded is bounded too.
    assert float(done.stdout) < 75


def test_containers_that_hold_no_picture_are_named(tmp_path: Path) -> None:
    plate = zarr.open_group(tmp_path / "plate.zarr", mode="w")
    plate.attrs["ome"] = {"plate": {"wells": [{"path": "A/1"}]}}
    with pytest.raises(InputError, match="plate of wells; give one field"):
        read_image(tmp_path / "plate.zarr")
    with ZipFile(tmp_path / "a.ome.zarr.zip", "w") as archive:
        archive.writestr("zarr.json", "{}")
    with pytest.raises(InputError, match="zip archive; unpack it"):
        read_image(tmp_path / "a.ome.zarr.zip")
