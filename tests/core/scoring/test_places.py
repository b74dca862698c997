"""The places of a source by which thresholds are chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy import ndimage as ndi
from skimage.draw import disk

from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.scoring.objects import FoundObject
from napari_dinoprompt.core.scoring.places import (
    Place,
    Places,
    all_values,
    auto_thresholds,
    class_values,
    find_matches,
    find_places,
    fitting_upscale,
    most_prompted_planes,
    spread_pixels,
    threshold_elsewhere,
)
from napari_dinoprompt.core.scoring.similarity import score_plane, similarity_map
from napari_dinoprompt.core.segmentation.similarities import score_classes
from napari_dinoprompt.core.tiling.grid import CellGrid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap

GROUND = [(2.0, 3.0), (138.0, 4.0)]


def prompts_on(blobs) -> tuple[NDArray[np.float64], list[str]]:
    points = np.concatenate([blobs.prompts, GROUND])
    return points, ["object"] * 3 + ["other"] * 2 + [BACKGROUND] * 2


def all_here(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Every prompt lies on the plane."""
    return np.ones(len(points), dtype=np.bool_)


def found_iou(features: FeatureMap, reference: Reference, truth) -> float:
    mask = score_classes(features, reference).mask(reference.auto_thresholds) > 0
    return float((mask & truth).sum() / (mask | truth).sum())


@pytest.mark.parametrize("upscale", [1, 1.37, 2])
@pytest.mark.parametrize("name", ["filterbank", "toy_vit"])
def test_values_of_a_place_are_those_of_the_whole_map(
    request, blobs, name: str, upscale: float
) -> None:
    backbone = request.getfixturevalue(name)
    features = extract_features(blobs.image, backbone, upscale=upscale)
    points, classes = prompts_on(blobs)
    reference = Reference.from_prompts(features, points, classes)
    places = find_places(features, reference, points, all_here(points))
    assert [one is None for one in places.prompts] == [False] * 5 + [True] * 2
    for name_of in reference.object_classes:
        whole = similarity_map(features, reference, name_of)
        prototype = reference.prototype(name_of)[None]
        for place in (*places.prompts[:5], *places.matches[name_of]):
            assert place is not None
            (values,) = place.values(reference, prototype)
            inside, around = place.on_plane()
            for found, pixels in ((values.inside, inside), (values.around, around)):
                expected = whole[tuple(pixels.T)]
                np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_vector_of_a_place_is_that_of_its_prompt(blobs, blob_features) -> None:
    points, classes = prompts_on(blobs)
    reference = Reference.from_prompts(blob_features, points, classes)
    places = find_places(blob_features, reference, points, all_here(points))
    for place, vector, area in zip(
        places.prompts[:5], reference.vectors, reference.areas, strict=False
    ):
        assert place is not None
        np.testing.assert_array_equal(place.vector(), vector)
        assert place.found.area == area
        core = (place.found.core + place.corner).astype(float)
        expected = blob_features.at(core).mean(axis=0)
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_leaving_out_is_a_reference_of_the_others(blobs, blob_features) -> None:
    points, classes = prompts_on(blobs)
    reference = Reference.from_prompts(blob_features, points, classes)
    places = find_places(blob_features, reference, points, all_here(points))
    values = class_values(reference, places, "object")
    assert (len(values.own), len(values.left_out), len(values.matches)) == (3, 3, 0)
    for number in range(3):
        kept = [index for index in range(7) if index != number]
        others = replace(
            reference,
            vectors=reference.vectors[kept],
            classes=tuple(reference.classes[index] for index in kept),
        )
        place = places.prompts[number]
        assert place is not None
        inside, around = place.on_plane()
        whole = similarity_map(blob_features, others, "object")
        found = values.left_out[number]
        np.testing.assert_allclose(found.inside, whole[tuple(inside.T)], atol=1e-5)
        np.testing.assert_allclose(found.around, whole[tuple(around.T)], atol=1e-5)
        assert found.ratio == values.own[number].ratio == place.found.ratio


def test_a_prompt_drawn_twice_is_left_out_twice(blobs, blob_features) -> None:
    """A copy of a prompt among the others would praise it."""
    reference = Reference.from_prompts(blob_features, blobs.prompts)
    places = find_places(
        blob_features, reference, blobs.prompts, all_here(blobs.prompts)
    )
    chosen = np.array([0, 0, 1])
    drawn = replace(
        reference,
        vectors=reference.vectors[chosen],
        classes=("object",) * 3,
        areas=reference.areas[chosen],
    )
    values = class_values(drawn, places.of(chosen), "object")
    assert (len(values.own), len(values.left_out)) == (2, 2)
    other = replace(drawn, vectors=reference.vectors[[1]], classes=("object",))
    place = places.prompts[0]
    assert place is not None
    whole = similarity_map(blob_features, other)
    inside, _ = place.on_plane()
    np.testing.assert_allclose(
        values.left_out[0].inside, whole[tuple(inside.T)], atol=1e-5
    )


