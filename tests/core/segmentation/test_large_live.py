"""Prompts on a plane too large to hold: regions come, nearest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from large_planes import Recording, draw_plane, hold_nothing_whole

from napari_dinoprompt.core.backbones.filterbank import FilterBank
from napari_dinoprompt.core.backbones.vit import VisionTransformer
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import Estimate
from napari_dinoprompt.core.features.large import LazyFeatures
from napari_dinoprompt.core.images.intensity import sample_planes
from napari_dinoprompt.core.images.lazy_plane import LazyPlane
from napari_dinoprompt.core.masks.cleaning import Cleaning, clean_and_label
from napari_dinoprompt.core.progress import Progress, run_to_end
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.core.segmentation.interactive import (
    LiveResult,
    prepare_planes,
    score_prompts,
)
from napari_dinoprompt.core.segmentation.large import ResultStore
from napari_dinoprompt.core.segmentation.plane_features import ImageFeatures

if TYPE_CHECKING:
    from numpy.typing import NDArray

Network = FilterBank | VisionTransformer
SHAPE = (230, 300)
POINTS = np.array([[20.0, 30.0], [60.0, 100.0], [90.0, 10.0], [150.0, 200.0]])
CLASSES = ("round", "long", "background", "round")


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_nothing_whole(monkeypatch)


@pytest.fixture(params=["filterbank", "toy_vit"])
def backbone(request: pytest.FixtureRequest) -> Network:
    found: Network = request.getfixturevalue(request.param)
    return found


def prepare(
    array: Any, backbone: Network, *wanted: tuple[int, ...]
) -> tuple[ImageFeatures, list[Any]]:
    """Prepare planes of an array whose last two axes are the plane."""
    image_features = ImageFeatures()
    said = []
    for one in prepare_planes(
        image_features,
        lambda index: LazyPlane(array, index),
        array.shape[:-2],
        array.shape[-2:],
        lambda: backbone,
        1.0,
        wanted,
    ):
        if isinstance(one, tuple):
            image_features.add(*one)
        else:
            said.append(one)
    return image_features, said


def find(
    image_features: ImageFeatures, near: NDArray[np.float64], **chosen: float
) -> tuple[LiveResult, list[Any]]:
    prompts = Prompts(POINTS, CLASSES)
    said = list(
        score_prompts(image_features, prompts, (), chosen, near, source="plane")
    )
    (result,) = [one for one in said if isinstance(one, LiveResult)]
    return result, said


def store_of(result: LiveResult) -> ResultStore:
    assert isinstance(result.scores, ResultStore)
    return result.scores


def test_a_large_plane_is_prepared_part_by_part(backbone: Network) -> None:
    recording = Recording(draw_plane((800, 900)))
    image_features, said = prepare(recording, backbone, ())
    plane = image_features[()]
    assert plane.large
    assert plane.bytes == 0
    assert isinstance(plane.features, LazyFeatures)
    assert image_features.window == plane.features.window
    (estimate,) = [one for one in said if isinstance(one, Estimate)]
    assert not estimate.whole
    progress = [one for one in said if isinstance(one, Progress)]
    assert progress[0] == Progress(0, 0)
    assert progress[-1].done == progress[-1].total > 1
    assert 0 < recording.largest < 0.4 * 800 * 900
    # The sample is measured: nothing is read when it is asked for.
    before = len(recording.parts)
    assert plane.features.measures is image_features.measures([()])
    assert len(recording.parts) == before


def test_planes_of_a_stack_share_a_window(filterbank: FilterBank) -> None:
    stack = np.stack([draw_plane(SHAPE, seed=seed) * (1 + seed) for seed in range(3)])
    one, _ = prepare(stack, filterbank, (2,), (0,))
    other, _ = prepare(stack, filterbank, (0,))
    assert set(one) == {(2,), (0,)}
    assert one.window == other.window is not None
    for image_features in (one, other):
        np.testing.assert_array_equal(
            image_features[0,].features.measures.statistics.mean,
            one[0,].features.measures.statistics.mean,
        )


def test_planes_without_data_are_passed_over(filterbank: FilterBank) -> None:
    stack = np.full((40, *SHAPE), np.nan, np.float32)
    stack[1] = draw_plane(SHAPE)
    # None of the planes that stand for the stack holds data.
    assert (1,) not in sample_planes((40,))
    image_features, _ = prepare(stack, filterbank, (0,), (1,), (2,))
    assert set(image_features) == {(1,)}
    assert image_features.empty == {(0,), (2,)}
    assert image_features.window is not None
    assert np.nanmin(stack[1]) <= image_features.window.low < image_features.window.high
    with pytest.raises(InputError, match="nothing but NaN"):
        prepare(stack[0], filterbank, ())


def test_regions_come_nearest_first(backbone: Network) -> None:
    plane = draw_plane(SHAPE)
    image_features, _ = prepare(plane, backbone, ())
    prompts = Prompts(POINTS, CLASSES)
    near = np.array([[220.0, 290.0]])
    steps = score_prompts(image_features, prompts, (), {}, near, source="plane")
    result: LiveResult | None = None
    first: int | None = None
    for said in steps:
        if isinstance(said, LiveResult):
            result = said
            assert result.thresholds.keys() == {"round", "long"}
            assert not (store_of(result).winning_class[0][:] > 0).any()
        elif result is not None and said.done == 1:
            first = said.total
            break
    assert result is not None
    features = image_features[()].features
    assert isinstance(features, LazyFeatures)
    assert first == len(features.regions.regions) > 6
    known = ~np.isnan(store_of(result).similarity[0][0])
    rows, columns = np.nonzero(known)
    # The corner that is looked at, and nothing else.
    assert rows.max() == SHAPE[0] - 1
    assert columns.max() == SHAPE[1] - 1
    assert known.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert known.sum() < known.size / 4
    for said in steps:
        last = said
    assert last == Progress(first, first)
    assert not np.isnan(store_of(result).similarity[0][:]).any()


def test_the_order_changes_no_result(backbone: Network) -> None:
    plane = draw_plane(SHAPE)
    image_features, _ = prepare(plane, backbone, ())
    one, _ = find(image_features, np.zeros((0, 2)))
    other, _ = find(image_features, np.array([[220.0, 290.0]]))
    assert one.thresholds == other.thresholds
    np.testing.assert_array_equal(
        store_of(one).winning_class[0][:], store_of(other).winning_class[0][:]
    )
    np.testing.assert_array_equal(
        store_of(one).similarity[0][:], store_of(other).similarity[0][:]
    )


def test_thresholds_are_moved_without_scoring(filterbank: FilterBank) -> None:
    image_features, _ = prepare(draw_plane(SHAPE), filterbank, ())
    result, _ = find(image_features, POINTS, round=0.9, gone=0.3)
    assert result.names == ("round", "long")
    assert not result.nothing
    missing = result.scores.no_data
    assert missing is None or missing[:].sum() == 0
    assert result.thresholds["round"] == pytest.approx(0.9)
    auto = result.reference.auto_thresholds
    assert result.thresholds["long"] == pytest.approx(auto["long"])
    back = run_to_end(result.iter_cut({}))
    assert back.thresholds == pytest.approx(auto)
    assert back.scores is result.scores
    lower = run_to_end(result.iter_cut({"round": 0.0, "long": 0.0, "gone": 0.2}))
    few, many = (one.mask[:] > 0 for one in (result, lower))
    assert 0 < few.sum() < many.sum()
    assert lower.reference.auto_thresholds == auto


@pytest.mark.parametrize("cleaning", [Cleaning(), Cleaning(30, True)], ids=str)
def test_the_mask_is_cleaned_as_that_of_a_small_plane(
    filterbank: FilterBank, cleaning: Cleaning
) -> None:
    plane = draw_plane(SHAPE, gap=True)
    image_features, _ = prepare(plane, filterbank, ())
    result, _ = find(image_features, POINTS)
    assert result.scores.no_data is not None
    plain = result.mask[:]
    assert not plain[np.isnan(plane)].any()
    expected = clean_and_label(plain, cleaning, np.isnan(plane))
    for _ in range(2):  # what was there before goes
        (masks, instances), _ = run_to_end(result.iter_clean(cleaning))
        for levels, whole in zip((masks, instances), expected, strict=True):
            assert whole.any()
            assert len(levels) == len(store_of(result).winning_class)
            for level, array in enumerate(levels):
                np.testing.assert_array_equal(array[:], whole[:: 2**level, :: 2**level])


def test_prompts_that_cannot_be_used(filterbank: FilterBank) -> None:
    image_features, _ = prepare(draw_plane(SHAPE, gap=True), filterbank, ())

    def find_with(points: list[list[int]], name: str) -> None:
        prompts = Prompts(np.array(points, dtype=float), (name,))
        nowhere = np.zeros((0, 2))
        list(score_prompts(image_features, prompts, (), {}, nowhere, source="plane"))

    with pytest.raises(InputError, match="background"):
        find_with([[20, 30]], "background")
    with pytest.raises(InputError, match="outside"):
        find_with([[20, 300]], "object")
    with pytest.raises(InputError, match="no data"):
        find_with([[80, 90]], "object")
