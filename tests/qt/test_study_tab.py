"""The prompt study in the dock: the numbers of Python, and nothing left over."""

from __future__ import annotations

import csv
import gc
import weakref
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest
from napari.layers import Labels, Points
from qtpy.QtWidgets import QFileDialog, QLabel
from skimage.draw import disk

import napari_dinoprompt as dp
from napari_dinoprompt import layers
from napari_dinoprompt.core.features import extraction


@pytest.fixture
def study(ready, scene):
    """Four prompts on bright discs, one on a dim one, one on the background."""
    points = np.vstack([scene.bright[:4], scene.dim[:1], scene.empty])
    ready.work.place_prompts(points, ["object"] * 5 + ["background"])
    ready.settle()
    ready.turn_to("Study")
    return ready


@pytest.fixture
def truth(study, scene):
    """The bright discs as labels of the user."""
    labels = np.zeros(scene.image.shape, np.int32)
    for number, centre in enumerate(scene.bright, start=1):
        labels[disk(centre, 6, shape=labels.shape)] = number
    layer = Labels(labels, name="truth")
    study.viewer.layers.append(layer)
    study.settle()
    return layer


def run(bench, part: str) -> object:
    bench.dock.study.choose(part)
    bench.press("Run")
    return found(bench, part)


def found(bench, part: str):
    result = bench.work.tab_jobs.studying.result(part)
    assert result is not None, bench.hint
    return result.found


def expected(bench, part: str, **options) -> object:
    reference = bench.work.session.reference()
    done = dp.study(
        bench.state.image.data,
        reference.points,
        reference.classes,
        dp.load_backbone("filterbank"),
        parts=[part],
        **options,
    )
    return getattr(done, part)


def our_points(bench) -> list[Points]:
    return [
        layer
        for layer in bench.viewer.layers
        if isinstance(layer, Points) and layer is not bench.state.prompts
    ]


def sentence(bench) -> str:
    return bench.dock.study._sentence.text()


def look_of(points: Points) -> list[object]:
    names = ("face_color", "border_color", "border_width", "size", "symbol", "data")
    return [np.array(getattr(points, name)) for name in names] + [
        points.features.to_numpy(),
        np.array(points.visible),
    ]