def test_thresholds_are_those_of_all_places(blobs, blob_features) -> None:
    points, classes = prompts_on(blobs)
    reference = Reference.from_prompts(blob_features, points, classes)
    places = find_places(blob_features, reference, points, all_here(points))
    values = all_values(reference, places)
    chosen = auto_thresholds(reference, values, [score_plane(blob_features, reference)])
    assert chosen == pytest.approx(reference.auto_thresholds)
    assert chosen.keys() == {"object", "other"}


def test_matches_are_other_objects_than_those_clicked(blobs, blob_features) -> None:
    reference = Reference.from_prompts(blob_features, blobs.prompts)
    places = find_places(
        blob_features, reference, blobs.prompts, all_here(blobs.prompts)
    )
    clicked = {blobs.truth[tuple(one)] for one in np.round(blobs.prompts).astype(int)}
    matches = places.matches["object"]
    assert 5 <= len(matches) <= 12
    radius = np.sqrt(np.median(reference.areas) / np.pi)
    labels = []
    for place in matches:
        inside, _ = place.on_plane()
        middle = inside.mean(axis=0)
        assert np.linalg.norm(blobs.prompts - middle, axis=1).min() > radius
        labels.append(np.bincount(blobs.truth[tuple(inside.T)]).argmax())
    assert not clicked & set(labels)
    assert np.count_nonzero(labels) >= 5
    # Each once.
    assert len(set(labels) - {0}) == np.count_nonzero(labels)


@pytest.mark.parametrize("number", [0, 3])
def test_one_click_finds_all_of_many_objects(blobs, blob_features, number) -> None:
    reference = Reference.from_prompts(blob_features, blobs.prompts[[number]])
    assert found_iou(blob_features, reference, blobs.truth > 0) > 0.9


@pytest.mark.parametrize("radius", [8, 15, 40])
def test_one_click_finds_the_only_object(filterbank, radius: int) -> None:
    """There are no others: the best matches are noise."""
    truth = np.zeros((200, 220), dtype=np.bool_)
    truth[disk((100, 105), radius)] = True
    clean = 40 + 140 * ndi.gaussian_filter(truth.astype(float), 1.0)
    image = np.random.default_rng(0).normal(clean, 4).clip(0, 255).astype(np.uint8)
    features = extract_features(image, filterbank)
    reference = Reference.from_prompts(features, [(100, 103)])
    assert found_iou(features, reference, truth) > 0.85


def test_the_matches_of_another_image_choose_its_threshold(
    blobs, blob_features, other_blobs, filterbank
) -> None:
    """Also of one that is less alike throughout."""
    reference = Reference.from_prompts(blob_features, blobs.prompts)
    faint = (0.6 * other_blobs.image + 20).astype(np.uint8)
    features = extract_features(faint, filterbank, window=reference.window)
    matches = find_matches(reference, score_plane(features, reference), "object")
    assert len(matches) >= 5
    threshold = threshold_elsewhere(reference, "object", matches)
    own = replace(reference, auto_thresholds={"object": threshold})
    assert found_iou(features, own, other_blobs.truth > 0) > 0.8
    dark = np.random.default_rng(0).normal(30, 6, faint.shape).clip(0, 255)
    empty = extract_features(dark.astype("u1"), filterbank, window=reference.window)
    for place in find_matches(reference, score_plane(empty, reference), "object"):
        assert place.values(reference, reference.prototype("object")[None])[0].ratio > 0


@pytest.fixture
def sized(make_map) -> Callable[[float], Place]:
    """A place whose object is as large as a disc."""
    pixel = np.zeros((1, 2), np.int64)

    def make(radius: float) -> Place:
        found = FoundObject(pixel, pixel, pixel, np.pi * radius**2, 3.0)
        return Place(make_map(), found, pixel[0])

    return make


@pytest.mark.parametrize(
    ("radii", "expected"),
    [
        ([30], 1),
        ([8], 1),
        ([7.9], 2),
        ([4], 2),
        ([3.9], 4),
        ([0.5], 4),
        ([1, 5, 90], 2),
        ([0, 0, 20], 1),
        ([0], None),
        ([], None),
    ],
)
def test_the_upscale_at_which_objects_are_a_cell_wide(
    sized, radii: list[float], expected: float | None
) -> None:
    """By the middle one of those that were found."""
    places = [None, *(sized(radius) for radius in radii)]
    grid = CellGrid((200, 300), 8, 2.0)
    assert fitting_upscale(places, grid) == expected


