"""Applying a reference to other images, and to files."""

from __future__ import annotations

import csv
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest

import napari_dinoprompt as dp
from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.layer_boxes import WindowChoice
from napari_dinoprompt.core.backbones.base import BackboneInfo
from napari_dinoprompt.core.masks.cleaning import Cleaning


def tick(bench, *images) -> None:
    bench.turn_to("References")
    bench.select("current prompts")
    bench.dock.references.apply._images.tick(images)


def reference_of(bench) -> dp.Reference:
    reference = bench.work.session.reference()
    assert reference is not None
    return reference


def test_two_layers_of_other_types(prompted, other_scene) -> None:
    grey = other_scene.image
    rgb = prompted.add_image(np.stack([grey] * 3, axis=-1), name="rgb")
    deep = prompted.add_image(grey.astype(np.uint16), name="deep", scale=(2, 3))
    tick(prompted, rgb, deep)
    prompted.press("Apply")
    for image in (rgb, deep):
        expected = dp.segment(image.data, reference_of(prompted))
        np.testing.assert_array_equal(prompted.applied(image, "mask"), expected.mask)
        assert expected.mask.any()
        assert image.name in prompted.hint
    mask = layers.find_owned(prompted.viewer.layers, deep, "applied mask")
    np.testing.assert_array_equal(mask.scale, deep.scale)
    # The image with the prompts still has its own results, and is the current one.
    assert prompted.state.image.name == "scene"
    maps = [
        layers.find_owned(prompted.viewer.layers, image, "applied similarity")
        for image in (rgb, deep)
    ]
    maps[0].contrast_limits = (0.2, 0.9)
    assert tuple(maps[1].contrast_limits) == (0.2, 0.9)
    assert tuple(prompted.similarity_layer.contrast_limits) == (0.2, 0.9)


def test_applying_again_updates_the_same_layers(prompted, other_scene, scene) -> None:
    image = prompted.add_image(other_scene.image, name="other")
    tick(prompted, image)
    prompted.press("Apply")
    count = len(prompted.viewer.layers)
    before = prompted.applied(image, "mask")
    prompted.turn_to("Segment")
    prompted.click(scene.dim[:2])
    tick(prompted, image)
    prompted.press("Apply")
    assert len(prompted.viewer.layers) == count
    assert (prompted.applied(image, "mask") != before).any()
    expected = dp.segment(image.data, reference_of(prompted))
    np.testing.assert_array_equal(prompted.applied(image, "mask"), expected.mask)


def test_cleaning_and_thresholds_are_those_of_the_dock(prompted, other_scene) -> None:
    image = prompted.add_image(other_scene.image, name="other")
    prompted.drag_threshold(0.3)
    prompted.clean(min_size=30, split=True)
    tick(prompted, image)
    prompted.press("Apply")
    options = dp.SegmentOptions(cleaning=Cleaning(min_size=30, split=True))
    expected = dp.segment(image.data, reference_of(prompted), options=options)
    assert expected.threshold == pytest.approx(0.3)
    np.testing.assert_array_equal(
        prompted.applied(image, "instances"), expected.instances
    )
    shown = layers.find_owned(prompted.viewer.layers, image, "applied instances")
    assert shown.visible


