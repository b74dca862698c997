"""Objects of another tool: kept or dropped as wholes, with the API's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels
from skimage.measure import label
from tifffile import imwrite

import napari_dinoprompt as dp
from napari_dinoprompt import layers
from napari_dinoprompt.cli import main
from napari_dinoprompt.core.features import extraction


@pytest.fixture
def objects(scene) -> np.ndarray:
    """All that is light: the discs and the bar."""
    return label(scene.image > 90).astype(np.int32)


def choose(bench, layer) -> None:
    panel = bench.dock.segment.objects
    assert not panel.isHidden()
    panel._box.choose(layer)
    panel._box.activated.emit(panel._box.currentIndex())
    bench.settle()


@pytest.fixture
def given(prompted, objects):
    layer = Labels(objects, name="of StarDist")
    prompted.viewer.layers.append(layer)
    prompted.settle()
    choose(prompted, layer)
    return prompted


def shown(bench) -> Labels:
    found = layers.find_owned(bench.viewer.layers, bench.state.image, "chosen objects")
    assert isinstance(found, Labels)
    return found


def selected(bench, objects, threshold=None):
    reference = bench.work.session.reference()
    features = bench.state.planes[bench.state.view].features
    return dp.select_objects(objects, features, reference, threshold)


def test_objects_are_those_of_the_python_api(given, objects, scene) -> None:
    found = selected(given, objects)
    layer = shown(given)
    np.testing.assert_array_equal(layer.data, found.instances[...])
    kept = np.isin(found.scores.labels, np.unique(layer.data))
    assert 0 < kept.sum() < len(kept)
    np.testing.assert_array_equal(layer.features["index"], found.scores.labels[kept])
    np.testing.assert_allclose(layer.features["score"], found.scores.scores[kept, 0])
    assert set(layer.features["class"]) == {"object"}
    assert given.threshold_shown == pytest.approx(found.thresholds["object"], abs=0.005)
    assert given.shows(f"{kept.sum()} of {len(kept)} objects are kept.")
    assert not given.mask_layer.visible


def test_the_slider_keeps_and_drops_whole_objects(given, objects) -> None:
    pixels = dict(given.state.result.thresholds)
    given.drag_threshold(0.9)
    given.settle()
    found = selected(given, objects, 0.9)
    np.testing.assert_array_equal(shown(given).data, found.instances[...])
    assert dict(given.state.result.thresholds) == pixels
    given.set_auto(True)
    given.settle()
    found = selected(given, objects)
    np.testing.assert_array_equal(shown(given).data, found.instances[...])


def test_another_prompt_scores_them_anew_and_classes_compete(
    given, objects, scene
) -> None:
    given.work.add_class("dim")
    given.click(scene.dim[:2], "dim")
    found = selected(given, objects)
    layer = shown(given)
    np.testing.assert_array_equal(layer.data, found.instances[...])
    names = dict(zip(layer.features["index"], layer.features["class"], strict=True))
    mask = found.mask[...]
    for number, name in names.items():
        assert mask[objects == number][0] == 1 + found.scores.names.index(name)
    assert set(names.values()) == {"object", "dim"}


def test_the_command_gives_the_same_objects(given, objects, scene, tmp_path) -> None:
    reference = given.work.session.reference().save(
        tmp_path / "a.reference.safetensors"
    )
    imwrite(tmp_path / "scene.tif", scene.image)
    imwrite(tmp_path / "objects.tif", objects)
    line = ["segment", tmp_path / "scene.tif", "--reference", reference]
    line += ["--objects", tmp_path / "objects.tif", "--output", tmp_path / "out"]
    with pytest.raises(SystemExit, match="0"):
        main([str(one) for one in line])
    (written,) = (tmp_path / "out").rglob("*instances.tif")
    from napari_dinoprompt.core.io.read import read_image

    command = np.asarray(read_image(written).data)
    np.testing.assert_array_equal(command > 0, shown(given).data > 0)


def test_a_mask_that_napari_opens_as_an_image_is_offered(prompted, objects) -> None:
    layer = Image((objects > 0).astype(np.uint8) * 255, name="mask.png")
    prompted.viewer.layers.append(layer)
    prompted.settle()
    assert prompted.work.objects.offered() == [layer]
    choose(prompted, layer)
    found = selected(prompted, layer.data)
    np.testing.assert_array_equal(shown(prompted).data, found.instances[...])


def test_the_own_mask_comes_back(given) -> None:
    layer = given.state.given_objects
    choose(given, None)
    assert (
        layers.find_owned(given.viewer.layers, given.state.image, "chosen objects")
        is None
    )
    assert given.mask_layer.visible
    choose(given, layer)
    assert shown(given).data.any()
    given.viewer.layers.remove(layer)
    given.settle()
    assert given.state.given_objects is None
    assert given.mask_layer.visible


def test_objects_that_are_edited_are_scored_anew(given, objects) -> None:
    layer = given.state.given_objects
    number = int(layer.features["index"][0]) if len(layer.features) else 1
    layer.data_setitem(np.nonzero(objects == number), 0)
    given.settle()
    found = selected(given, layer.data)
    np.testing.assert_array_equal(shown(given).data, found.instances[...])


def test_objects_of_another_image_stay_there(given, other_scene, objects) -> None:
    first = given.state.image
    before = np.array(shown(given).data)
    other = given.add_image(other_scene.image, name="other")
    given.work.switch_to(other)
    given.settle()
    assert given.state.given_objects is None
    given.click(other_scene.bright[:2])
    given.work.switch_to(first)
    given.settle()
    np.testing.assert_array_equal(shown(given).data, before)


def test_planes_of_a_stack_are_scored_as_they_are_looked_at(
    bench, scene, objects
) -> None:
    bench.add_image(np.stack([scene.image, scene.image[::-1]]), name="stack")
    bench.open()
    bench.viewer.dims.set_point(0, 0)
    bench.settle()
    for y, x in scene.bright[:2]:
        bench.prompts.add((0, y, x))
    bench.settle()
    both = np.stack([objects, objects[::-1]])
    layer = Labels(both, name="given")
    bench.viewer.layers.append(layer)
    bench.settle()
    choose(bench, layer)
    for plane in (0, 1):
        bench.viewer.dims.set_point(0, plane)
        bench.settle()
        found = selected(bench, both[plane])
        np.testing.assert_array_equal(shown(bench).data[plane], found.instances[...])
        assert not np.asarray(shown(bench).data[1 - plane]).any()


def test_objects_of_a_large_plane(bench, scene, objects, monkeypatch) -> None:
    monkeypatch.setattr(extraction, "_WHOLE_BYTES", 1)
    bench.add_image(np.tile(scene.image, (3, 3)), name="slide")
    bench.open()
    bench.settle()
    bench.click(scene.bright[:3])
    slide = label(np.tile(objects > 0, (3, 3))).astype(np.int32)
    layer = Labels(slide, name="given")
    bench.viewer.layers.append(layer)
    bench.settle()
    choose(bench, layer)
    found = selected(bench, slide)
    levels = shown(bench).data
    np.testing.assert_array_equal(np.asarray(levels[0]), found.instances[...])
    np.testing.assert_array_equal(np.asarray(levels[1]), found.instances[...][::2, ::2])
    assert np.asarray(levels[0]).any()
