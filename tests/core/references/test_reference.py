"""References: prototypes, classes, statistics of the source."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_dinoprompt.core.errors import IncompatibleReferenceError, InputError
from napari_dinoprompt.core.features.statistics import FeatureStatistics
from napari_dinoprompt.core.references.reference import Reference

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones.base import BackboneInfo
    from napari_dinoprompt.core.features.feature_map import FeatureMap

TEN = np.array([[i, 2 * i] for i in range(10)], dtype=float)


def tiny(make_map, vectors: list[list[float]], **options: object) -> Reference:
    """A reference with one prompt on each of a row of cells."""
    row = np.array([vectors], dtype=np.float32)
    features: FeatureMap = make_map((1, len(vectors)), 1, vectors=row)
    points = [(0, column) for column in range(len(vectors))]
    return Reference.from_prompts(features, points, **options)


def test_the_prototype_is_the_unit_mean_of_unit_vectors(make_map) -> None:
    reference = tiny(make_map, [[10, 0], [0, 1], [0, 3]])
    expected = np.array([1, 2]) / np.sqrt(5)
    np.testing.assert_allclose(reference.prototype("object"), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("scoring", "expected"),
    [
        ("plain", [[3, 4], [0, 2]]),
        ("centred", [[2, 2], [-1, 0]]),
        ("standardised", [[1, 0], [-0.5, 0]]),
    ],
)
def test_scorings_apply_the_statistics_before_the_length(
    make_map, scoring: str, expected: list[list[float]]
) -> None:
    """A feature of scale 0 says nothing and is left out."""
    statistics = FeatureStatistics(
        np.array([1, 2], np.float32), np.array([2, 0], np.float32), 9
    )
    plain = tiny(make_map, [[3, 4], [0, 2]])
    reference = replace(plain, scoring=scoring, statistics=statistics)
    units = np.array(expected) / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(reference.unit_vectors(), units, atol=1e-6)


def test_leave_one_out_by_hand(make_map) -> None:
    reference = tiny(make_map, [[1, 0], [0, 1], [2, 2]])
    half = np.sqrt(0.5)
    first = [1, 0] @ np.array([half, 1 + half]) / np.hypot(half, 1 + half)
    np.testing.assert_allclose(
        reference.leave_one_out("object"), [first, first, 1.0], atol=1e-6
    )


def test_leaving_one_out_of_one_leaves_nothing(make_map) -> None:
    reference = tiny(make_map, [[1, 0], [0, 1]], classes=["a", "b"])
    assert len(reference.leave_one_out("a")) == 0


def test_vectors_without_length_stay_zero(make_map) -> None:
    reference = tiny(make_map, [[0, 0], [0, 0]])
    assert not reference.prototype("object").any()
    assert not reference.leave_one_out("object").any()


@pytest.mark.parametrize(
    ("prompts", "wrong"), [([(1, 4)], 0.03), ([(1, 4), (0, 3), (1, 8)], 0)]
)
def test_the_auto_threshold_parts_the_source(
    make_map, prompts: list[tuple[int, int]], wrong: float
) -> None:
    """A rare kind of cells among many others: the cut lies between the two.

    One prompt cannot tell the most similar of the others from more of its kind.
    """
    rng = np.random.default_rng(0)
    vectors = rng.normal([0, 1, 0.5], 0.1, (20, 20, 3))
    vectors[:2, :10] = rng.normal([1, 0.2, 0], 0.05, (2, 10, 3))
    features = make_map((20, 20), 1, vectors=vectors.astype(np.float32))
    reference = Reference.from_prompts(features, prompts)
    units = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    similar = units @ reference.prototype("object")
    alike = np.zeros((20, 20), dtype=bool)
    alike[:2, :10] = True
    threshold = reference.auto_thresholds["object"]
    assert threshold < similar[alike].min()
    assert np.mean(similar[~alike] > threshold) <= wrong


def test_one_prompt_on_one_cell_has_a_threshold(make_map) -> None:
    assert np.isfinite(tiny(make_map, [[1, 2]]).auto_thresholds["object"])


def test_classes_keep_their_order_and_background_is_last(make_map) -> None:
    classes = ["background", "mitosis", "object", "mitosis"]
    reference = tiny(make_map, [[1, 0], [0, 1], [1, 1], [2, 1]], classes=classes)
    assert reference.class_names == ("mitosis", "object", "background")
    assert reference.object_classes == ("mitosis", "object")
    reference.check_objects()
    assert set(reference.auto_thresholds) == {"mitosis", "object"}
    np.testing.assert_allclose(reference.prototype("background"), [1, 0])


def test_prompts_are_objects_unless_said_otherwise(make_map) -> None:
    assert tiny(make_map, [[1, 0], [0, 1]]).classes == ("object", "object")


def test_background_alone_makes_no_mask(make_map) -> None:
    reference = tiny(make_map, [[1, 0]], classes=["background"])
    with pytest.raises(InputError, match="background"):
        reference.check_objects()


@pytest.mark.parametrize(
    ("points", "classes", "message"),
    [
        ([], None, "no prompts"),
        (np.zeros((0, 2)), None, "no prompts"),
        ([(1, 2, 3)], None, "shape"),
        ([1, 2], None, "shape"),
        ([(1, 1)], ["a", "b"], "1 prompts but 2 classes"),
        ([(1, 1), (99, 1)], None, "outside"),
        ([(np.nan, 1)], None, "outside"),
    ],
)
def test_prompts_that_cannot_be_used_are_refused(
    make_map, points: object, classes: list[str] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Reference.from_prompts(make_map(), points, classes)


def test_a_prompt_on_no_data_is_refused(make_map) -> None:
    hole = np.zeros((20, 30), dtype=bool)
    hole[3, 3] = True
    with pytest.raises(InputError, match="no data"):
        Reference.from_prompts(make_map(no_data=hole), [(3, 3)])


def test_everything_of_the_source_is_kept(make_map) -> None:
    features: FeatureMap = make_map((20, 30), 4, 2.0)
    reference = Reference.from_prompts(features, TEN, source="field")
    assert reference.upscale == 2.0
    assert reference.window == features.window
    assert reference.backbone == features.backbone
    assert reference.scoring == features.scoring
    assert [(s.name, s.shape) for s in reference.sources] == [("field", (20, 30))]
    assert reference.source_of.tolist() == [0] * 10
    np.testing.assert_array_equal(reference.points, TEN)
    expected = features.measures.statistics
    np.testing.assert_array_equal(reference.statistics.mean, expected.mean)
    np.testing.assert_array_equal(reference.statistics.scale, expected.scale)


def test_points_alone_give_the_vectors_at_the_points(blobs, blob_features) -> None:
    points, classes = [*blobs.prompts, (3, 3)], ["object"] * 5 + ["background"]
    alone, found = (
        Reference.from_prompts(blob_features, points, classes, points_only=only)
        for only in (True, False)
    )
    np.testing.assert_array_equal(alone.vectors, blob_features.at(points))
    assert alone.areas.tolist() == [0] * 6
    assert (found.areas[:5] > 50).all()
    assert (found.vectors[:5] != alone.vectors[:5]).any(axis=1).all()
    # Background is what is at the point.
    assert found.areas[5] == 0
    np.testing.assert_array_equal(found.vectors[5], alone.vectors[5])


def test_moving_the_points_afterwards_changes_nothing(make_map) -> None:
    points = TEN.copy()
    reference = Reference.from_prompts(make_map(), points)
    points += 1
    np.testing.assert_array_equal(reference.points, TEN)


def test_thresholds_of_a_user_are_carried(make_map) -> None:
    reference = tiny(make_map, [[1, 0], [0, 1]], classes=["a", "b"])
    changed = reference.with_thresholds({"b": 0.25})
    assert dict(changed.thresholds) == {"b": 0.25}
    assert not reference.thresholds
    assert not changed.with_thresholds({}).thresholds


@pytest.mark.parametrize(
    "thresholds", [{"a": 1.01}, {"a": -1.5}, {"a": np.nan}, {"c": 0.5}]
)
def test_impossible_thresholds_are_refused(make_map, thresholds: dict) -> None:
    with pytest.raises(InputError):
        tiny(make_map, [[1, 0]], classes=["a"]).with_thresholds(thresholds)


def test_unknown_classes_are_refused_with_those_there_are(make_map) -> None:
    reference = tiny(make_map, [[1, 0]], classes=["a"])
    with pytest.raises(InputError, match=r"'b'.* a"):
        reference.prototype("b")


@pytest.mark.parametrize(
    "other",
    [
        {"name": "dinov2-small"},
        {"block": 3},
        {"dimension": 7},
        {"weights_hash": "another"},
    ],
)
def test_other_backbones_are_refused_and_both_are_named(make_map, other: dict) -> None:
    reference = tiny(make_map, [[1, 0]])
    assert reference.backbone.weights_hash == "none"
    reference.check_backbone(replace(reference.backbone))
    backbone: BackboneInfo = replace(reference.backbone, **other)
    with pytest.raises(IncompatibleReferenceError) as refused:
        reference.check_backbone(backbone)
    message = str(refused.value)
    mine, its = message.removesuffix(".").split("; it does not fit ")
    assert mine.removeprefix("The reference was made with ") != its
    assert "random" in mine
    assert str(next(iter(other.values()))) in its


def test_measuring_the_source_beforehand_changes_nothing(make_map) -> None:
    features: FeatureMap = make_map(scoring="standardised")
    at_once = Reference.from_prompts(features, TEN)
    before = Reference.from_prompts(features, TEN, measures=features.measures)
    assert before.auto_thresholds == at_once.auto_thresholds
    np.testing.assert_array_equal(before.unit_vectors(), at_once.unit_vectors())
