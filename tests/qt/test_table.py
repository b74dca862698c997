"""Objects counted, measured on request, looked at and saved."""

from __future__ import annotations

import gc
import json
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import tifffile

import napari_dinoprompt as dp
from napari_dinoprompt import layers
from napari_dinoprompt.layers.ownership import find_owned

if TYPE_CHECKING:
    from pathlib import Path


def objects_layer(bench):
    return find_owned(bench.viewer.layers, bench.state.image, "objects")


@pytest.fixture
def measured(prompted):
    prompted.work.table.start()
    prompted.settle()
    return prompted


def test_objects_are_counted_without_any_cleaning(prompted) -> None:
    prompted.settle()
    found = prompted.state.found_counts
    assert found.total > 1
    assert (
        f"{found.total} objects · median" in prompted.dock.segment.table._count.text()
    )
    assert "µm²" not in prompted.dock.segment.table._count.text()
    prompted.state.image.scale = (0.5, 0.5)
    prompted.state.image.units = ("um", "um")
    prompted.settle()
    prompted.dock._refresh()
    assert "µm²" in prompted.dock.segment.table._count.text()


def test_the_table_is_that_of_the_interface(measured) -> None:
    table = measured.work.table.measured.table
    state = measured.state
    reference = state.result.reference
    backbone = dp.load_backbone("filterbank", device="cpu")
    plane = layers.read_plane(state.image)
    options = dp.SegmentOptions(cleaning=state.cleaning)
    expected = dp.segment(plane, reference, backbone, options).objects_table(
        {state.image.name: plane}
    )
    pd.testing.assert_frame_equal(table, expected, check_dtype=False, rtol=1e-4)
    layer = objects_layer(measured)
    # napari takes a row's place for its number.
    assert len(layer.features) == table["label"].max() + 1
    areas = layer.features["area_px"][table["label"]]
    assert areas.tolist() == table["area_px"].tolist()
    assert measured.viewer.layers.selection.active is layer


def test_choosing_a_row_looks_at_its_object(measured) -> None:
    table, layer = measured.work.table.measured.table, objects_layer(measured)
    # Not the first to begin with: its number is chosen already.
    for row in (len(table) - 1, 0):
        layer.selected_label = int(table["label"][row])
        centre = measured.viewer.scene.camera.center[-2:]
        assert centre == pytest.approx(tuple(table.loc[row, ["y_px", "x_px"]]))


def test_other_results_take_the_table_away(measured) -> None:
    layer = objects_layer(measured)
    measured.drag_threshold(0.9)
    measured.settle()
    assert measured.work.table.measured is None
    assert not np.asarray(layer.data).any()
    assert "measure them again" in measured.work.table.said


def test_tables_and_objects_are_saved(measured, tmp_path: Path) -> None:
    work, count = measured.work.table, len(measured.work.table.measured.table)
    for name in ("a.csv", "a.geojson", "a.zip", "a.tif"):
        work.save(tmp_path / name)
        measured.settle()
        assert work.said.endswith(f"{name}.")
    assert len(pd.read_csv(tmp_path / "a.csv")) == count
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert len(features) == count
    labels = tifffile.imread(tmp_path / "a.tif")
    np.testing.assert_array_equal(labels, np.asarray(objects_layer(measured).data))


def test_other_channels_are_measured_too(prompted) -> None:
    image = prompted.state.image
    other = prompted.add_image(255 - layers.read_plane(image), name="other")
    prompted.settle()
    table = prompted.work.table
    assert table.chosen() == [image]
    table.choose_channel(other)
    table.start()
    prompted.settle()
    found = table.measured.table
    both = found[f"mean_{image.name}"] + found["mean_other"]
    np.testing.assert_allclose(both, 255)


def test_a_closed_image_is_let_go(measured) -> None:
    work = measured.work.table
    work.choose_channel(measured.state.image)
    image = weakref.ref(measured.state.image)
    for layer in list(measured.viewer.layers):
        measured.viewer.layers.remove(layer)
    measured.settle()
    measured.dock._refresh()
    del layer
    gc.collect()
    assert work.measured is None
    assert image() is None


def test_a_corrected_mask_is_what_is_measured(prompted) -> None:
    mask = prompted.state.mask
    mask.paint((1, 1), 1)
    prompted.settle()
    assert prompted.state.corrected is mask
    prompted.work.table.start()
    prompted.settle()
    table = prompted.work.table.measured.table
    corner = table[(table["y_px"] < 3) & (table["x_px"] < 3)]
    assert len(corner) == 1
