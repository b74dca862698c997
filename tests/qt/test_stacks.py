"""Stacks in the dock: prompts on several planes, scrolling, lazy data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from small_stack import DISCS, EMPTY, SHAPE, draw_plane, draw_stack

from napari_dinoprompt import layers
from napari_dinoprompt.core.images.intensity import sample_planes
from napari_dinoprompt.core.masks.cleaning import Cleaning, clean_and_label
from napari_dinoprompt.core.segmentation.similarities import score_classes
from napari_dinoprompt.session.session import Phase

if TYPE_CHECKING:
    from napari_dinoprompt.core.prompts import PlaneIndex

A, B, C = (0, 1), (1, 2), (0, 0)


def scroll(bench, plane: PlaneIndex) -> None:
    """Move the sliders to a plane and do not wait."""
    for axis, at in enumerate(plane):
        bench.viewer.dims.set_point(axis, at)


def show(bench, plane: PlaneIndex) -> None:
    scroll(bench, plane)
    bench.settle()


def click_on(bench, plane: PlaneIndex, where: object) -> None:
    """Click on a plane, whichever is in view."""
    bench.prompts.add([*plane, *np.asarray(where)])
    bench.settle()


def expected_mask(bench, plane: PlaneIndex) -> np.ndarray:
    """Compute the mask of a plane anew, with the reference of the result on show."""
    result = bench.state.result
    features = bench.state.planes[plane].features
    return score_classes(features, result.reference).mask(result.thresholds)


@pytest.fixture
def stack(bench):
    """A TZYX stack of 2 x 3 planes, nothing clicked."""
    bench.add_image(draw_stack(2, 3), name="stack")
    bench.open()
    bench.settle()
    return bench


@pytest.fixture
def clicked(stack):
    """The same with prompts on two planes; C was seen and filled too."""
    show(stack, C)
    click_on(stack, A, DISCS[0])
    click_on(stack, B, DISCS[1])
    return stack


def filled(bench) -> set[PlaneIndex]:
    """Return the planes that the mask layer shows something on."""
    mask = bench.mask
    return {index for index in np.ndindex(mask.shape[:-2]) if mask[index].any()}


def test_prompts_of_all_planes_count(clicked) -> None:
    # Their vectors are those of pixels then, which are known.
    clicked.work.scoring.choose_points_only(True)
    clicked.settle()
    reference = clicked.state.result.reference
    assert reference.planes == (A, B)
    assert clicked.state.result.plane == C
    assert clicked.chip("object").text().split() == ["object", "2"]
    vectors = [clicked.state.planes[plane].features for plane in (A, B)]
    for vector, features, disc in zip(reference.vectors, vectors, DISCS, strict=False):
        np.testing.assert_array_equal(vector, features.at(disc)[0])


@pytest.mark.parametrize("view", [A, B, C])
def test_result_depends_neither_on_the_order_nor_on_the_view(
    clicked, view: PlaneIndex
) -> None:
    masks = {}
    for plane in (A, B, C):
        show(clicked, plane)
        masks[plane] = clicked.mask[plane]
    thresholds = clicked.state.result.thresholds
    clicked.press("Clear")
    show(clicked, view)
    click_on(clicked, B, DISCS[1])
    click_on(clicked, A, DISCS[0])
    assert clicked.state.result.reference.planes == (B, A)
    for plane in (C, B, A):
        show(clicked, plane)
        np.testing.assert_array_equal(clicked.mask[plane], masks[plane])
    assert clicked.state.result.thresholds == pytest.approx(thresholds, abs=1e-6)


def test_scrolling_fills_planes(clicked) -> None:
    assert filled(clicked) == {C}
    show(clicked, A)
    assert filled(clicked) == {C, A}
    for plane in (C, A):
        np.testing.assert_array_equal(
            clicked.mask[plane], expected_mask(clicked, plane)
        )


def test_changed_prompts_blank_the_planes_out_of_view(clicked) -> None:
    show(clicked, A)
    click_on(clicked, A, DISCS[2])
    assert filled(clicked) == {A}
    assert not np.asarray(clicked.similarity_layer.data)[C].any()
    show(clicked, C)
    np.testing.assert_array_equal(clicked.mask[C], expected_mask(clicked, C))


@pytest.mark.parametrize("value", [0.2, None])
def test_changed_threshold_blanks_the_planes_out_of_view(
    clicked, value: float | None
) -> None:
    clicked.drag_threshold(0.4)
    clicked.settle()
    show(clicked, A)
    assert filled(clicked) == {C, A}
    if value is None:
        clicked.set_auto(True)
    else:
        clicked.drag_threshold(value)
    clicked.settle()
    assert filled(clicked) == {A}
    show(clicked, C)
    np.testing.assert_array_equal(clicked.mask[C], expected_mask(clicked, C))


def test_changed_cleaning_blanks_the_planes_out_of_view(clicked) -> None:
    show(clicked, A)
    clicked.clean(split=True)
    assert filled(clicked) == {A}
    _, instances = clean_and_label(expected_mask(clicked, A), Cleaning(split=True))
    np.testing.assert_array_equal(clicked.mask[A], instances)
    assert instances.max() >= 3
    show(clicked, C)
    assert clicked.mask[C].max() >= 3


def test_outdated_planes_are_never_seen_while_features_are_computed(
    bench, gate, monkeypatch
) -> None:
    """The prompt on a plane without features takes its time; scrolling goes on."""
    gate.open()
    bench.add_image(draw_stack(4))
    bench.open()
    bench.settle()
    show(bench, (1,))
    click_on(bench, (1,), DISCS[0])
    show(bench, (2,))
    assert filled(bench) == {(1,), (2,)}
    gate.opened.clear()
    bench.prompts.add([3, *DISCS[1]])
    bench.qtbot.waitUntil(lambda: bench.work.session.phase is Phase.PREPARING)
    scroll(bench, (1,))
    bench.qtbot.waitUntil(lambda: bench.state.view == (1,))
    assert bench.work.session.phase is Phase.PREPARING
    assert not bench.mask[1].any()
    gate.open()
    bench.settle()
    assert bench.mask[1].any()
    np.testing.assert_array_equal(bench.mask[1], expected_mask(bench, (1,)))


def test_scrolling_fast_ends_at_the_right_plane_and_extracts_no_other(bench) -> None:
    bench.add_image(draw_stack(12))
    bench.open()
    bench.settle()
    first = bench.state.view
    click_on(bench, (1,), DISCS[0])
    for plane in range(1, 11):
        scroll(bench, (plane,))
        bench.qtbot.wait(1)
    bench.settle()
    assert bench.state.view == (10,)
    assert bench.state.result.plane == (10,)
    held = {index for index in np.ndindex(12) if index in bench.state.planes}
    assert held == {first, (1,), (10,)}
    np.testing.assert_array_equal(bench.mask[10], expected_mask(bench, (10,)))
    assert filled(bench) <= held


def test_undo_across_planes(clicked) -> None:
    show(clicked, A)
    clicked.press("Undo")
    assert clicked.state.result.reference.planes == (A,)
    assert filled(clicked) == {A}
    show(clicked, B)
    clicked.press("Undo")
    assert clicked.state.result is None
    assert not clicked.mask.any()
    click_on(clicked, B, DISCS[1])
    assert clicked.state.result.reference.planes == (B,)
    np.testing.assert_array_equal(clicked.mask[B], expected_mask(clicked, B))


def test_prompts_beyond_the_stack_are_said_and_do_not_count(clicked) -> None:
    click_on(clicked, (1, 7), DISCS[0])
    assert clicked.state.result.reference.planes == (A, B)
    assert "1 prompt lies outside" in clicked.hint


def test_lazy_stack_is_read_where_it_is_needed_only(bench) -> None:
    reads: list[int] = []
    planes = draw_stack(50)

    def read(block_id: tuple[int, ...]) -> np.ndarray:
        reads.append(block_id[0])
        return planes[block_id[0]][None]

    chunks = ((1,) * 50, (SHAPE[0],), (SHAPE[1],))
    lazy = da.map_blocks(read, chunks=chunks, dtype=np.uint8, meta=np.empty((0,) * 3))
    bench.viewer.layers.append(Image(lazy, contrast_limits=(0, 255)))
    # napari itself has looked at the first plane.
    reads.clear()
    bench.open()
    bench.settle()
    seen = set(bench.state.view)
    click_on(bench, (5,), DISCS[0])
    click_on(bench, (31,), DISCS[1])
    for plane in (12, 40):
        show(bench, (plane,))
        seen.add(plane)
    bench.drag_threshold(0.5)
    bench.settle()
    sampled = {index[0] for index in sample_planes((50,))}
    assert {5, 31, 12, 40} <= set(reads) <= seen | {5, 31} | sampled
    np.testing.assert_array_equal(bench.mask[40], expected_mask(bench, (40,)))


@pytest.mark.parametrize("half", [0.5, 1.5, 2.5])
def test_between_two_planes_it_is_the_one_that_napari_shows(half: float) -> None:
    """Another layer with finer steps lets the slider stop half way."""
    viewer = ViewerModel()
    numbers = np.broadcast_to(np.arange(5)[:, None, None], (5, 4, 4))
    image = Image(numbers.astype(np.uint8), contrast_limits=(0, 5))
    viewer.layers.append(image)
    viewer.layers.append(Image(np.zeros((10, 4, 4)), scale=(0.5, 1, 1)))
    viewer.dims.set_point(0, half)
    shown = image.get_value((half, 1, 1), world=True)
    assert layers.plane_in_view(viewer, image) == (shown,)
    points = layers.make_prompt_layer(image, {"object": "white"}, "object")
    layers.set_prompts(points, [[half, 1, 1]], ["object"])
    assert layers.placed_prompts(points, image).planes == ((shown,),)


def test_tilted_stack_is_looked_at_where_napari_slices_it() -> None:
    """napari passes over a tilt out of the plane, and shows one plane all the same."""
    viewer = ViewerModel()
    numbers = np.broadcast_to(np.arange(6)[:, None, None], (6, 40, 40))
    tilt = np.eye(4)
    tilt[0, 1] = 0.5
    image = Image(numbers.astype(np.uint8), affine=tilt, contrast_limits=(0, 6))
    viewer.layers.append(image)
    viewer.dims.set_point(0, 4)
    shown = int(image._slice.image.raw[0, 0])
    assert shown == 4
    assert layers.plane_in_view(viewer, image) == (shown,)


# --- a plane without data


@pytest.fixture
def holed(bench):
    """A stack of four planes; plane 2 is nothing but NaN."""
    data = draw_stack(4).astype(np.float32)
    data[2] = np.nan
    bench.add_image(data, contrast_limits=(0, 255))
    bench.open()
    bench.settle()
    show(bench, (1,))
    click_on(bench, (1,), DISCS[0])
    return bench


def test_plane_without_data_says_so_and_scrolling_goes_on(holed) -> None:
    show(holed, (2,))
    assert "nothing but NaN" in holed.hint
    assert not holed.mask[2].any()
    show(holed, (3,))
    assert "NaN" not in holed.hint
    np.testing.assert_array_equal(holed.mask[3], expected_mask(holed, (3,)))


def test_plane_without_data_in_view_first(bench) -> None:
    data = draw_stack(3).astype(np.float32)
    data[1] = np.nan
    bench.add_image(data, contrast_limits=(0, 255))
    bench.viewer.dims.set_point(0, 1)
    bench.open()
    bench.settle()
    assert "nothing but NaN" in bench.hint
    show(bench, (0,))
    click_on(bench, (0,), DISCS[0])
    np.testing.assert_array_equal(bench.mask[0], expected_mask(bench, (0,)))


@pytest.mark.parametrize("seen", [True, False])
def test_prompt_on_a_plane_without_data_spoils_no_other(holed, seen: bool) -> None:
    if seen:
        show(holed, (2,))
    click_on(holed, (2,), DISCS[0])
    show(holed, (3,))
    assert "1 prompt lies" in holed.hint
    assert holed.state.result.reference.planes == ((1,),)
    np.testing.assert_array_equal(holed.mask[3], expected_mask(holed, (3,)))
    click_on(holed, (3,), DISCS[1])
    assert holed.state.result.reference.planes == ((1,), (3,))


def test_prompts_changed_on_a_plane_without_data_count_elsewhere(holed) -> None:
    show(holed, (2,))
    click_on(holed, (1,), DISCS[1])
    holed.press("Undo")
    click_on(holed, (1,), EMPTY)
    show(holed, (1,))
    assert len(holed.state.result.reference.vectors) == 2
    np.testing.assert_array_equal(holed.mask[1], expected_mask(holed, (1,)))


def test_noise_in_a_stack_holds_no_object(bench) -> None:
    noise = np.random.default_rng(0).normal(100, 20, SHAPE).astype(np.uint8)
    bench.add_image(np.stack([draw_plane(), noise]))
    bench.open()
    show(bench, (0,))
    click_on(bench, (0,), DISCS[0])
    assert bench.mask[0].any()
    show(bench, (1,))
    assert not bench.mask[1].any()
