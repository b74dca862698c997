"""Objects of a batch: tables, files of other programs, and objects that are given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import tifffile
from batch_images import write_images
from roifile import roiread
from small_stack import DISCS, draw_plane, draw_stack
from typer.testing import CliRunner

import napari_dinoprompt as dp
from napari_dinoprompt.cli import app
from napari_dinoprompt.core.batch.objects import OBJECTS, BatchFiles
from napari_dinoprompt.core.batch.run import segment_batch
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.progress import run_to_end

if TYPE_CHECKING:
    from pathlib import Path

ALL = BatchFiles(("geojson", "roi", "csv"))


def test_tables_are_those_of_the_interface(
    tmp_path: Path, blobs, blob_reference, filterbank
) -> None:
    images = write_images(tmp_path / "images", blobs.image, 2)
    output = tmp_path / "results"
    options = dp.SegmentOptions(cleaning=dp.Cleaning(min_size=5, split=True))
    given = blob_reference, filterbank, options
    run_to_end(segment_batch(images, output, *given, objects=ALL))
    whole = pd.read_csv(output / OBJECTS)
    for path in images:
        plane = tifffile.imread(path)
        result = dp.segment(plane, *given)
        expected = result.objects_table({"image": plane})
        found = pd.read_csv(output / f"{path.stem}_objects.csv")
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)
        assert len(whole[whole["results"] == path.stem]) == len(found) > 3
        features = json.loads((output / f"{path.stem}_objects.geojson").read_text())
        assert len(features["features"]) == len(found)
        rois = roiread(output / f"{path.stem}_objects_rois.zip")
        assert isinstance(rois, list)
        assert len(rois) == len(found)
    # What is missing is made again, and what is there is kept.
    steps = segment_batch(images, output, *given, objects=ALL)
    assert [one.state for one in steps] == ["kept", "kept"]
    (output / f"{images[0].stem}_objects.geojson").unlink()
    steps = segment_batch(images, output, *given, objects=ALL)
    assert sorted(one.state for one in steps) == ["done", "kept"]


def test_given_objects_are_kept_or_dropped_as_wholes(
    tmp_path: Path, blobs, blob_reference, filterbank
) -> None:
    (image,) = write_images(tmp_path / "images", blobs.image, 1)
    plane = tifffile.imread(image)
    truth = dp.segment(
        plane, blob_reference, filterbank, dp.SegmentOptions(cleaning=dp.Cleaning(20))
    ).instances
    # And one on nothing.
    free = np.argwhere(truth == 0)[:200]
    labels = truth.copy()
    labels[tuple(free.T)] = 500
    tifffile.imwrite(tmp_path / "labels.tif", labels.astype(np.uint16))
    output = tmp_path / "results"
    reference = blob_reference.save(tmp_path / "blobs")
    words = ["segment", image, "--reference", reference, "--output", output]
    words += ["--objects", tmp_path / "labels.tif", "--export", "csv"]
    ended = CliRunner().invoke(app, list(map(str, words)))
    assert ended.exit_code == 0, ended.output
    found = tifffile.imread(output / f"{image.stem}_instances.tif")
    np.testing.assert_array_equal(found, truth)
    features = dp.extract_features(plane, filterbank, window=blob_reference.window)
    expected = dp.select_objects(labels, features, blob_reference)
    np.testing.assert_array_equal(found, expected.instances[...])
    table = pd.read_csv(output / f"{image.stem}_objects.csv")
    pd.testing.assert_frame_equal(
        table, expected.objects_table({"image": plane}), check_dtype=False
    )


def test_given_objects_belong_to_one_image_each(
    tmp_path: Path, blobs, blob_reference, filterbank
) -> None:
    images = write_images(tmp_path / "images", blobs.image, 2)
    labels = tmp_path / "labels"
    labels.mkdir()
    result = np.zeros(tifffile.imread(images[0]).shape, np.uint8)
    result[5:20, 5:20] = 3
    tifffile.imwrite(labels / f"{images[0].stem}.tif", result)
    given = blob_reference, filterbank, dp.SegmentOptions()
    work = BatchFiles(given=labels)
    steps = list(segment_batch(images, tmp_path / "out", *given, objects=work))
    assert [one.state for one in steps] == ["done", "skipped"], steps[0].message
    assert "holds 0 files called" in steps[1].message
    one = BatchFiles(given=labels / f"{images[0].stem}.tif")
    with pytest.raises(InputError, match="the objects of one image"):
        next(segment_batch(images, tmp_path / "out", *given, objects=one))


@pytest.mark.parametrize("through", [False, True])
def test_stacks_are_measured_in_planes_or_through_them(
    tmp_path: Path, filterbank, through: bool
) -> None:
    features = dp.extract_features(draw_plane(0), filterbank)
    reference = dp.Reference.from_prompts(features, DISCS)
    stack = draw_stack(3)
    path = tmp_path / "stack.tif"
    tifffile.imwrite(
        path, stack, imagej=True, metadata={"axes": "ZYX", "spacing": 2, "unit": "um"}
    )
    options = dp.SegmentOptions(
        cleaning=dp.Cleaning(min_size=5), objects_3d=through, spacing=(2.0, 1.0, 1.0)
    )
    given = reference, filterbank, options
    output = tmp_path / "out"
    run_to_end(segment_batch([path], output, *given, objects=ALL))
    table = pd.read_csv(output / "stack_objects.csv")
    result = dp.segment_stack(stack, *given)
    expected = result.objects_table({"image": stack}, (2.0, 1.0, 1.0))
    expected = expected.astype({"plane": int} if "plane" in expected else {})
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    assert ("volume_um3" in table, "plane" in table) == (through, not through)
    size = table["volume_px"] if through else table["area_px"]
    assert size.sum() == np.count_nonzero(result.mask)