def same_look(one: list[object], other: list[object]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# --- the same numbers as in Python


@pytest.mark.parametrize("part", ["convergence", "influence"])
def test_numbers_are_those_of_the_python_api(study, part) -> None:
    shown = run(study, part)
    np.testing.assert_equal(shown.rows(), expected(study, part).rows())


def test_threshold_is_that_of_the_python_api(study) -> None:
    shown = run(study, "threshold")
    python = expected(study, "threshold")
    np.testing.assert_equal(shown.rows(), python.rows())
    assert shown.plateau == python.plateau
    assert shown.used == python.used
    assert sentence(study) == python.sentence


def test_truth_gives_the_numbers_of_the_python_api(study, truth) -> None:
    study.dock.study._truth.choose(truth)
    for part in ("convergence", "influence", "threshold"):
        shown = run(study, part)
        python = expected(study, part, truth=truth.data)
        np.testing.assert_equal(shown.rows(), python.rows())
    assert shown.best == python.best


def test_resolution_is_that_of_the_python_api(study, truth, scene) -> None:
    double = np.kron(scene.image, np.ones((2, 2), np.uint8))
    layer = study.add_image(double, name="double")
    study.settle()
    study.dock.study._truth.choose(truth)
    study.dock.study.choose("resolution")
    page = study.dock.study.resolution
    page._upscales[4.0].setChecked(False)
    page._other.choose(layer)
    shown = run(study, "resolution")
    python = expected(
        study,
        "resolution",
        truth=truth.data,
        upscales=(1.0, 2.0),
        others={"double": double},
    )
    timed = ("seconds", "recommended")
    for one, other in zip(shown.rows(), python.rows(), strict=True):
        kept = {key: value for key, value in one.items() if key not in timed}
        np.testing.assert_equal(
            kept, {key: value for key, value in other.items() if key not in timed}
        )
    names = [one.name for one in shown.trials]
    assert names == ["filterbank x1", "filterbank x2", "double"]
    table = page.table
    heads = [table.horizontalHeaderItem(i).text() for i in range(table.columnCount())]
    assert heads == ["s", "MB", "cells", "agree", "IoU"]
    assert [table.verticalHeaderItem(i).text() for i in range(3)] == names
    column = [table.item(row, heads.index("IoU")).text() for row in range(3)]
    assert column == [f"{one.iou:.3f}" for one in python.trials]


def test_backbones_that_are_here_are_offered(study, tmp_path) -> None:
    page = study.dock.study.resolution
    (tmp_path / "vit_base_patch14_reg4_dinov2.lvd142m.safetensors").touch()
    page.show_backbones("dinov2-small", str(tmp_path))
    assert set(page._backbones) == {"dinov2-base", "filterbank"}
    assert page.backbones == ()
    page._backbones["filterbank"].setChecked(True)
    page.show_backbones("dinov2-small", str(tmp_path))
    assert page.backbones == ("filterbank",)
    page.show_backbones("filterbank", str(tmp_path))
    assert set(page._backbones) == {"dinov2-base"}


def test_weights_that_cannot_be_read_are_one_message(study, tmp_path) -> None:
    """The user's backbone goes on; the one that was ticked is named."""
    request = study.work.session.request
    backbone = replace(request.backbone, weights_folder=str(tmp_path))
    study.work.features.choose(replace(request, backbone=backbone))
    study.settle()
    path = tmp_path / "vit_base_patch14_reg4_dinov2.lvd142m.safetensors"
    path.write_bytes(b"no weights at all")
    study.dock.study.choose("resolution")
    study.dock.study.resolution._backbones["dinov2-base"].setChecked(True)
    study.press("Run")
    assert path.name in study.hint
    assert study.work.tab_jobs.studying.result("resolution") is None


def test_orders_are_those_of_the_box(study) -> None:
    study.dock.study.convergence._orders.setValue(7)
    shown = run(study, "convergence")
    assert shown.orders == 7
    assert sentence(study) == shown.sentence


def test_truth_of_another_shape_is_one_message(study) -> None:
    layer = Labels(np.eye(10, 12, dtype=np.int32), name="small")
    study.viewer.layers.append(layer)
    study.settle()
    study.dock.study._truth.choose(layer)
    study.dock.study.choose("threshold")
    study.press("Run")
    assert "96 x 120" in study.hint
    assert study.work.tab_jobs.studying.result("threshold") is None


def test_edited_truth_makes_the_result_one_of_before(study, truth) -> None:
    study.dock.study._truth.choose(truth)
    run(study, "threshold")
    assert not sentence(study).startswith("Of earlier")
    truth.data = np.roll(truth.data, 5, axis=0)
    assert sentence(study).startswith("Of earlier")
    study.viewer.layers.remove(truth)
    study.settle()
    assert study.work.tab_jobs.studying.truth is None


def test_class_that_is_studied(study, scene) -> None:
    study.turn_to("Segment")
    study.work.add_class("dim")
    study.click(scene.dim[1:])
    study.turn_to("Study")
    box = study.dock.study._class
    assert [box.itemText(i) for i in range(box.count())] == ["object", "dim"]
    box.setCurrentText("dim")
    box.activated.emit(box.currentIndex())
    shown = run(study, "convergence")
    python = expected(study, "convergence", class_name="dim")
    assert len(shown.counts) == 2
    np.testing.assert_equal(shown.rows(), python.rows())


# --- what stands in the way


def test_what_is_missing_is_said(ready, scene, bench) -> None:
    ready.turn_to("Study")
    assert "Place prompts" in ready.hint
    assert not ready.button("Run").isEnabled()
    ready.click(scene.bright[:1])
    assert "at least two" in ready.hint
    assert not ready.button("Run").isEnabled()
    ready.dock.study.choose("threshold")
    assert ready.button("Run").isEnabled()
    ready.dock.study.choose("convergence")
    ready.click(scene.bright[1:2])
    assert ready.button("Run").isEnabled()


def test_large_image_is_one_message(bench, scene, monkeypatch) -> None:
    monkeypatch.setattr(extraction, "_WHOLE_BYTES", 1)
    bench.add_image(np.tile(scene.image, (11, 2)), name="slide")
    bench.open()
    bench.settle()
    bench.click(scene.bright[:3])
    bench.turn_to("Study")
    for part in ("convergence", "resolution"):
        bench.dock.study.choose(part)
        assert "too large" in bench.hint
        assert not bench.button("Run").isEnabled()


# --- jobs


def test_cancel_leaves_nothing(study, idle) -> None:
    study.dock.study.convergence._orders.setValue(5000)
    study.button("Run").click()
    assert not study.button("Cancel").isHidden()
    study.button("Cancel").click()
    idle()
    assert study.hint == "Stopped."
    assert study.work.tab_jobs.studying.result("convergence") is None
    assert study.dock.study._sentence.isHidden()
    assert study.dock.study._canvas is None


def test_latest_request_wins(study, idle) -> None:
    study.dock.study.convergence._orders.setValue(5000)
    study.button("Run").click()
    run(study, "threshold")
    idle()
    assert study.work.tab_jobs.studying.result("convergence") is None
    assert found(study, "threshold").sentence == sentence(study)


def test_prompt_placed_meanwhile_stops_the_job(study, scene, idle) -> None:
    study.dock.study.convergence._orders.setValue(5000)
    study.button("Run").click()
    study.click(scene.bright[4:])
    idle()
    assert "run it again" in study.hint
    assert study.work.tab_jobs.studying.result("convergence") is None


def test_other_image_stops_the_job(study, other_scene, idle) -> None:
    run(study, "threshold")
    study.dock.study.choose("convergence")
    study.dock.study.convergence._orders.setValue(5000)
    study.button("Run").click()
    study.choose(study.add_image(other_scene.image, name="other"))
    study.settle()
    idle()
    work = study.work.tab_jobs.studying
    assert work.result("convergence") is None
    assert work.result("threshold") is None
    assert "Place prompts" in study.hint


def test_closing_the_dock_stops_the_job(study, idle) -> None:
    study.dock.study.convergence._orders.setValue(5000)
    study.button("Run").click()
    study.close()
    idle()


def test_result_of_earlier_prompts_says_so(study, scene) -> None:
    run(study, "threshold")
    study.click(scene.bright[4:])
    assert sentence(study).startswith("Of earlier prompts")
    study.work.prompts.undo()
    study.settle()
    assert sentence(study) == found(study, "threshold").sentence
    study.work.scoring.choose_threshold(0.3)
    study.settle()
    assert sentence(study).startswith("Of earlier prompts")
    run(study, "threshold")
    assert found(study, "threshold").used == 0.3
    study.choose_upscale("×2")
    study.settle()
    assert sentence(study).startswith("Of earlier prompts")


# --- influence in the viewer


def test_rings_are_there_while_they_are_on_show(study) -> None:
    before = look_of(study.prompts)
    shown = run(study, "influence")
    (rings,) = our_points(study)
    np.testing.assert_array_equal(rings.data, shown.points)
    assert layers.find_owned([rings], study.state.image, "study influence") is rings
    most = int(np.nanargmax(shown.left_out))
    light = np.asarray(rings.border_color)[:, :3].sum(axis=1)
    assert light.argmax() == most
    assert study.viewer.layers.selection.active is study.prompts
    assert same_look(look_of(study.prompts), before)
    study.dock.study.choose("threshold")
    assert our_points(study) == []
    study.dock.study.choose("influence")
    assert len(our_points(study)) == 1
    study.turn_to("Segment")
    assert our_points(study) == []
    assert same_look(look_of(study.prompts), before)


def test_rings_follow_the_image(study) -> None:
    run(study, "influence")
    study.state.image.scale = (2, 3)
    study.settle()
    (rings,) = our_points(study)
    np.testing.assert_array_equal(rings.scale, (2, 3))


def test_rings_go_when_prompts_change(study, scene) -> None:
    run(study, "influence")
    study.click(scene.bright[4:])
    assert our_points(study) == []
    assert sentence(study).startswith("Of earlier prompts")


def test_rings_go_with_the_dock(study) -> None:
    run(study, "influence")
    viewer, prompts = study.viewer, study.prompts
    before = look_of(prompts)
    study.close()
    assert [one for one in viewer.layers if isinstance(one, Points)] == [prompts]
    assert same_look(look_of(prompts), before)


def test_rings_stay_while_another_dock_shows_them(study) -> None:
    run(study, "influence")
    second = study.open()
    second.tabs.setCurrentWidget(second.study)
    second.study.choose("influence")
    study.turn_to("Segment")
    assert len(our_points(study)) == 1
    second.tabs.setCurrentIndex(0)
    assert our_points(study) == []


def test_outlier_is_named_removed_and_brought_back(ready, scene) -> None:
    ready.click(scene.bright)
    # A prompt outside the image counts for nothing, but has a row in the layer.
    ready.prompts.data = np.vstack([[-30.0, -30.0], ready.prompts.data])
    ready.settle()
    ready.click(scene.empty)
    ready.turn_to("Study")
    shown = run(ready, "influence")
    assert shown.outliers == (5,)
    assert "Prompt 6 looks like none of the others." in sentence(ready)
    (rings,) = our_points(ready)
    assert "outlier" in rings.features["prompt"].iloc[5]
    before = np.array(ready.prompts.data)
    ready.press("Remove prompt 6")
    np.testing.assert_array_equal(ready.prompts.data, before[:-1])
    # It is asked anew by itself.
    assert found(ready, "influence").outliers == ()
    assert len(found(ready, "influence").numbers) == 5
    ready.press("Undo")
    np.testing.assert_array_equal(ready.prompts.data, before)
    assert sentence(ready).startswith("Of earlier prompts")


def test_own_points_are_not_touched(ready, scene) -> None:
    mine = Points(np.vstack([scene.bright, scene.empty]), name="mine", size=3)
    ready.viewer.layers.append(mine)
    ready.settle()
    ready.work.choose_prompts(mine)
    ready.settle()
    before = look_of(mine)
    ready.turn_to("Study")
    shown = run(ready, "influence")
    assert shown.outliers == (5,)
    assert not ready.button("Remove prompt 6").isEnabled()
    ready.work.tab_jobs.studying.remove(5)
    ready.settle()
    ready.turn_to("Segment")
    assert same_look(look_of(mine), before)
    assert mine in ready.viewer.layers


def test_removing_while_another_part_is_under_way(ready, scene, idle) -> None:
    ready.click(np.vstack([scene.bright, scene.empty]))
    ready.turn_to("Study")
    first = run(ready, "influence")
    ready.dock.study.choose("convergence")
    ready.dock.study.convergence._orders.setValue(5000)
    ready.button("Run").click()
    ready.dock.study.choose("influence")
    ready.press("Remove prompt 6")
    idle()
    assert found(ready, "influence") is not first
    assert ready.work.tab_jobs.studying.is_current("influence")
    assert ready.work.tab_jobs.studying.result("convergence") is None


def test_rings_lie_on_the_planes_of_their_prompts(bench, scene) -> None:
    bench.add_image(np.stack([scene.image, scene.image[::-1]]), name="stack")
    bench.viewer.dims.set_point(0, 1)
    bench.open()
    bench.settle()
    flipped = scene.bright * (-1, 1) + (95, 0)
    for point in flipped[:3]:
        bench.prompts.add((1, *point))
    bench.settle()
    bench.turn_to("Study")
    run(bench, "influence")
    (rings,) = our_points(bench)
    assert [point[0] for point in rings.data] == [1, 1, 1]


# --- masks of the resolutions


def test_masks_side_by_side_and_back(study) -> None:
    before = {layer: layer.visible for layer in study.viewer.layers}
    study.dock.study.choose("resolution")
    study.dock.study.resolution._upscales[4.0].setChecked(False)
    shown = run(study, "resolution")
    study.press("Show masks")
    grid = study.viewer.canvas.grid
    assert grid.enabled
    stack = list(study.viewer.layers)
    cells = [
        [stack[i] for i in indices if stack[i].visible]
        for _, indices in grid.iter_viewboxes(stack)
    ]
    assert [[one.name for one in cell] for cell in cells[:2]] == [
        ["scene, filterbank x1", "filterbank x1 mask"],
        ["scene, filterbank x2", "filterbank x2 mask"],
    ]
    for cell, trial in zip(cells, shown.trials, strict=False):
        np.testing.assert_array_equal(cell[1].data, trial.mask)
        assert np.shares_memory(cell[0].data, study.state.image.data)
    study.press("Show masks")
    assert not grid.enabled
    assert {layer: layer.visible for layer in study.viewer.layers} == before
    assert study.prompts.mode == "add"
    study.press("Show masks")
    study.turn_to("Segment")
    assert not grid.enabled
    assert {layer: layer.visible for layer in study.viewer.layers} == before


# --- plots and files


def test_results_keep_no_features(study) -> None:
    run(study, "threshold")
    features = weakref.ref(study.state.planes[()].whole)
    assert features() is not None
    study.choose_upscale("×2")
    study.settle()
    gc.collect()
    assert features() is None


def test_one_canvas_in_the_colours_of_the_theme(study) -> None:
    assert study.dock.study._canvas is None
    run(study, "threshold")
    canvas = study.dock.study._canvas
    lines = canvas.figure.axes[0].lines
    np.testing.assert_array_equal(
        lines[0].get_ydata(), found(study, "threshold").fraction
    )
    dark = canvas.figure.get_facecolor()
    assert sum(dark[:3]) < 1.5
    study.viewer.theme = "light"
    assert sum(canvas.figure.get_facecolor()[:3]) > 2
    run(study, "influence")
    assert study.dock.study._canvas is canvas
    assert sum(canvas.figure.get_facecolor()[:3]) > 2
    bars = canvas.figure.axes[0].patches
    heights = [bar.get_height() for bar in bars]
    left_out = found(study, "influence").left_out
    np.testing.assert_allclose(heights, 100 * left_out[~np.isnan(left_out)])


def test_files(study, tmp_path, monkeypatch) -> None:
    shown = run(study, "convergence")
    target = tmp_path / "v1.2 curve"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (target, ""))
    study.press("Save table…")
    written = tmp_path / "v1.2 curve.csv"
    assert str(written) in study.hint
    with written.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["agreement_50"]) for row in rows] == list(shown.agreement[2])
    study.press("Save plot…")
    assert iio.imread(tmp_path / "v1.2 curve.png").shape[0] > 300
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *_, **__: (tmp_path / "a.pdf", "")
    )
    run(study, "threshold")
    study.press("Save plot…")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *_, **__: (tmp_path / "no" / "a.png", "")
    )
    (tmp_path / "no").write_text("a file")
    study.press("Save plot…")
    assert "cannot be written" in study.hint


def test_two_docks_show_one_study(study) -> None:
    second = study.open()
    second.tabs.setCurrentWidget(second.study)
    second.study.choose("threshold")
    run(study, "threshold")
    texts = [one.text() for one in second.study.findChildren(QLabel)]
    assert found(study, "threshold").sentence in texts
    assert second.study._canvas is not study.dock.study._canvas