@pytest.mark.parametrize("shape", [(20, 30), (1, 1), (300, 400), (3, 2000)])
def test_pixels_are_spread_over_all_that_holds_data(make_map, shape) -> None:
    features: FeatureMap = make_map(shape)
    pixels = spread_pixels(features, 500)
    assert 1 <= len(pixels) <= 500
    assert len(np.unique(pixels, axis=0)) == len(pixels)
    assert (pixels >= 0).all()
    assert (pixels < shape).all()
    middle = (np.array(shape) - 1) / 2
    np.testing.assert_allclose(pixels.mean(axis=0), middle, atol=max(shape) / 20)
    gap = np.zeros(shape, dtype=np.bool_)
    gap[:, shape[1] // 2 :] = True
    kept = spread_pixels(replace(features, no_data=gap), 500)
    np.testing.assert_array_equal(kept, pixels[~gap[tuple(pixels.T)]])


def test_of_many_planes_those_with_most_prompts_are_looked_at() -> None:
    planes = [(4,), (0,), (3,), (3,), (1,), (2,), (1,), (5,), (5,), (2,)]
    objects = ["object"] * len(planes)
    assert most_prompted_planes(planes, objects) == [(1,), (2,), (3,), (5,)]
    assert most_prompted_planes([()], ["object"]) == [()]


def test_each_class_has_its_planes_and_background_none() -> None:
    planes = [(0,)] * 9 + [(7,)] + [(8,)] * 5
    classes = ["object"] * 9 + ["rare"] + [BACKGROUND] * 5
    assert most_prompted_planes(planes, classes) == [(0,), (7,)]


def test_prompts_on_planes_that_are_not_looked_at_have_no_values(
    blobs, blob_features
) -> None:
    reference = Reference.from_prompts(blob_features, blobs.prompts)
    places = find_places(
        blob_features, reference, blobs.prompts, all_here(blobs.prompts)
    )
    some = Places((*places.prompts[:2], None, None, None), places.matches)
    values = class_values(reference, some, "object")
    assert (len(values.own), len(values.left_out)) == (2, 2)


def test_background_prompts_move_thresholds(blobs, blob_features) -> None:
    """On the rims, which resemble the objects."""
    apart = ndi.distance_transform_edt(blobs.truth == 0)
    ground = np.argwhere((apart > 1) & (apart < 3))[::300][:5]
    alone = Reference.from_prompts(blob_features, blobs.prompts)
    points = np.concatenate([blobs.prompts, ground])
    classes = ["object"] * 5 + [BACKGROUND] * len(ground)
    both = Reference.from_prompts(blob_features, points, classes)
    assert both.auto_thresholds.keys() == {"object"}
    assert both.auto_thresholds != alone.auto_thresholds
    assert found_iou(blob_features, both, blobs.truth > 0) > 0.9


def test_no_object_class_no_threshold(make_map) -> None:
    reference = Reference.from_prompts(make_map(), [(1, 1)], [BACKGROUND])
    assert reference.auto_thresholds == {}


def test_a_hole_in_the_image_moves_no_threshold(make_map) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal([0, 1, 0.5], 0.1, (40, 40, 3)).astype(np.float32)
    vectors[:, :12] = rng.normal([1, 0.2, 0], 0.1, (40, 12, 3))
    whole: FeatureMap = make_map((40, 40), 1, vectors=vectors)
    gap = np.zeros((40, 40), dtype=np.bool_)
    gap[:, 28:] = True
    lost = vectors.copy()
    lost[:, 28:] = 0
    holed: FeatureMap = make_map((40, 40), 1, vectors=lost, no_data=gap)
    points = [(4, 4), (9, 6), (30, 2)]
    expected = Reference.from_prompts(whole, points).auto_thresholds["object"]
    found = Reference.from_prompts(holed, points).auto_thresholds["object"]
    assert found == pytest.approx(expected, abs=0.1)


def test_equal_planes_give_equal_thresholds(blobs, blob_features) -> None:
    """Of large planes, samples stand for the plane."""
    reference = Reference.from_prompts(blob_features, blobs.prompts)
    places = find_places(
        blob_features, reference, blobs.prompts, all_here(blobs.prompts)
    )
    with torch.inference_mode():
        scored = score_plane(blob_features, reference)
    values = all_values(reference, places)
    one, several = (
        auto_thresholds(reference, values, [scored] * count)["object"]
        for count in (1, 4)
    )
    assert several == pytest.approx(one, abs=0.05)
