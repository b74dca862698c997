"""Choosing images in the dock; what belongs to an image comes back with it."""

from __future__ import annotations

import numpy as np
from napari.layers import Points

from napari_dinoprompt.session.session import Phase


def test_dock_without_images_says_to_open_one(bench) -> None:
    bench.open()
    assert "Open an image" in bench.hint
    assert not bench.work.working
    assert len(bench.viewer.layers) == 0


def test_image_opened_later_is_chosen(bench, scene) -> None:
    bench.open()
    image = bench.add_image(scene.image)
    bench.settle()
    assert bench.state.image is image
    assert bench.dock.image.image is image
    assert "Click on a few objects" in bench.hint


def test_active_image_is_chosen_when_the_dock_opens(bench, scene) -> None:
    image = bench.add_image(scene.image)
    bench.add_image(scene.image)
    bench.viewer.layers.selection.active = image
    bench.open()
    assert bench.state.image is image


def test_prompts_can_be_clicked_at_once(ready) -> None:
    assert isinstance(ready.prompts, Points)
    assert ready.prompts in ready.viewer.layers
    assert ready.prompts.mode == "add"
    assert ready.viewer.layers.selection.active is ready.prompts


def test_results_are_not_offered_as_images(prompted) -> None:
    assert prompted.work.images() == [prompted.state.image]


def test_prompts_threshold_and_results_come_back(prompted, other_scene) -> None:
    first = prompted.state
    prompted.drag_threshold(0.6)
    prompted.settle()
    kept = prompted.mask
    layers = (first.prompts, first.similarity, first.mask)
    second = prompted.add_image(other_scene.image)
    prompted.choose(second)
    prompted.settle()
    assert prompted.state.image is second
    assert prompted.auto_shown
    assert prompted.chip("object").text().split() == ["object", "0"]
    prompted.click(other_scene.bright[:1])
    assert prompted.mask.any()

    prompted.choose(first.image)
    prompted.settle()
    assert prompted.state is first
    assert (first.prompts, first.similarity, first.mask) == layers
    assert prompted.chip("object").text().split() == ["object", "2"]
    assert not prompted.auto_shown
    assert abs(prompted.threshold_shown - 0.6) < 1e-9
    np.testing.assert_array_equal(prompted.mask, kept)
    assert prompted.viewer.layers.selection.active is first.prompts


def test_undo_is_that_of_the_image(prompted, other_scene) -> None:
    first = prompted.state.image
    second = prompted.add_image(other_scene.image)
    prompted.choose(second)
    prompted.settle()
    assert not prompted.button("Undo").isEnabled()
    prompted.choose(first)
    prompted.settle()
    assert prompted.button("Undo").isEnabled()


def test_two_images_of_one_name_keep_apart(prompted, other_scene) -> None:
    first = prompted.state.image
    second = prompted.add_image(other_scene.image)
    second.name = first.name
    prompted.choose(second)
    prompted.settle()
    prompted.click(other_scene.dim[:2])
    assert prompted.work.session.open(first).prompts is not prompted.prompts
    assert len(prompted.work.session.open(first).prompts.data) == 2
    assert prompted.work.session.open(first).mask is not prompted.state.mask


def test_an_image_inserted_beside_does_not_change_the_choice(prompted, scene) -> None:
    image = prompted.state.image
    prompted.add_image(scene.image)
    prompted.settle()
    assert prompted.state.image is image
    assert prompted.dock.image.image is image


def test_deleted_image_leaves_the_dock_usable(prompted, other_scene) -> None:
    first = prompted.state.image
    second = prompted.add_image(other_scene.image)
    prompted.viewer.layers.remove(first)
    prompted.settle()
    assert prompted.state.image is second
    assert prompted.dock.image.image is second
    prompted.click(other_scene.bright[:2])
    assert prompted.found(other_scene.bright[0]) == [1]


def test_last_image_deleted(prompted) -> None:
    prompted.viewer.layers.remove(prompted.state.image)
    prompted.settle()
    assert "Open an image" in prompted.hint
    for button in ("Undo", "Clear", "Add prompts"):
        prompted.press(button)
    prompted.drag_threshold(0.5)
    prompted.clean(split=True)
    assert "Open an image" in prompted.hint


