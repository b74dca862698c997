"""References through napari's own ways: open, drop and save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Points
from npe2 import PluginManager, PluginManifest

import napari_dinoprompt as dp
from napari_dinoprompt import layers
from napari_dinoprompt.core.errors import DinopromptError
from napari_dinoprompt.core.references.library import Library

pytestmark = pytest.mark.viewer

NAME = "napari-dinoprompt"


@pytest.fixture(autouse=True)
def plugin(npe2pm: PluginManager) -> None:
    npe2pm.register(PluginManifest.from_distribution("napari"))
    npe2pm.register(PluginManifest.from_distribution(NAME))


@pytest.fixture(autouse=True)
def library(tmp_path, monkeypatch):
    folder = tmp_path / "library"
    monkeypatch.setenv("DINOPROMPT_LIBRARY", str(folder))
    return folder


def discs() -> np.ndarray:
    y, x = np.mgrid[:96, :96]
    noise = np.random.default_rng(0).normal(20, 3, (96, 96))
    for centre in ((20, 20), (60, 30), (40, 70), (78, 75)):
        noise += 150 * (np.hypot(y - centre[0], x - centre[1]) < 7)
    return noise.clip(0, 255).astype(np.uint8)


@pytest.fixture
def file(tmp_path):
    """A reference of two prompts on the discs, one of background."""
    backbone = dp.load_backbone("filterbank", device="cpu")
    features = dp.extract_features(discs(), backbone)
    points = [(20, 20), (60, 30), (5, 90)]
    classes = ["object", "object", "background"]
    reference = dp.Reference.from_prompts(features, points, classes, source="discs")
    return reference.save(tmp_path / "two")


def test_open_puts_it_into_the_library_and_shows_its_prompts(
    make_napari_viewer, file, library, qtbot
) -> None:
    viewer = make_napari_viewer()
    image = viewer.add_image(discs(), name="called otherwise", scale=(2, 3))
    (points,) = viewer.open(file, plugin=NAME)
    assert [entry.name for entry in Library(library).entries()] == ["two"]
    assert isinstance(points, Points)
    np.testing.assert_allclose(
        layers.pixel_points(points, image), [(20, 20), (60, 30), (5, 90)]
    )
    assert layers.prompt_classes(points) == ("object", "object", "background")
    assert layers.find_prompt_layer(viewer.layers, image) is points
    # A dock takes them for the prompts of the image.
    _, dock = viewer.window.add_plugin_dock_widget(NAME, "Prompt segmentation")
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    state = dock.controller.session.current
    assert state.prompts is points
    assert state.mask.data[40, 70] == 1


def test_an_open_dock_takes_the_prompts(make_napari_viewer, file, qtbot) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(discs(), name="discs")
    _, dock = viewer.window.add_plugin_dock_widget(NAME, "Prompt segmentation")
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    (points,) = viewer.open(file, plugin=NAME)
    state = dock.controller.session.current
    qtbot.waitUntil(lambda: state.mask is not None, timeout=20_000)
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    assert state.prompts is points
    assert state.mask.data[40, 70] == 1
    assert [one.name for one in viewer.layers if isinstance(one, Points)] == [
        "discs prompts"
    ]


def test_prompts_that_are_there_stay(make_napari_viewer, file, qtbot) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(discs(), name="discs")
    _, dock = viewer.window.add_plugin_dock_widget(NAME, "Prompt segmentation")
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    mine = dock.controller.session.current.prompts
    mine.add((78, 75))
    (points,) = viewer.open(file, plugin=NAME)
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    assert dock.controller.session.current.prompts is mine
    assert len(mine.data) == 1
    assert points in dock.controller.prompt_layers()


def test_without_its_image_only_the_library_has_it(
    make_napari_viewer, file, library
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((40, 50), np.uint8), name="discs")
    assert viewer.open(file, plugin=NAME) == []
    assert len(viewer.layers) == 1
    assert [entry.name for entry in Library(library).entries()] == ["two"]


def test_prompts_of_a_plane_of_a_stack(make_napari_viewer, tmp_path, qtbot) -> None:
    viewer = make_napari_viewer()
    stack = np.stack([np.zeros((96, 96), np.uint8), discs()])
    viewer.add_image(stack, name="stack")
    _, dock = viewer.window.add_plugin_dock_widget(NAME, "Prompt segmentation")
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    dock.controller.session.current.prompts.add((1, 20, 20))
    qtbot.waitUntil(
        lambda: dock.controller.session.reference() is not None, timeout=20_000
    )
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    path = tmp_path / "plane.reference.safetensors"
    dock.controller.session.reference().save(path)
    viewer.layers.clear()
    viewer.add_image(stack, name="another")
    (points,) = viewer.open(path, plugin=NAME)
    np.testing.assert_array_equal(points.data, [(1, 20, 20)])


def test_damaged_file_is_one_error(make_napari_viewer, tmp_path) -> None:
    viewer = make_napari_viewer()
    path = tmp_path / "bad.reference.safetensors"
    path.write_bytes(b"\0" * 50)
    with pytest.raises(DinopromptError, match="damaged"):
        viewer.open(path, plugin=NAME)
    assert len(viewer.layers) == 0


def test_saving_the_prompts_layer_writes_their_reference(
    make_napari_viewer, tmp_path, qtbot
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(discs(), name="discs")
    _, dock = viewer.window.add_plugin_dock_widget(NAME, "Prompt segmentation")
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    state = dock.controller.session.current
    points = state.prompts
    path = str(tmp_path / "kept.reference.safetensors")
    points.add([(20, 20), (60, 30)])
    with pytest.raises(DinopromptError, match="not been used"):
        points.save(path, plugin=NAME)
    qtbot.waitUntil(lambda: state.result is not None, timeout=20_000)
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    assert points.save(path) == [path]
    loaded = dp.Reference.load(path)
    np.testing.assert_array_equal(loaded.vectors, state.result.reference.vectors)
    np.testing.assert_array_equal(loaded.points, [(20, 20), (60, 30)])
    # napari's own table of points is still there.
    (table,) = points.save(str(tmp_path / "points.csv"))
    assert "class" in Path(table).read_text()
    (plain,) = points.save(str(tmp_path / "points"))
    assert plain.endswith(".csv")


def test_points_of_the_user_are_refused(make_napari_viewer, tmp_path) -> None:
    viewer = make_napari_viewer()
    points = viewer.add_points([(1, 2)])
    with pytest.raises(DinopromptError, match="Only the prompts layer"):
        points.save(str(tmp_path / "own.reference.safetensors"))
    assert not list(tmp_path.glob("own*"))
    assert points.save(str(tmp_path / "own.csv"))
