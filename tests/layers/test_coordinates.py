"""Prompts and images meet in the world, whatever their transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from napari.layers import Image, Points

from napari_dinoprompt.core.backbones.filterbank import FilterBank
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.layers import (
    make_mask_layer,
    make_prompt_layer,
    make_similarity_layer,
    pixel_points,
    points_from_pixels,
    spatial_metadata,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

MakePrompts = Callable[..., Points]

TRANSFORMS = {
    "none": {},
    "scaled": {"scale": (0.25, 3.0)},
    "translated": {"translate": (-12.5, 40.0)},
    "rotated": {"rotate": 73},
    "sheared": {"shear": [0.7]},
    "affine": {"affine": [[0.8, -0.4, 9.0], [0.5, 1.3, -2.0], [0, 0, 1]]},
    "all": {
        "scale": (0.5, 2.0),
        "rotate": 30,
        "shear": [0.3],
        "translate": (7, -5),
        "affine": [[1.1, 0.2, 3.0], [-0.1, 0.9, -4.0], [0, 0, 1]],
    },
    "flipped": {"scale": (-1.0, 2.0)},
}
OTHER = {"scale": (3.0, 0.7), "rotate": -20, "translate": (4, 11)}
CLICKS = np.array([[0.0, 0.0], [3.25, 41.5], [-7.0, 12.0], [39.0, 59.0]])


def one_by_one(points: Points, image: Image) -> NDArray[np.float64]:
    """What napari says; it converts one point at a time."""
    return np.array(
        [image.world_to_data(points.data_to_world(point)) for point in points.data]
    )


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("own", [True, False], ids=["same transform", "another one"])
def test_points_reach_the_pixels_that_napari_says(transform: dict, own: bool) -> None:
    image = Image(np.zeros((40, 60)), contrast_limits=(0, 1), **transform)
    points = Points(CLICKS, **(transform if own else OTHER))
    found = pixel_points(points, image)
    np.testing.assert_allclose(found, one_by_one(points, image), atol=1e-9)
    if own:
        np.testing.assert_allclose(found, CLICKS, atol=1e-9)


def test_many_points_keep_their_order(picture: Image) -> None:
    rng = np.random.default_rng(3)
    points = Points(rng.uniform(-50, 50, (500, 2)), **OTHER)
    found = pixel_points(points, picture)
    assert found.shape == (500, 2)
    np.testing.assert_allclose(found, one_by_one(points, picture), atol=1e-9)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_points_have_the_shape_of_many(picture: Image, count: int) -> None:
    points = Points(CLICKS[:count], ndim=2, **OTHER)
    found = pixel_points(points, picture)
    assert found.shape == (count, 2)
    assert found.dtype == np.float64


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_points_from_pixels_is_the_inverse(transform: dict) -> None:
    image = Image(np.zeros((40, 60)), contrast_limits=(0, 1), **transform)
    points = Points(ndim=2, **OTHER)
    points.data = points_from_pixels(CLICKS, points, image)
    np.testing.assert_allclose(pixel_points(points, image), CLICKS, atol=1e-9)


def test_points_from_no_pixels(picture: Image) -> None:
    points = Points(ndim=2, **OTHER)
    assert points_from_pixels(np.empty((0, 2)), points, picture).shape == (0, 2)


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_results_lie_exactly_on_their_image(transform: dict) -> None:
    image = Image(np.zeros((40, 60)), contrast_limits=(0, 1), **transform)
    results = [
        make_similarity_layer(image, np.zeros((40, 60), np.float32), "plain"),
        make_mask_layer(image, np.zeros((40, 60), np.uint8)),
    ]
    corners = [(-0.5, -0.5), (-0.5, 59.5), (39.5, -0.5), (39.5, 59.5)]
    for layer in results:
        np.testing.assert_array_equal(layer.extent.world, image.extent.world)
        for corner in corners:
            assert layer.data_to_world(corner) == image.data_to_world(corner)


def test_results_and_prompts_share_units_and_axes(picture: Image) -> None:
    layer = make_mask_layer(picture, np.zeros((40, 60), np.uint8))
    prompts = make_prompt_layer(picture, {"object": "red"}, "object")
    for made in (layer, prompts):
        assert made.units == picture.units
        assert made.axis_labels == picture.axis_labels


def test_transform_of_an_rgb_image_carries_over() -> None:
    image = Image(np.zeros((40, 60, 3), np.uint8), rgb=True, **TRANSFORMS["all"])
    layer = make_mask_layer(image, np.zeros((40, 60), np.uint8))
    np.testing.assert_array_equal(layer.extent.world, image.extent.world)


def test_spatial_metadata_is_a_copy_in_effect(picture: Image) -> None:
    layer = Image(np.zeros((40, 60)), contrast_limits=(0, 1))
    for name, value in spatial_metadata(picture).items():
        setattr(layer, name, value)
    before = np.array(picture.extent.world)
    layer.scale = (9, 9)
    layer.affine = np.diag([2.0, 2.0, 1.0])
    np.testing.assert_array_equal(picture.extent.world, before)


def test_click_in_a_cell_centre_gives_that_cell(picture: Image) -> None:
    """From the click on the screen to the vector, without a rounding on the way."""
    features = extract_features(picture.data, FilterBank(torch.device("cpu")))
    prompts = make_prompt_layer(picture, {"object": "red"}, "object")
    rows, columns = features.grid.cells
    cells = np.array([(0, 0), (7, 3), (rows - 1, columns - 1), (11, 29)])
    for centre in features.grid.cell_centres(cells):
        # A click is a place in the world, put into the layer's own coordinates.
        prompts.add(prompts.world_to_data(picture.data_to_world(centre)))
    found = features.at(pixel_points(prompts, picture))
    exact = features.vectors.numpy()[cells[:, 0], cells[:, 1]]
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)