@pytest.mark.parametrize("policy", ["reference", "image", "histogram"])
def test_window_policies(prompted, other_scene, policy: str) -> None:
    dim = (other_scene.image // 3).astype(np.uint8)
    image = prompted.add_image(dim, name="dim")
    tick(prompted, image)
    panel = prompted.dock.references.apply
    like = prompted.state.image if policy == "histogram" else None
    panel._window.choose(WindowChoice(policy, like))
    assert panel.window_choice.policy == policy
    prompted.press("Apply")
    expected = dp.segment(
        dim,
        reference_of(prompted),
        options=dp.SegmentOptions(window=policy),
        like=None if like is None else like.data,
    )
    np.testing.assert_array_equal(prompted.applied(image, "mask"), expected.mask)
    # Of the three only the reference's own window takes a dim image for what it is.
    assert expected.mask.any() == (policy != "reference")
    assert ("is forgiven" in prompted.hint) == (policy == "image")
    assert prompted.shows("orgives")


def test_pixels_of_another_size_are_pointed_out(bench, scene, other_scene) -> None:
    bench.add_image(scene.image, name="scene", scale=(0.5, 0.5))
    bench.open()
    bench.settle()
    bench.click(scene.bright[:2])
    image = bench.add_image(other_scene.image, name="other", scale=(0.25, 0.25))
    tick(bench, image)
    bench.press("Apply")
    assert "pixels of 0.5 x 0.5, not 0.25 x 0.25" in bench.hint


def test_stacks_plane_in_view_or_all(prompted, other_scene) -> None:
    planes = np.stack([other_scene.image, other_scene.image[::-1]])
    image = prompted.add_image(planes, name="stack")
    tick(prompted, image)
    prompted.viewer.dims.set_point(0, 1)
    prompted.press("Apply")
    expected = [dp.segment(plane, reference_of(prompted)).mask for plane in planes]
    found = prompted.applied(image, "mask")
    assert not found[0].any()
    np.testing.assert_array_equal(found[1], expected[1])
    prompted.dock.references.apply._all_planes.setChecked(True)
    prompted.press("Apply")
    np.testing.assert_array_equal(prompted.applied(image, "mask"), expected)


def test_image_without_data_is_one_message(prompted) -> None:
    image = prompted.add_image(np.full((40, 40), np.nan), contrast_limits=(0, 1))
    tick(prompted, image)
    prompted.press("Apply")
    assert "Traceback" not in prompted.hint
    assert prompted.hint
    assert layers.find_owned(prompted.viewer.layers, image, "applied mask") is None


def test_reference_of_a_backbone_without_weights(prompted, library, idle) -> None:
    """The one clear message, and nothing changes."""
    made = reference_of(prompted)
    info = BackboneInfo("dinov2-small", 11, 14, made.backbone.dimension, "0" * 64)
    replace(made, backbone=info).save(library / "dino.reference.safetensors")
    count = len(prompted.viewer.layers)
    prompted.turn_to("References")
    prompted.select("dino")
    prompted.dock.references.apply._images.tick([prompted.state.image])
    prompted.press("Apply")
    assert "dinov2-small" in prompted.hint
    assert len(prompted.viewer.layers) == count


def test_cancel(prompted, other_scene, gate, idle) -> None:
    image = prompted.add_image(other_scene.image, name="other")
    prompted.work.features.shelf._kept = None
    tick(prompted, image)
    prompted.button("Apply").click()
    prompted.qtbot.waitUntil(lambda: gate.tiles == 1)
    prompted.button("Cancel").click()
    gate.open()
    idle()
    assert gate.tiles < 10
    assert prompted.hint.startswith("Stopped")
    assert layers.find_owned(prompted.viewer.layers, image, "applied mask") is None
    assert prompted.button("Cancel").isHidden()


def test_layer_deleted_meanwhile(prompted, other_scene, gate, idle) -> None:
    image = prompted.add_image(other_scene.image, name="other")
    prompted.work.features.shelf._kept = None
    tick(prompted, image)
    prompted.button("Apply").click()
    prompted.qtbot.waitUntil(lambda: gate.tiles == 1)
    prompted.viewer.layers.remove(image)
    gate.open()
    idle()
    assert prompted.hint == "other was deleted, so applying was stopped."
    names = [layer.name for layer in prompted.viewer.layers]
    assert not any("applied" in name for name in names)


def test_results_follow_their_image_and_go_with_its_pixels(
    prompted, other_scene
) -> None:
    image = prompted.add_image(other_scene.image, name="other")
    tick(prompted, image)
    prompted.press("Apply")
    image.translate = (5, 6)
    mask = layers.find_owned(prompted.viewer.layers, image, "applied mask")
    np.testing.assert_array_equal(mask.translate, (5, 6))
    image.data = other_scene.image[::-1]
    assert mask not in prompted.viewer.layers


def test_results_are_not_offered_as_images(prompted, other_scene) -> None:
    image = prompted.add_image(other_scene.image, name="other")
    tick(prompted, image)
    prompted.press("Apply")
    assert [one.name for one in prompted.work.images()] == ["scene", "other"]
    # Turning to the image leaves them alone.
    before = prompted.applied(image, "mask")
    prompted.turn_to("Segment")
    prompted.choose(image)
    prompted.settle()
    np.testing.assert_array_equal(prompted.applied(image, "mask"), before)


# --- batch


@pytest.fixture
def files(tmp_path, other_scene, scene):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(5):
        shifted = np.roll(other_scene.image, 7 * number, axis=1)
        iio.imwrite(folder / f"{number}.png", shifted)
    (folder / "broken.png").write_bytes(b"not a picture")
    (folder / "notes.txt").write_text("no image")
    return folder


def run_batch(bench, images, target) -> None:
    bench.turn_to("References")
    bench.select("current prompts")
    bench.dock.references.batch.choose_images(images)
    bench.dock.references.batch.choose_folder(target)
    bench.press("Run batch")


def test_batch_is_that_of_the_command(prompted, files, tmp_path) -> None:
    from napari_dinoprompt.core.batch.run import segment_batch

    target, other = tmp_path / "dock", tmp_path / "command"
    run_batch(prompted, [files], target)
    assert prompted.hint.startswith("5 done, 0 kept from before, 1 skipped.")
    log = prompted.dock.references.batch._log
    assert log.count() == 1
    assert log.item(0).text().startswith("broken.png skipped")
    images = sorted(files.glob("*.png"))
    backbone = dp.load_backbone("filterbank", device="cpu")
    steps = segment_batch(
        images, other, reference_of(prompted), backbone, dp.SegmentOptions()
    )
    list(steps)
    tables = []
    for folder in (target, other):
        with (folder / "segmentation.csv").open() as file:
            tables.append(list(csv.DictReader(file)))
    assert tables[0] == tables[1]
    assert len(tables[0]) == 5
    for path in sorted(other.glob("*.tif")):
        np.testing.assert_array_equal(iio.imread(path), iio.imread(target / path.name))


def test_batch_goes_on_where_it_was(prompted, files, tmp_path) -> None:
    target = tmp_path / "dock"
    images = sorted(files.glob("[0-2].png"))
    run_batch(prompted, images, target)
    assert prompted.hint.startswith("3 done")
    run_batch(prompted, [files], target)
    assert prompted.hint.startswith("2 done, 3 kept from before, 1 skipped.")
    log = prompted.dock.references.batch._log
    lines = [log.item(row).text() for row in range(log.count())]
    assert "0.png kept: there already" in lines


def test_batch_is_stopped(prompted, files, tmp_path, gate, idle) -> None:
    prompted.work.features.shelf._kept = None
    prompted.turn_to("References")
    prompted.select("current prompts")
    panel = prompted.dock.references.batch
    panel.choose_images([files])
    panel.choose_folder(tmp_path / "dock")
    prompted.button("Run batch").click()
    prompted.qtbot.waitUntil(lambda: gate.tiles == 1)
    assert not prompted.button("Cancel batch").isHidden()
    prompted.button("Cancel batch").click()
    assert "Run it again" in prompted.hint
    gate.open()
    idle()
    assert len(list((tmp_path / "dock").glob("*_mask.tif"))) <= 1
    assert not prompted.button("Run batch").isHidden()


def test_batch_of_an_empty_folder(prompted, tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    run_batch(prompted, [empty], tmp_path / "dock")
    assert prompted.hint == f"There are no images in {empty}."
