"""Images in, results out, and whose is whose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from npe2 import PluginManager, PluginManifest

from napari_dinoprompt import layers
from napari_dinoprompt.core.io.points import read_prompts
from napari_dinoprompt.layers.results import put_plane

MakePrompts = Callable[..., Points]

GREY = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)
RGB = np.stack([GREY % 256] * 3, axis=2).astype(np.uint8)


# --- images


def test_plane_of_an_array_is_the_array() -> None:
    image = Image(GREY)
    assert layers.read_plane(image) is GREY
    assert layers.plane_shape(image) == (40, 60)


def test_plane_of_rgb_has_its_channels_last() -> None:
    image = Image(RGB, rgb=True)
    np.testing.assert_array_equal(layers.read_plane(image), RGB)
    assert layers.plane_shape(image) == (40, 60)


def test_plane_of_multiscale_is_level_0() -> None:
    image = Image([GREY, GREY[::2, ::2], GREY[::4, ::4]], multiscale=True)
    np.testing.assert_array_equal(layers.read_plane(image), GREY)
    assert layers.plane_shape(image) == (40, 60)


def test_plane_of_dask_is_computed_when_it_is_read() -> None:
    read = []

    def load(block: np.ndarray) -> np.ndarray:
        read.append(block.shape)
        return block

    lazy = da.from_array(GREY, chunks=(20, 30)).map_blocks(load, dtype=GREY.dtype)
    image = Image(lazy, contrast_limits=(0, 2400))
    read.clear()
    assert layers.plane_shape(image) == (40, 60)
    assert not read
    plane = layers.read_plane(image)
    assert type(plane) is np.ndarray
    np.testing.assert_array_equal(plane, GREY)


@pytest.mark.parametrize(
    ("layer", "possible"),
    [
        pytest.param(Image(GREY), True, id="grey"),
        pytest.param(Image(RGB, rgb=True), True, id="rgb"),
        pytest.param(Image([GREY, GREY[::2, ::2]], multiscale=True), True, id="levels"),
        pytest.param(Image(GREY[np.newaxis]), True, id="3-D"),
        pytest.param(Image(RGB[np.newaxis], rgb=True), True, id="3-D rgb"),
        pytest.param(Labels(GREY), False, id="labels"),
        pytest.param(Points(ndim=2), False, id="points"),
    ],
)
def test_what_can_be_segmented(layer: Image, possible: bool) -> None:
    assert layers.can_segment(layer) is possible


def test_our_own_maps_are_not_offered_as_images(picture: Image) -> None:
    similarity = np.zeros((40, 60), np.float32)
    layer = layers.make_similarity_layer(picture, similarity, "plain")
    assert not layers.can_segment(layer)
    layer.name = "something else"
    assert not layers.can_segment(layer)


def test_similarity_limits_are_fixed_so_that_maps_compare(picture: Image) -> None:
    dim = np.full((40, 60), 0.2, np.float32)
    layer = layers.make_similarity_layer(picture, dim, "standardised")
    limits = list(layer.contrast_limits)
    layer.data = dim * 4
    assert list(layer.contrast_limits) == limits == [0.0, 1.0]


# --- mask


@pytest.fixture
def mask_layer(picture: Image) -> Labels:
    return layers.make_mask_layer(picture, np.zeros((40, 60), np.uint8))


def show_mask(layer: Labels, mask: np.ndarray, colours: list[str]) -> None:
    layers.colour_mask(layer, dict(zip("abc", colours, strict=False)))
    put_plane(layer, (), mask)


def drawn(layer: Labels, value: int) -> np.ndarray:
    return np.asarray(layer.get_color(value))


def test_mask_shows_class_numbers_in_class_colours(mask_layer: Labels) -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[5:10], mask[20:25] = 1, 2
    show_mask(mask_layer, mask, ["#ff0000", "#0000ff"])
    assert mask_layer.data.dtype == np.uint8
    np.testing.assert_array_equal(mask_layer.data, mask)
    np.testing.assert_allclose(drawn(mask_layer, 1), [1, 0, 0, 1])
    np.testing.assert_allclose(drawn(mask_layer, 2), [0, 0, 1, 1])


def test_changed_class_colours_are_shown(mask_layer: Labels) -> None:
    mask = np.ones((40, 60), np.uint8)
    show_mask(mask_layer, mask, ["#ff0000"])
    show_mask(mask_layer, mask, ["#00ff00"])
    np.testing.assert_allclose(drawn(mask_layer, 1), [0, 1, 0, 1])
    show_mask(mask_layer, mask, ["#00ff00", "#0000ff"])
    np.testing.assert_allclose(drawn(mask_layer, 2), [0, 0, 1, 1])


def test_colours_that_stay_are_not_set_again(mask_layer: Labels) -> None:
    """Setting a colour map redraws the layer: not at each step of a slider."""
    mask = np.ones((40, 60), np.uint8)
    show_mask(mask_layer, mask, ["#ff0000"])
    before = mask_layer.colormap
    show_mask(mask_layer, mask, ["#ff0000"])
    assert mask_layer.colormap is before


def test_instances_have_colours_of_their_own(mask_layer: Labels) -> None:
    instances = np.zeros((40, 60), np.int32)
    instances[:20], instances[20:] = 1, 300
    show_mask(mask_layer, np.ones((40, 60), np.uint8), ["#ff0000"])
    layers.colour_mask(mask_layer, None)
    put_plane(mask_layer, (), instances)
    assert mask_layer.data.dtype == np.int32
    np.testing.assert_array_equal(mask_layer.data, instances)
    assert isinstance(mask_layer.colormap, CyclicLabelColormap)
    assert not np.array_equal(drawn(mask_layer, 1), drawn(mask_layer, 300))
    show_mask(mask_layer, np.ones((40, 60), np.uint8), ["#ff0000"])
    assert isinstance(mask_layer.colormap, DirectLabelColormap)
    assert mask_layer.data.dtype == np.uint8


# --- prompts


def test_prompts_are_coloured_by_class(
    picture: Image, make_prompts: MakePrompts
) -> None:
    layer = make_prompts(picture, [(1, 2), (3, 4)], ["object", "background"])
    np.testing.assert_allclose(layer.face_color[0], [0, 158 / 255, 115 / 255, 1])
    np.testing.assert_allclose(layer.face_color[1], [213 / 255, 94 / 255, 0, 1])


def test_replaced_prompts_have_their_own_classes(
    picture: Image, make_prompts: MakePrompts
) -> None:
    layer = make_prompts(picture, [(1, 2), (3, 4), (5, 6)])
    layer.selected_data = {2}
    layers.set_prompts(layer, [(7, 8)], ["background"])
    assert layers.prompt_classes(layer) == ("background",)
    np.testing.assert_array_equal(layer.data, [(7, 8)])
    layers.set_prompts(layer, [(1, 1), (2, 2)], ["object", "background"])
    assert layers.prompt_classes(layer) == ("object", "background")
    np.testing.assert_allclose(layer.face_color[0], [0, 158 / 255, 115 / 255, 1])


def test_a_click_has_the_class_that_is_set(picture: Image) -> None:
    layer = layers.make_prompt_layer(
        picture, {"object": "red", "background": "blue"}, "background"
    )
    layer.add((3, 4))
    assert layers.prompt_classes(layer) == ("background",)
    np.testing.assert_allclose(layer.face_color[0], [0, 0, 1, 1])


def test_napari_saves_prompts_as_a_prompt_file(
    tmp_path: Path, picture: Image, make_prompts: MakePrompts, npe2pm: PluginManager
) -> None:
    npe2pm.register(PluginManifest.from_distribution("napari"))
    classes = ["object", "background", "vessel wall"]
    points = [(1.25, 2.0), (30.123456789, 4.5), (-0.5, 59.0)]
    layer = make_prompts(picture, points, classes)
    (path,) = layer.save(str(tmp_path / "prompts.csv"))
    found = read_prompts(Path(path))
    np.testing.assert_array_equal(found.points, points)
    assert found.classes == tuple(classes)


# --- whose layer is whose


def stack_for(image: Image) -> tuple[Points, Image, Labels]:
    return (
        layers.make_prompt_layer(image, {"object": "red"}, "object"),
        layers.make_similarity_layer(image, np.zeros((40, 60), np.float32), "plain"),
        layers.make_mask_layer(image, np.zeros((40, 60), np.uint8)),
    )


def test_layers_of_two_images_with_one_name_are_told_apart() -> None:
    viewer = ViewerModel()
    first, second = Image(GREY, name="cells"), Image(GREY, name="cells")
    viewer.layers.extend([first, second])
    theirs, mine = stack_for(second), stack_for(first)
    viewer.layers.extend([*theirs, *mine])
    assert layers.find_prompt_layer(viewer.layers, first) is mine[0]
    assert layers.find_result_layers(viewer.layers, first) == mine[1:]
    assert layers.find_prompt_layer(viewer.layers, second) is theirs[0]
    assert layers.find_result_layers(viewer.layers, second) == theirs[1:]


def test_renamed_layers_are_found() -> None:
    image = Image(GREY, name="cells")
    made = stack_for(image)
    image.name = "other"
    for layer in made:
        layer.name = "mine"
    assert layers.find_prompt_layer(made, image) is made[0]
    assert layers.find_result_layers(made, image) == made[1:]


def test_layers_of_the_user_are_never_taken_for_ours() -> None:
    image = Image(GREY, name="cells")
    theirs = [
        Points(ndim=2, name="cells prompts"),
        Image(GREY, name="cells similarity"),
        Labels(GREY, name="cells mask"),
    ]
    assert layers.find_prompt_layer(theirs, image) is None
    assert layers.find_result_layers(theirs, image) == (None, None)
