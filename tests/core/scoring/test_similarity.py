"""Similarity maps are cosines."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_dinoprompt.core.backbones.base import BackboneInfo
from napari_dinoprompt.core.errors import IncompatibleReferenceError, InputError
from napari_dinoprompt.core.features.feature_map import CellLengths, FeatureMap
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.scoring.similarity import (
    BACKGROUND_SHARE,
    score_plane,
    similarity_map,
    to_pixels,
)
from napari_dinoprompt.core.tiling.grid import CellGrid

GEOMETRIES = [
    ((40, 57), 2, 1.0),
    ((40, 57), 14, 1.0),
    ((41, 57), 14, 1.7),
    ((33, 19), 8, 0.6),
    ((33, 19), 2, 3.3),
    ((33, 19), 1, 1.0),
    ((33, 19), 2, 2.0),
    ((1, 1), 14, 1.0),
    ((1, 7), 2, 1.3),
]
POINTS = [(2, 3), (11, 7.5), (18, 22), (0, 29)]
CLASSES = ["object", "background", "object", "other"]


def by_hand(features: FeatureMap, reference: Reference, name: str) -> np.ndarray:
    vectors = features.vectors.numpy().astype(float)
    prompts = reference.vectors.astype(float)
    if reference.scoring != "plain":
        vectors, prompts = (v - reference.statistics.mean for v in (vectors, prompts))
    if reference.scoring == "standardised":
        vectors, prompts = (v / reference.statistics.scale for v in (vectors, prompts))
    units = prompts / np.linalg.norm(prompts, axis=1, keepdims=True)
    mean = units[[held == name for held in reference.classes]].mean(axis=0)
    lengths = np.linalg.norm(vectors, axis=2) * np.linalg.norm(mean)
    return vectors @ mean / lengths


@pytest.mark.parametrize("scoring", ["plain", "centred", "standardised"])
def test_each_cell_s_score_is_a_cosine(make_map, scoring: str) -> None:
    features: FeatureMap = make_map(scoring=scoring)
    classes = ["object", "third", "object", "other"]
    reference = Reference.from_prompts(features, POINTS, classes)
    found = score_plane(features, reference)
    for name, scores in zip(reference.object_classes, found.objects, strict=True):
        expected = by_hand(features, reference, name)
        np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("scoring", ["plain", "centred", "standardised"])
def test_the_nearest_background_prompt_takes_its_share(make_map, scoring: str) -> None:
    features: FeatureMap = make_map(scoring=scoring)
    classes = ["object", "background", "object", "background"]
    reference = Reference.from_prompts(features, POINTS, classes)
    found = score_plane(features, reference)
    first, second = (
        by_hand(features, replace(reference, classes=tuple(n)), name)
        for n, name in (
            (["object", "mine", "object", "x"], "mine"),
            (["object", "x", "object", "mine"], "mine"),
        )
    )
    nearest = np.maximum(np.maximum(first, second), 0)
    expected = by_hand(features, reference, "object") - BACKGROUND_SHARE * nearest
    np.testing.assert_allclose(found.objects[0], expected, atol=1e-5)


def test_classes_compete_and_background_does_not(make_map) -> None:
    features: FeatureMap = make_map()
    alone = Reference.from_prompts(
        features, POINTS, ["object", "background", "object", "background"]
    )
    assert score_plane(features, alone).competing_scores() is None
    several = score_plane(features, Reference.from_prompts(features, POINTS, CLASSES))
    competing = several.competing_scores()
    assert torch.equal(competing, to_pixels(several.objects, features.grid))


@pytest.mark.parametrize("name", ["blob_features", "plain"])
def test_values_at_pixels_are_those_of_the_map(
    request, make_map, blob_features: FeatureMap, name: str
) -> None:
    """Fitted to the light, and interpolated where there is nothing to fit."""
    features = blob_features if name == "blob_features" else make_map((41, 57), 14, 1.7)
    reference = Reference.from_prompts(features, POINTS, CLASSES)
    scored = score_plane(features, reference)
    pixels = np.argwhere(np.ones(features.grid.shape, dtype=bool))
    expected = scored.object_pixels().reshape(2, -1)
    np.testing.assert_allclose(scored.at(pixels), expected, atol=2e-5)
    assert not np.allclose(expected, expected.mean(), atol=0.01)


def test_many_background_prompts_are_scored_in_parts(
    make_map, monkeypatch: pytest.MonkeyPatch
) -> None:
    features: FeatureMap = make_map()
    reference = Reference.from_prompts(
        features, [(i, i) for i in range(9)], ["object"] + ["background"] * 8
    )
    whole = score_plane(features, reference).objects
    similarity = importlib.import_module("napari_dinoprompt.core.scoring.similarity")
    monkeypatch.setattr(similarity, "_AT_ONCE", 100)
    torch.testing.assert_close(score_plane(features, reference).objects, whole)


@pytest.mark.parametrize("scoring", ["plain", "centred", "standardised"])
def test_statistics_come_from_the_reference_not_from_the_scored_map(
    make_map, scoring: str
) -> None:
    source: FeatureMap = make_map(scoring=scoring)
    reference = Reference.from_prompts(source, POINTS)
    vectors = np.random.default_rng(9).normal(3, 5, (4, 5, 6)).astype(np.float32)
    target: FeatureMap = make_map((16, 20), vectors=vectors)
    found = score_plane(target, reference).objects[0]
    np.testing.assert_allclose(found, by_hand(target, reference, "object"), atol=1e-5)


def test_kept_lengths_give_identical_scores(make_map) -> None:
    features: FeatureMap = make_map(scoring="standardised")
    reference = Reference.from_prompts(features, POINTS, CLASSES)
    lengths = CellLengths.of(features, reference.statistics, reference.scoring)
    kept, anew = (score_plane(features, reference, *k) for k in ((lengths,), ()))
    assert torch.equal(kept.objects, anew.objects)
    statistics = reference.statistics
    scaled = (features.vectors - torch.from_numpy(statistics.mean)) / torch.from_numpy(
        statistics.scale
    )
    torch.testing.assert_close(lengths.inverse[..., 0], 1 / scaled.norm(dim=2))


def test_scores_stay_within_minus_one_and_one(make_map) -> None:
    vectors = np.full((3, 3, 6), 0.1, dtype=np.float32)
    vectors[1:] *= -1000
    features: FeatureMap = make_map((12, 12), vectors=vectors)
    found = similarity_map(features, Reference.from_prompts(features, [(1, 1)]))
    assert found.max() <= 1
    assert found.min() >= -1
    np.testing.assert_allclose([found[0, 0], found[-1, -1]], [1, -1], atol=1e-6)


def test_vectors_without_length_resemble_nothing(make_map) -> None:
    vectors = np.ones((3, 3, 6), dtype=np.float32)
    vectors[2] = 0
    features: FeatureMap = make_map((12, 12), vectors=vectors)
    found = similarity_map(features, Reference.from_prompts(features, [(1, 1)]))
    assert found[-1].tolist() == [0] * 12


@pytest.mark.parametrize(("shape", "patch", "upscale"), GEOMETRIES)
def test_maps_have_the_plane_s_shape(
    make_map, shape: tuple[int, int], patch: int, upscale: float
) -> None:
    features: FeatureMap = make_map(shape, patch, upscale)
    found = similarity_map(features, Reference.from_prompts(features, [(0, 0)]))
    assert found.shape == shape
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert np.isfinite(found).all()


@pytest.mark.parametrize(("shape", "patch", "upscale"), GEOMETRIES)
def test_pixels_are_interpolated_as_prompts_are_looked_up(
    make_map, shape: tuple[int, int], patch: int, upscale: float
) -> None:
    features: FeatureMap = make_map(shape, patch, upscale)
    found = to_pixels(features.vectors.permute(2, 0, 1), features.grid)
    pixels = np.argwhere(np.ones(shape, dtype=bool))
    expected = features.at(pixels).reshape(*shape, -1)
    np.testing.assert_allclose(found.permute(1, 2, 0), expected, atol=2e-5)


def test_a_pixel_on_a_cell_s_centre_has_its_value(make_map) -> None:
    features: FeatureMap = make_map((39, 57), 3)
    found = to_pixels(features.vectors.permute(2, 0, 1), features.grid)
    expected = features.vectors.permute(2, 0, 1)
    torch.testing.assert_close(found[:, 1::3, 1::3], expected, atol=1e-6, rtol=0)


def test_a_large_map_keeps_its_places() -> None:
    """Single precision must not let far pixels drift."""
    grid = CellGrid((3, 20_000), 14, 1.7)
    cells = torch.arange(grid.cells[1], dtype=torch.float32).expand(1, 1, -1)
    found = to_pixels(cells, grid)[0, 1]
    pixels = np.stack([np.ones(20_000), np.arange(20_000)], axis=1)
    expected = np.clip(grid.to_cells(pixels)[:, 1], 0, grid.cells[1] - 1)
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_no_data_is_nan_in_the_map_and_nowhere_else(make_map) -> None:
    hole = np.zeros((20, 30), dtype=bool)
    hole[3:6, 4:9] = True
    features: FeatureMap = make_map(no_data=hole)
    found = similarity_map(features, Reference.from_prompts(features, [(15, 15)]))
    np.testing.assert_array_equal(np.isnan(found), hole)


def test_the_first_object_class_is_shown_by_default(make_map) -> None:
    features: FeatureMap = make_map()
    reference = Reference.from_prompts(
        features, POINTS, ["background", "b", "a", "background"]
    )
    shown = similarity_map(features, reference)
    np.testing.assert_array_equal(shown, similarity_map(features, reference, "b"))
    assert (shown != similarity_map(features, reference, "a")).any()
    with pytest.raises(InputError):
        similarity_map(features, reference, "c")


@pytest.mark.parametrize("scoring", ["plain", "centred", "standardised"])
def test_a_plain_map_is_1_at_a_lone_point(make_map, scoring: str) -> None:
    features: FeatureMap = make_map((21, 30), patch=3, scoring=scoring)
    points, classes = [(4, 7), (16, 25)], ["object", "background"]
    reference = Reference.from_prompts(features, points, classes, points_only=True)
    plain = similarity_map(features, reference, fitted=False)
    # On the middle of a cell; beside it the cosine is that between the cells.
    assert plain[4, 7] == pytest.approx(1, abs=1e-6)
    assert plain.max() <= 1
    assert plain[4, 8] < 1


@pytest.mark.parametrize("scoring", ["plain", "centred", "standardised"])
def test_a_plain_map_is_the_cosine_whatever_the_background(
    make_map, scoring: str
) -> None:
    features: FeatureMap = make_map(scoring=scoring)
    reference = Reference.from_prompts(features, POINTS, CLASSES)
    for name in reference.object_classes:
        cells = torch.from_numpy(by_hand(features, reference, name)).float()
        found = similarity_map(features, reference, name, fitted=False)
        np.testing.assert_allclose(
            found, to_pixels(cells[None], features.grid)[0], atol=1e-5
        )
        assert np.abs(similarity_map(features, reference, name) - found).max() > 0.05


def test_features_of_another_backbone_are_refused(make_map) -> None:
    features: FeatureMap = make_map()
    reference = Reference.from_prompts(features, POINTS)
    other = replace(features, backbone=BackboneInfo("other", -1, 4, 6, "none"))
    with pytest.raises(IncompatibleReferenceError, match=r"random.*other"):
        similarity_map(other, reference)