def test_image_deleted_while_it_is_computed(bench, scene, gate, idle) -> None:
    image = bench.add_image(scene.image)
    bench.open()
    bench.qtbot.waitUntil(lambda: gate.tiles == 1)
    bench.viewer.layers.remove(image)
    gate.open()
    idle()
    assert gate.tiles == 1
    assert not bench.work.working
    assert "Open an image" in bench.hint


def test_deleted_image_that_comes_back_has_its_prompts(prompted, scene) -> None:
    image = prompted.state.image
    before = prompted.mask
    prompted.viewer.layers.remove(image)
    prompted.viewer.layers.append(image)
    prompted.settle()
    assert prompted.state.image is image
    assert prompted.chip("object").text().split() == ["object", "2"]
    np.testing.assert_array_equal(prompted.mask, before)


def test_all_layers_deleted_at_once(prompted, scene) -> None:
    prompted.viewer.layers.clear()
    prompted.settle()
    assert "Open an image" in prompted.hint
    prompted.add_image(scene.image)
    prompted.settle()
    prompted.click(scene.bright[:2])
    assert prompted.found(scene.bright[0]) == [1]


def test_renamed_image_is_listed_by_its_new_name(ready) -> None:
    ready.state.image.name = "slide 7"
    assert ready.dock.image._image.currentText() == "slide 7"


def test_image_layer_of_the_user_is_not_touched(bench, scene) -> None:
    data = scene.image.copy()
    image = bench.add_image(
        data, name="mine", scale=(0.5, 0.25), translate=(3, 4), contrast_limits=(9, 99)
    )
    image.visible = False
    image.metadata["note"] = 1
    bench.open()
    bench.settle()
    bench.click(scene.bright[:3])
    bench.click(scene.dim[0], "background")
    bench.drag_threshold(0.4)
    bench.clean(min_size=9, fill=True, split=True)
    assert image.data is data
    np.testing.assert_array_equal(data, scene.image)
    assert image.name == "mine"
    assert image.metadata == {"note": 1}
    assert not image.visible
    assert list(image.contrast_limits) == [9, 99]
    np.testing.assert_array_equal(image.scale, (0.5, 0.25))
    np.testing.assert_array_equal(image.translate, (3, 4))


def test_transformed_image_is_segmented_like_a_plain_one(prompted, scene) -> None:
    plain = prompted.mask
    crooked = prompted.add_image(
        scene.image, scale=(0.5, 2), rotate=25, shear=[0.4], translate=(30, -8)
    )
    prompted.choose(crooked)
    prompted.settle()
    prompted.click(scene.bright[:2])
    assert np.mean(prompted.mask != plain) < 1e-3
    np.testing.assert_array_equal(
        prompted.mask_layer.extent.world, crooked.extent.world
    )


def test_rgb_image(bench, scene) -> None:
    red = np.zeros((*scene.image.shape, 3), np.uint8)
    red[..., 0] = scene.image
    bench.add_image(red, rgb=True)
    bench.open()
    bench.settle()
    bench.click(scene.bright[:2])
    assert bench.found(scene.bright) == [1] * 5
    assert bench.mask.shape == scene.image.shape


def test_image_without_data_gives_a_message_and_no_trouble(bench, scene) -> None:
    nothing = bench.add_image(
        np.full((30, 30), np.nan, np.float32), contrast_limits=(0, 1)
    )
    bench.open()
    bench.settle()
    assert bench.state.image is nothing
    assert bench.work.session.phase is Phase.FAILED
    assert bench.hint == "The image holds nothing but NaN or infinity."
    bench.click((4, 5))
    assert bench.hint == "The image holds nothing but NaN or infinity."
    bench.press("Compute features")
    assert bench.hint == "The image holds nothing but NaN or infinity."

    image = bench.add_image(scene.image)
    bench.choose(image)
    bench.settle()
    bench.click(scene.bright[:2])
    assert bench.found(scene.bright[0]) == [1]
