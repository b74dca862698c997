"""One image and one channel of files that hold several, against plain files."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr

from napari_dinoprompt.core.batch.stack_files import is_stack_file, open_stack_file
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.pick import Pick
from napari_dinoprompt.core.io.read import open_image, read_image
from napari_dinoprompt.core.io.spacing import read_pixel_size

RNG = np.random.default_rng(0)
CELLS = RNG.integers(0, 4000, (2, 40, 50), np.uint16)
FIELDS = [RNG.integers(0, 255, (30 + at, 20), np.uint8) for at in range(3)]


@pytest.fixture
def channels(tmp_path: Path) -> Path:
    path = tmp_path / "cells.ome.tif"
    names = {"axes": "CYX", "Channel": {"Name": ["DAPI", "actin"]}}
    tifffile.imwrite(path, CELLS, metadata=names, ome=True)
    return path


def test_a_channel_is_picked_by_number_and_by_name(channels: Path) -> None:
    for word, at in (("0", 0), ("1", 1), ("DAPI", 0), ("actin", 1)):
        pick = Pick(channel=word)
        np.testing.assert_array_equal(read_image(channels, pick), CELLS[at])
        assert not is_stack_file(channels, pick)
        lazy = open_image(channels, pick, in_memory=0)
        part = lazy.read(slice(3, 9), slice(2, 11))
        np.testing.assert_array_equal(part, CELLS[at, 3:9, 2:11])
    with pytest.raises(InputError, match=r"channels are 0 \(DAPI\), 1 \(actin\)"):
        read_image(channels, Pick(channel="2"))
    with pytest.raises(InputError, match="choose a channel by --channel"):
        read_image(channels)


def test_stacks_keep_their_planes(tmp_path: Path) -> None:
    stack = RNG.integers(0, 255, (3, 2, 16, 18), np.uint8)
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(path, stack, metadata={"axes": "ZCYX"}, ome=True)
    pick = Pick(channel="1")
    assert is_stack_file(path, pick)
    found = open_stack_file(path, pick)
    assert (found.stack.lengths, found.axes) == ((3,), "ZYX")
    np.testing.assert_array_equal(found.stack.read((2,)), stack[2, 1])


def test_colours_and_odd_samples_are_channels(tmp_path: Path) -> None:
    rgb = RNG.integers(0, 255, (20, 30, 3), np.uint8)
    path = tmp_path / "he.png"
    iio.imwrite(path, rgb)
    for word in ("2", "blue"):
        found = read_image(path, Pick(channel=word))
        np.testing.assert_array_equal(found, rgb[..., 2])
    two = tmp_path / "two.tif"
    tifffile.imwrite(two, rgb[..., :2], photometric="minisblack", planarconfig="contig")
    np.testing.assert_array_equal(read_image(two, Pick(channel="1")), rgb[..., 1])


def test_a_grey_picture_has_no_channel(tmp_path: Path) -> None:
    path = tmp_path / "grey.tif"
    tifffile.imwrite(path, FIELDS[0])
    with pytest.raises(InputError, match="leave out --channel"):
        read_image(path, Pick(channel="0"))
    iio.imwrite(path.with_suffix(".png"), FIELDS[0])
    with pytest.raises(InputError, match="leave out --series"):
        read_image(path.with_suffix(".png"), Pick(series=0))


def test_a_field_is_picked_with_its_own_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "fields.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for at, field in enumerate(FIELDS):
            size = {"PhysicalSizeX": 0.5 + at, "PhysicalSizeY": 0.25 + at}
            file.write(field, metadata={"axes": "YX", "Name": f"field {at}", **size})
    for at, field in enumerate(FIELDS):
        np.testing.assert_array_equal(read_image(path, Pick(at)), field)
        assert read_pixel_size(path, at) == (0.25 + at, 0.5 + at)
    with pytest.raises(InputError, match=r"3 images \(.*choose one by --series"):
        read_image(path)
    with pytest.raises(InputError, match="there are 3, from 0"):
        read_image(path, Pick(3))


def test_channels_of_ome_zarr_have_names(tmp_path: Path) -> None:
    path = tmp_path / "cells.zarr"
    group = zarr.create_group(path)
    group.create_array("0", data=CELLS)
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [{"name": name} for name in "cyx"],
                "datasets": [{"path": "0"}],
            }
        ],
        "omero": {"channels": [{"label": "DAPI"}, {"label": "actin"}]},
    }
    np.testing.assert_array_equal(read_image(path, Pick(channel="actin")), CELLS[1])
    with pytest.raises(InputError, match="give the folder of the image"):
        read_image(path, Pick(series=1))
