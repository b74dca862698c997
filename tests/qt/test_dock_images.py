"""Choosing images in the dock; what belongs to an image comes back with it."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from napari.layers import Points
from napari.utils.notifications import notification_manager

from napari_dinoprompt._qt.controller import look_at_file
from napari_dinoprompt._qt.segment import features
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


# --- another image is opened, and turned to


def offered(bench) -> str:
    row = bench.dock.segment.offer
    return "" if row.isHidden() else row._accept.text()


def test_an_image_that_is_opened_is_offered(prompted, other_scene) -> None:
    first = prompted.state.image
    assert offered(prompted) == ""
    second = prompted.add_image(other_scene.image, name="histo & co")
    prompted.viewer.layers.selection.active = second
    prompted.settle()
    assert offered(prompted) == "Switch to histo && co"
    assert prompted.hint.startswith(f"Prompts go to {first.name}.")
    second.name = "histo"
    assert offered(prompted) == "Switch to histo"
    prompted.press("Switch to histo")
    assert offered(prompted) == ""
    assert prompted.state.image is second
    assert prompted.dock.image.image is second
    assert prompted.viewer.layers.selection.active is prompted.prompts
    prompted.click(other_scene.bright[:2])
    assert len(prompted.work.session.open(first).prompts.data) == 2
    assert prompted.found(other_scene.bright[0]) == [1]


@pytest.mark.parametrize("how", ["dismissed", "chosen", "removed", "stayed"])
def test_the_offer_goes(prompted, other_scene, how) -> None:
    first = prompted.state.image
    second = prompted.add_image(other_scene.image, name="histo")
    prompted.settle()
    if how == "dismissed":
        prompted.press("Dismiss")
    elif how == "chosen":
        prompted.choose(second)
    elif how == "stayed":
        prompted.choose(first)
    else:
        prompted.viewer.layers.remove(second)
    prompted.settle()
    assert offered(prompted) == ""
    assert prompted.state.image is (second if how == "chosen" else first)
    assert "Prompts go to" not in prompted.hint


def test_what_is_opened_with_the_first_image_is_not_offered(bench, scene) -> None:
    bench.open()
    bench.add_image(scene.image)
    bench.add_image(scene.image)
    bench.settle()
    assert offered(bench) == ""


def test_results_and_hidden_images_are_not_offered(prompted, scene) -> None:
    prompted.add_image(scene.image, visible=False)
    prompted.viewer.add_labels(np.zeros((96, 120), int))
    prompted.settle()
    assert offered(prompted) == ""


def test_turning_to_an_image_shows_it_and_its_layers_alone(
    prompted, other_scene
) -> None:
    first = prompted.state
    ours = (first.prompts, first.similarity, first.mask)
    own = prompted.viewer.add_labels(np.zeros((96, 120), int))
    order = list(prompted.viewer.layers)
    second = prompted.add_image(other_scene.image)
    prompted.choose(second)
    prompted.settle()
    assert not any(layer.visible for layer in ours)
    # It lies below and covers nothing.
    assert first.image.visible
    prompted.click(other_scene.bright[:2])
    theirs = (prompted.prompts, prompted.similarity_layer, prompted.mask_layer)

    prompted.choose(first.image)
    prompted.settle()
    assert all(layer.visible for layer in (first.image, *ours))
    assert not any(layer.visible for layer in (second, *theirs))
    assert prompted.prompts.mode == "add"
    assert own.visible
    assert list(prompted.viewer.layers)[: len(order)] == order

    prompted.choose(second)
    prompted.settle()
    assert all(layer.visible for layer in (second, *theirs))
    assert prompted.prompts.mode == "add"
    assert not any(layer.visible for layer in ours)


def test_what_the_user_has_hidden_stays_hidden(prompted, other_scene) -> None:
    first = prompted.state
    first.similarity.visible = False
    second = prompted.add_image(other_scene.image)
    for image in (second, first.image):
        prompted.choose(image)
        prompted.settle()
    assert not first.similarity.visible
    assert first.mask.visible


@pytest.mark.parametrize(
    "seen_through",
    [{"blending": "additive"}, {"opacity": 0.5}, {"translate": (0, 500)}],
)
def test_images_that_cover_nothing_stay(prompted, other_scene, seen_through) -> None:
    other = prompted.add_image(other_scene.image, **seen_through)
    prompted.settle()
    prompted.choose(prompted.state.image)
    prompted.settle()
    assert other.visible


def test_in_the_grid_nothing_is_hidden(prompted, other_scene) -> None:
    prompted.viewer.canvas.grid.enabled = True
    second = prompted.add_image(other_scene.image)
    prompted.choose(second)
    prompted.settle()
    assert all(layer.visible for layer in prompted.viewer.layers)


def test_the_view_goes_to_an_image_that_lies_elsewhere(prompted, other_scene) -> None:
    camera, image = prompted.viewer.scene.camera, prompted.state.image
    camera.center, camera.zoom = (0, 30, 40), 7
    same = prompted.add_image(other_scene.image)
    prompted.choose(same)
    prompted.settle()
    assert camera.zoom == 7
    np.testing.assert_allclose(camera.center[-2:], (30, 40))
    far = prompted.add_image(other_scene.image, translate=(1000, 2000))
    prompted.choose(far)
    prompted.settle()
    np.testing.assert_allclose(camera.center[-2:], (1047.5, 2059.5))
    # As napari itself would, but for the half a pixel around the middles of pixels.
    zoom = camera.zoom
    prompted.viewer.fit_to_view(layers=[far])
    assert zoom == pytest.approx(camera.zoom, rel=0.02)
    prompted.choose(image)
    prompted.settle()
    np.testing.assert_allclose(camera.center[-2:], (47.5, 59.5))


def test_the_view_goes_from_a_stack_to_a_plane_and_back(prompted, scene) -> None:
    camera, image = prompted.viewer.scene.camera, prompted.state.image
    stack = prompted.add_image(np.stack([scene.image] * 3), translate=(0, 300, 0))
    for chosen, middle in ((stack, (347.5, 59.5)), (image, (47.5, 59.5))):
        prompted.choose(chosen)
        prompted.settle()
        np.testing.assert_allclose(camera.center[-2:], middle)


def test_add_prompts_shows_the_image_that_they_go_to(prompted, other_scene) -> None:
    second = prompted.add_image(other_scene.image)
    prompted.viewer.layers.selection.active = second
    prompted.settle()
    prompted.press("Add prompts")
    assert not second.visible
    assert prompted.viewer.layers.selection.active is prompted.prompts
    assert offered(prompted)


def test_cleaning_and_size_come_back_with_the_image(prompted) -> None:
    first = prompted.state.image
    facts = prompted.dock.image._facts
    small = facts.text()
    prompted.clean(min_size=9, split=True)
    numbered = prompted.mask
    second = prompted.add_image(np.tile(np.asarray(first.data), (2, 2)))
    prompted.choose(second)
    prompted.settle()
    large = facts.text()
    assert large != small
    # It begins as the one before.
    assert prompted.dock.result._split.value
    prompted.clean(min_size=0, split=False)

    prompted.choose(first)
    prompted.settle()
    assert facts.text() == small
    assert prompted.dock.result._min_size.value == 9
    assert prompted.dock.result._split.value
    np.testing.assert_array_equal(prompted.mask, numbered)
    prompted.choose(second)
    prompted.settle()
    assert facts.text() == large
    assert not prompted.dock.result._split.value


def test_what_napari_shows_otherwise_is_told(scene, tmp_path) -> None:
    """napari shows the numbers as they are stored; so the dock computes with them."""
    path = tmp_path / "inverted.tif"
    tifffile.imwrite(path, 255 - scene.image, photometric="miniswhite")
    (notice,) = look_at_file(str(path), "")
    assert str(path) in notice.message
    assert "white is stored as 0" in notice.message
    tifffile.imwrite(path, scene.image)
    assert list(look_at_file(str(path), "")) == []


def test_an_image_of_whole_numbers_can_be_the_truth(bench, scene) -> None:
    from napari_dinoprompt import layers

    labels = bench.add_image((scene.image > 100).astype(np.uint16), name="labels")
    drawn = bench.viewer.add_labels((scene.image > 100).astype(int), name="drawn")
    # napari opens labels of any type as images; what they hold is seen when read.
    floats = bench.add_image((scene.image > 100).astype(np.float32), name="floats")
    assert layers.truth_layers(bench.viewer.layers) == [drawn, labels, floats]


def test_channels_that_are_taken_for_columns_are_pointed_out(bench, scene) -> None:
    notification_manager.records.clear()
    bench.add_image(np.stack([scene.image] * 5, axis=-1), name="channels", rgb=False)
    bench.open()
    bench.settle()
    said = [record.message for record in notification_manager.records]
    notification_manager.records.clear()
    assert said == [
        "channels is taken for 96 planes of 120 × 5 pixels. If it is one of 5 "
        "channels, split the last axis into layers or files."
    ]


@pytest.mark.parametrize("room", [False, True])
def test_features_of_other_images_are_kept_within_a_budget(
    prompted, other_scene, room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prompted.state
    size = first.planes.bytes
    assert size > 0
    monkeypatch.setattr(features, "_KEPT_BYTES", size if room else size - 1)
    prompted.choose(prompted.add_image(other_scene.image))
    prompted.settle()
    assert first.planes.bytes == (size if room else 0)
    assert prompted.state.planes.bytes > 0
