"""`a + b`: prompts and sources joined, statistics pooled, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference_strategies import assert_same_reference, references

from napari_dinoprompt.core.backbones.base import BackboneInfo
from napari_dinoprompt.core.errors import IncompatibleReferenceError
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.features.statistics import FeatureStatistics, pool_measures
from napari_dinoprompt.core.images.intensity import IntensityWindow
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.scoring.similarity import similarity_map
from napari_dinoprompt.core.segmentation.segment import segment

if TYPE_CHECKING:
    from napari_dinoprompt.core.features.feature_map import FeatureMap

ALIKE = references(BackboneInfo("toy", -1, 14, 3, "0"), 2.0, "centred")


def prompts_of(reference: Reference) -> list[tuple[object, ...]]:
    sources = [reference.sources[at] for at in reference.source_of]
    return [
        (name, *point, area, plane, replace(source, pixel_size=None), *vector)
        for name, point, area, plane, source, vector in zip(
            reference.classes,
            reference.points.tolist(),
            reference.areas.tolist(),
            reference.planes,
            sources,
            reference.vectors.tolist(),
            strict=True,
        )
    ]


@settings(deadline=None, max_examples=40)
@given(reference=ALIKE)
def test_a_reference_with_itself_has_the_same_prompts(reference: Reference) -> None:
    joined = reference + reference
    assert prompts_of(joined) == prompts_of(reference)
    assert joined.statistics.count == 2 * reference.statistics.count
    assert joined.window == reference.window
    assert dict(joined.thresholds) == dict(reference.thresholds)
    assert dict(joined.auto_thresholds) == pytest.approx(reference.auto_thresholds)
    np.testing.assert_allclose(joined.unit_vectors(), reference.unit_vectors())


@settings(deadline=None, max_examples=60)
@given(parts=st.tuples(ALIKE, ALIKE, ALIKE))
def test_the_order_of_joining_does_not_matter(
    parts: tuple[Reference, Reference, Reference],
) -> None:
    a, b, c = parts
    together = sum(len({*prompts_of(one)}) for one in parts)
    assume(len({*prompts_of(a), *prompts_of(b), *prompts_of(c)}) == together)
    left, right = (a + b) + c, a + (b + c)
    assert prompts_of(left) == prompts_of(right)
    assert left.sources == right.sources
    assert dict(left.thresholds) == dict(right.thresholds)
    assert dict(left.auto_thresholds) == pytest.approx(right.auto_thresholds)
    wide = max(abs(one.window.high) + abs(one.window.low) for one in parts)
    for name in ("low", "high"):
        found, expected = getattr(left.window, name), getattr(right.window, name)
        assert found == pytest.approx(expected, abs=1e-9 * wide)
    mine, its = left.statistics, right.statistics
    assert mine.count == its.count
    np.testing.assert_allclose(mine.mean, its.mean, atol=1e-5)
    np.testing.assert_allclose(mine.scale, its.scale, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(parts=st.tuples(ALIKE, ALIKE))
def test_what_was_joined_can_be_saved(
    tmp_path_factory: pytest.TempPathFactory, parts: tuple[Reference, Reference]
) -> None:
    joined = parts[0] + parts[1]
    path = joined.save(tmp_path_factory.mktemp("joined") / "a")
    assert_same_reference(Reference.load(path), joined)


@pytest.fixture(scope="module")
def other_features(other_blobs, filterbank) -> FeatureMap:
    return extract_features(other_blobs.image, filterbank)


@pytest.fixture(scope="module")
def pair(blobs, other_blobs, blob_features, other_features):
    first = Reference.from_prompts(blob_features, blobs.prompts, source="a")
    second = Reference.from_prompts(other_features, other_blobs.prompts, source="b")
    return first, second


def test_two_images_become_one_reference(pair, blob_features, other_features) -> None:
    first, second = pair
    joined = first + second
    assert [source.name for source in joined.sources] == ["a", "b"]
    assert joined.sources[0].content_hash != joined.sources[1].content_hash
    assert joined.source_of.tolist() == [0] * 5 + [1] * 5
    np.testing.assert_array_equal(joined.vectors[5:], second.vectors)
    expected = pool_measures(
        [blob_features.measures, other_features.measures]
    ).statistics
    np.testing.assert_array_equal(joined.statistics.mean, expected.mean)
    np.testing.assert_array_equal(joined.statistics.scale, expected.scale)
    low, high = sorted((first.window.high, second.window.high))
    assert low <= joined.window.high <= high
    one, two = (part.auto_thresholds["object"] for part in pair)
    assert joined.auto_thresholds["object"] == pytest.approx((one + two) / 2)


def test_a_joined_reference_finds_what_both_show(pair, blobs, other_blobs) -> None:
    joined = pair[0] + pair[1]
    for one in (blobs, other_blobs):
        mask = segment(one.image, joined).mask > 0
        truth = one.truth > 0
        assert (mask & truth).sum() > 0.5 * (mask | truth).sum()


def test_prompts_added_on_the_same_image_join_its_source(
    blobs, blob_features: FeatureMap
) -> None:
    """As "Add to reference" does after more clicks: all prompts, old and new."""
    before = Reference.from_prompts(
        blob_features, blobs.prompts[:3], source="a", pixel_size=(0.5, 0.5)
    )
    after = Reference.from_prompts(blob_features, blobs.prompts, source="a")
    joined = before + after
    assert joined.sources == before.sources
    np.testing.assert_array_equal(joined.points, blobs.prompts)
    assert joined.window == before.window
    assert (after + before).sources == before.sources


def test_the_same_name_is_not_the_same_image(pair) -> None:
    renamed = replace(pair[1], sources=(replace(pair[1].sources[0], name="a"),))
    assert len((pair[0] + renamed).sources) == 2


def test_another_class_on_the_same_point_is_another_prompt(pair) -> None:
    other = replace(
        pair[0], classes=("b",) * 5, auto_thresholds={"b": 0.25}, thresholds={}
    )
    joined = pair[0] + other
    assert joined.classes == ("object",) * 5 + ("b",) * 5
    assert joined.auto_thresholds == {**pair[0].auto_thresholds, "b": 0.25}


def test_planes_of_a_stack_are_told_apart(make_map) -> None:
    def on(*planes: tuple[int, ...]) -> Reference:
        features = {
            plane: replace(make_map(), content_hash=f"{plane[0]:064x}")
            for plane in planes
        }
        points = np.full((len(planes), 2), 4.0)
        prompts = Prompts(points, ("object",) * len(planes), planes)
        measures = next(iter(features.values())).measures
        return Reference.from_planes(features, prompts, measures, source="stack")

    assert on((0,)).sources[0].content_hash == f"{0:064x}"
    both = on((0,), (1,))
    assert both.sources[0].content_hash == on((1,), (0,)).sources[0].content_hash
    assert both.sources[0].content_hash not in ("", f"{0:064x}", f"{1:064x}")
    assert (on((0,)) + on((1,))).planes == ((0,), (1,))


@pytest.mark.parametrize(
    ("mine", "its", "kept"),
    [
        ({}, {}, {}),
        ({"object": 0.5}, {"object": 0.5}, {"object": 0.5}),
        ({"object": 0.5}, {"object": 0.6}, {}),
        ({"object": 0.5}, {}, {}),
        ({}, {"object": 0.5}, {}),
    ],
)
def test_thresholds_stay_only_where_both_have_them(pair, mine, its, kept) -> None:
    joined = pair[0].with_thresholds(mine) + pair[1].with_thresholds(its)
    assert joined.thresholds == kept


def test_a_threshold_of_a_class_that_only_one_has_stays(pair) -> None:
    other = replace(pair[1], classes=("b",) * 5, auto_thresholds={"b": 0.2})
    joined = pair[0].with_thresholds({"object": 0.5}) + other
    assert joined.thresholds == {"object": 0.5}


def test_what_does_not_agree_is_refused_and_both_are_named(pair) -> None:
    first, second = pair
    backbone = replace(first.backbone, name="dinov2-small")
    weights = replace(first.backbone, weights_hash="another")
    for changed, said in (
        ({"backbone": backbone}, ("filterbank", "dinov2-small")),
        ({"backbone": weights}, (first.backbone.weights_hash[:12], "another")),
        ({"upscale": 2}, ("upscale of 1,", "--upscale 2", "×2")),
        ({"scoring": "plain"}, ("standardised", "plain")),
    ):
        with pytest.raises(IncompatibleReferenceError) as refused:
            first + replace(second, **changed)
        assert all(word in str(refused.value) for word in said)


def test_only_references_are_added(pair) -> None:
    with pytest.raises(TypeError):
        pair[0] + 1


# --- what may be meant -------------------------------------------------------


def test_using_it_as_it_was_made_says_nothing(pair) -> None:
    first = replace(pair[0], sources=(replace(pair[0].sources[0], pixel_size=(2, 1)),))
    assert first.warnings_for() == ()
    alike = first.warnings_for(
        upscale=1.0 + 1e-9, window=first.window, pixel_size=(2.09, 0.96)
    )
    assert alike == ()


def test_what_differs_is_said_in_a_line_each(pair) -> None:
    first = replace(pair[0], sources=(replace(pair[0].sources[0], pixel_size=(2, 1)),))
    window = IntensityWindow(first.window.low, first.window.high + 1)
    said = first.warnings_for(upscale=2, window=window, pixel_size=(2.0, 1.06))
    assert len(said) == 3
    for line, words in zip(
        said,
        (("upscale of 1,", "not 2"), ("window", f"{window.high:g}"), ("1.06", "2 x 1")),
        strict=True,
    ):
        assert "\n" not in line
        assert all(word in line for word in words)


def test_an_unknown_pixel_size_is_no_warning(pair) -> None:
    assert pair[0].warnings_for(pixel_size=(3, 3)) == ()


def test_any_source_may_have_that_pixel_size(pair) -> None:
    first, second = (
        replace(one, sources=(replace(one.sources[0], pixel_size=(size, size)),))
        for one, size in zip(pair, (1.0, 2.0), strict=True)
    )
    assert (first + second).warnings_for(pixel_size=(2.0, 2.0)) == ()
    assert first.warnings_for(pixel_size=(2.0, 2.0))


# --- content -----------------------------------------------------------------


def test_the_hash_is_of_the_pixels(blobs, filterbank) -> None:
    def hashed(image: np.ndarray) -> str:
        return extract_features(image, filterbank).content_hash

    image = blobs.image[:40, :50]
    assert len(hashed(image)) == 64
    turned = np.asfortranarray(image)
    assert hashed(turned) == hashed(image) == hashed(image.copy())
    wide = image.astype(np.uint16)
    assert hashed(wide) == hashed(wide.astype(">u2")) != hashed(image)
    changed = image.copy()
    changed[-1, -1] ^= 1
    assert hashed(changed) != hashed(image)
    assert hashed(image.reshape(50, 40)) != hashed(image)


def test_a_joined_reference_is_scored_with_the_pooled_statistics(
    pair, blob_features: FeatureMap
) -> None:
    joined = pair[0] + pair[1]
    assert isinstance(joined.statistics, FeatureStatistics)
    found = similarity_map(blob_features, joined)
    assert not np.array_equal(found, similarity_map(blob_features, pair[0]))
