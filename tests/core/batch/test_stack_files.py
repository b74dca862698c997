"""Stacks in TIFF files, their results, and going on after a kill."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from small_stack import DISCS, draw_plane, draw_stack
from typer.testing import CliRunner

from napari_dinoprompt._cli.options import parse_spacing
from napari_dinoprompt.cli import app
from napari_dinoprompt.core.batch import stack_files
from napari_dinoprompt.core.batch.records import COLUMNS, result_paths
from napari_dinoprompt.core.batch.stack_files import (
    is_stack_file,
    iter_segment_stack_file,
    open_stack_file,
)
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.segmentation.segment import SegmentOptions, segment
from napari_dinoprompt.core.segmentation.stack import segment_stack

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = SegmentOptions(cleaning=Cleaning(min_size=5, split=True))


@pytest.fixture(scope="module")
def reference(filterbank) -> Reference:
    features = extract_features(draw_plane(0), filterbank)
    return Reference.from_prompts(features, DISCS)


def write_zstack(path: Path, data: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "ZYX"}, **options)
    return path


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("ZYX", (3, 20, 30), "ZYX"),
        ("TZYX", (2, 3, 20, 30), "TZYX"),
        ("TZCYX", (2, 3, 4, 20, 30), "TCZYX"),
    ],
)
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_planes_are_found_whatever_their_order(
    tmp_path: Path, axes: str, shape: tuple[int, ...], expected: str, kind: str
) -> None:
    path = tmp_path / "stack.tif"
    data = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    tifffile.imwrite(path, data, metadata={"axes": axes}, **{kind: True})
    assert is_stack_file(path)
    found = open_stack_file(path)
    assert found.axes == expected
    turned = np.einsum(f"{axes.lower()}->{expected.lower()}", data)
    assert found.stack.lengths == turned.shape[:-2]
    assert found.stack.size == (20, 30)
    for index in found.stack.indices():
        np.testing.assert_array_equal(found.stack.read(index), turned[index])


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colours_are_one_plane(tmp_path: Path, planar: str) -> None:
    path = tmp_path / "stack.tif"
    data = np.random.default_rng(0).integers(0, 255, (4, 20, 30, 3)).astype(np.uint8)
    stored = data if planar == "contig" else np.moveaxis(data, -1, 1)
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(stored, photometric="rgb", planarconfig=planar)
    found = open_stack_file(path)
    assert found.stack.lengths == (4,)
    for (z,) in found.stack.indices():
        np.testing.assert_array_equal(found.stack.read((z,)), data[z])
    tifffile.imwrite(path, data[0], photometric="rgb")
    assert not is_stack_file(path)


def test_a_large_imagej_file_has_one_page_only(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    data = np.arange(4 * 6 * 8, dtype=np.uint16).reshape(4, 6, 8)
    # As ImageJ writes files above 4 GB.
    tifffile.imwrite(
        path,
        data[0],
        description="ImageJ=1.53\nimages=4\nslices=4\n",
        metadata=None,
        byteorder=">",
    )
    with tifffile.TiffFile(path) as tiff:
        (offset,) = tiff.pages[0].dataoffsets
    # The pixels lie at the end of the file; all others follow.
    assert offset + data[0].nbytes == path.stat().st_size
    with path.open("ab") as file:
        file.write(data[1:].astype(">u2").tobytes())
    found = open_stack_file(path)
    assert found.stack.lengths == (4,)
    for (z,) in found.stack.indices():
        np.testing.assert_array_equal(found.stack.read((z,)), data[z])


def test_it_says_how_far_voxels_are_apart(tmp_path: Path) -> None:
    data = draw_stack(3)
    path = tmp_path / "stack.tif"
    tifffile.imwrite(
        path,
        data,
        imagej=True,
        resolution=(4, 4),
        metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"},
    )
    assert open_stack_file(path).spacing == pytest.approx((2.0, 0.25, 0.25))
    sizes = {
        f"PhysicalSize{axis}": size
        for axis, size in zip("ZYX", (3, 0.5, 0.4), strict=True)
    }
    tifffile.imwrite(path, data, ome=True, metadata={"axes": "ZYX", **sizes})
    assert open_stack_file(path).spacing == pytest.approx((3, 0.5, 0.4))
    tifffile.imwrite(path, data, photometric="minisblack", metadata={"axes": "ZYX"})
    assert open_stack_file(path).spacing is None


def test_other_files_are_no_stacks(tmp_path: Path) -> None:
    text = tmp_path / "text.tif"
    text.write_text("no image")
    assert not is_stack_file(text)
    assert not is_stack_file(tmp_path / "missing.tif")
    plane = tmp_path / "plane.tif"
    tifffile.imwrite(plane, draw_plane())
    assert not is_stack_file(plane)
    with pytest.raises(InputError, match="no stack"):
        open_stack_file(plane)
    with pytest.raises(InputError, match=r"text\.tif"):
        open_stack_file(text)


@pytest.mark.parametrize("through", [False, True])
def test_results_are_stacks_that_say_what_they_are(
    tmp_path: Path, reference, filterbank, through: bool
) -> None:
    data = draw_stack(4)
    path = write_zstack(tmp_path / "stack.tif", data)
    folder = tmp_path / "results"
    kind_of_map = "plain" if through else "fitted"
    options = replace(
        OPTIONS, objects_3d=through, spacing=(2.0, 1.0, 1.0), map=kind_of_map
    )
    rows = run_to_end(
        iter_segment_stack_file(
            path, "stack.tif", folder, "stack", reference, filterbank, options
        )
    )
    found = segment_stack(data, reference, filterbank, options)
    paths = result_paths(folder, "stack")
    for kind, array in (
        ("similarity", found.similarity),
        ("mask", found.mask),
        ("instances", found.instances),
    ):
        with tifffile.TiffFile(paths[kind]) as tiff:
            assert tiff.series[0].axes == "ZYX"
            np.testing.assert_array_equal(tiff.asarray(), array)
            said = tiff.ome_metadata
        if kind == "similarity":
            assert f'Name="similarity ({kind_of_map})"' in said
    each = [segment(plane, reference, filterbank, options) for plane in data]
    np.testing.assert_array_equal(found.similarity, [one.similarity for one in each])
    assert open_stack_file(paths["mask"]).spacing == (2.0, 1.0, 1.0)
    assert tifffile.imread(paths["instances"]).dtype == np.uint16
    (row,) = rows
    assert list(row) == list(COLUMNS)
    assert row["objects"] == found.instances.max()
    assert row["pixels"] == np.count_nonzero(found.mask)
    assert row["area_fraction"] == pytest.approx(np.mean(found.mask > 0))
    left = [one.name for one in folder.iterdir() if one.name.endswith(".zarr")]
    assert left == []


def test_it_goes_on_where_it_was_stopped(
    tmp_path: Path, reference, filterbank, monkeypatch
) -> None:
    path = write_zstack(tmp_path / "stack.tif", draw_stack(4))
    folder = tmp_path / "results"

    def steps(options: SegmentOptions = OPTIONS):
        return iter_segment_stack_file(
            path, "stack.tif", folder, "stack", reference, filterbank, options
        )

    def begun() -> list[str]:
        return sorted(one.name for one in folder.glob(".stack_*"))

    stopped = steps()
    for said in stopped:
        if said.total and said.done * 2 >= said.total:
            break
    stopped.close()
    (kept,) = begun()
    done = sum(one.total > 0 and one.done == one.total for one in steps())
    assert done >= 1
    assert begun() == []
    # With other options nothing is kept.
    stopped = steps(SegmentOptions(threshold=0.4))
    for said in stopped:
        if said.total and said.done * 2 >= said.total:
            break
    stopped.close()
    assert begun() != [kept]
    run_to_end(steps())
    assert begun() == []


def test_several_classes_are_channels(tmp_path: Path, filterbank) -> None:
    features = extract_features(draw_plane(0), filterbank)
    both = Reference.from_prompts(
        features, [*DISCS, (34.5, 46.5)], classes=["a", "a", "a", "dim"]
    )
    path = write_zstack(tmp_path / "stack.tif", draw_stack(3))
    folder = tmp_path / "results"
    rows = run_to_end(
        iter_segment_stack_file(
            path, "x", folder, "x", both, filterbank, SegmentOptions()
        )
    )
    assert [row["class"] for row in rows] == ["a", "dim"]
    with tifffile.TiffFile(result_paths(folder, "x")["similarity"]) as tiff:
        assert tiff.series[0].axes == "CZYX"
        assert tiff.series[0].shape[:2] == (2, 3)


def test_time_is_no_depth(tmp_path: Path, reference, filterbank) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, draw_stack(3), imagej=True, metadata={"axes": "TYX"})
    options = replace(OPTIONS, objects_3d=True)
    steps = iter_segment_stack_file(
        path, "x", tmp_path, "x", reference, filterbank, options
    )
    with pytest.raises(InputError, match="no depth"):
        run_to_end(steps)


def test_files_above_four_gigabytes_are_bigtiff(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(stack_files, "_CLASSIC_BYTES", 100)
    path = tmp_path / "big.tif"
    data = np.zeros((2, 30, 30), dtype=np.uint8)
    stack_files.write_stack(path, (data,), "ZYX", np.uint8, None)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff


def test_the_command_takes_stacks(
    tmp_path: Path, reference, filterbank, monkeypatch
) -> None:
    write_zstack(tmp_path / "stack.tif", draw_stack(3))
    tifffile.imwrite(tmp_path / "plane.tif", draw_plane(1))
    path = reference.save(tmp_path / "reference")
    monkeypatch.chdir(tmp_path)
    arguments = [
        *("segment", "stack.tif", "plane.tif", "--reference", str(path)),
        *("--output", "results", "--device", "cpu", "--min-size", "5", "--split"),
        *("--objects-3d", "--pixel-size", "2,1,1"),
    ]
    for _ in range(2):
        ran = CliRunner().invoke(app, arguments)
        assert ran.exit_code == 0, ran.output
    assert "2 kept from before" in ran.output
    options = replace(OPTIONS, objects_3d=True, spacing=(2, 1, 1))
    found = segment_stack(draw_stack(3), reference, filterbank, options)
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "results" / "stack_instances.tif"), found.instances
    )
    with (tmp_path / "results" / "segmentation.csv").open() as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    assert int(rows["stack.tif"]["objects"]) == found.instances.max()
    assert tifffile.imread(tmp_path / "results" / "plane_mask.tif").ndim == 2


@pytest.mark.parametrize("text", ["1,1", "0,1,1", "a,b,c", "1,1,inf"])
def test_a_pixel_size_is_three_numbers(text: str) -> None:
    with pytest.raises(InputError, match="Z,Y,X"):
        parse_spacing(text)


def test_channels_that_are_colours_are_no_stack(tmp_path: Path) -> None:
    """By one rule, wherever it is asked whether a file is a stack."""
    path = tmp_path / "a.ome.tif"
    channels = {"Channel": {"Name": ["red", "green", "blue"]}}
    for metadata, stack in (({}, True), (channels, False)):
        tifffile.imwrite(
            path,
            draw_stack(3),
            photometric="minisblack",
            metadata={"axes": "CYX", **metadata},
        )
        assert is_stack_file(path) is stack


def test_channels_that_are_taken_for_columns_are_told(
    tmp_path: Path, reference: Reference, filterbank
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([draw_plane()] * 5, axis=-1))
    steps = iter_segment_stack_file(
        path, "a.tif", tmp_path, "a", reference, filterbank, SegmentOptions()
    )
    first = next(steps)
    steps.close()
    assert "planes of 60 × 5 pixels. If it is one of 5 channels" in first.message
