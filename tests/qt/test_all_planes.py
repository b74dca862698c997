"""All planes of a stack in the dock: progress, stopping, going on, 3-D objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from small_stack import DISCS, SHAPE, draw_plane, draw_stack

from napari_dinoprompt.core.backbones.filterbank import FilterBank
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.segmentation.segment import SegmentOptions
from napari_dinoprompt.core.segmentation.stack import segment_stack

if TYPE_CHECKING:
    from collections.abc import Callable

CLEANING = Cleaning(min_size=20, fill_holes=True, split=True)


@pytest.fixture
def clicked(bench):
    """A stack of 6 planes with prompts on the first."""
    return click_on(bench, draw_stack(2, 3))


def click_on(bench, data: np.ndarray, **options: object):
    bench.add_image(data, name="stack", **options)
    bench.open()
    bench.settle()
    at_first = (0,) * (data.ndim - 2)
    show(bench, at_first)
    bench.prompts.add([(*at_first, *disc) for disc in DISCS])
    bench.settle()
    return bench


def show(bench, plane: tuple[int, ...]) -> None:
    for axis, at in enumerate(plane):
        bench.viewer.dims.set_point(axis, at)
    bench.settle()


def expected(bench, **options: object):
    """What the Python API finds with the reference of the dock."""
    session = bench.work.session
    return segment_stack(
        np.asarray(bench.state.image.data),
        bench.state.result.reference.with_thresholds(bench.state.thresholds),
        FilterBank(bench.work.features.shelf.get(session.request.backbone).device),
        SegmentOptions(cleaning=session.cleaning, **options),
    )


def similarity(bench) -> np.ndarray:
    return np.array(bench.similarity_layer.data)


def filled(bench) -> list[tuple[int, ...]]:
    mask = bench.mask
    return [index for index in np.ndindex(mask.shape[:-2]) if mask[index].any()]


def test_all_planes_are_those_of_segment_stack(clicked) -> None:
    clicked.press("All planes")
    found = expected(clicked)
    np.testing.assert_array_equal(similarity(clicked), found.similarity)
    np.testing.assert_array_equal(clicked.mask, found.mask)
    assert len(filled(clicked)) == 6
    said = f"6 of 6 planes, counted in each: {found.instances.max()} objects · median"
    assert clicked.shows(said)


def test_cleaned_and_numbered_planes_too(clicked) -> None:
    clicked.work.choose_cleaning(CLEANING)
    clicked.settle()
    clicked.press("All planes")
    found = expected(clicked)
    np.testing.assert_array_equal(clicked.mask, found.instances)
    assert clicked.mask.max() > 6
    # A plane that is looked at keeps its numbers.
    show(clicked, (1, 2))
    np.testing.assert_array_equal(clicked.mask, found.instances)


def test_objects_through_the_planes(clicked) -> None:
    clicked.work.choose_cleaning(CLEANING)
    clicked.settle()
    clicked.dock.stack._objects_3d.setChecked(True)
    clicked.press("All planes")
    found = expected(clicked, objects_3d=True)
    np.testing.assert_array_equal(clicked.mask, found.instances)
    assert clicked.shows(f"Through 6 planes: {found.instances.max()} objects · median")
    assert clicked.shows("voxels")
    show(clicked, (1, 1))
    np.testing.assert_array_equal(clicked.mask, found.instances)
    clicked.dock.stack._objects_3d.setChecked(False)
    clicked.settle()
    np.testing.assert_array_equal(clicked.mask, expected(clicked).instances)
    clicked.dock.stack._objects_3d.setChecked(True)
    clicked.settle()
    np.testing.assert_array_equal(clicked.mask, found.instances)


def test_the_scale_of_the_layer_is_the_spacing(bench) -> None:
    click_on(bench, draw_stack(5), scale=(4.0, 0.5, 0.5))
    bench.work.choose_cleaning(CLEANING)
    bench.settle()
    bench.dock.stack._objects_3d.setChecked(True)
    bench.press("All planes")
    found = expected(bench, objects_3d=True, spacing=(4.0, 0.5, 0.5))
    np.testing.assert_array_equal(bench.mask, found.instances)


def test_another_cleaning_needs_no_features(clicked, monkeypatch) -> None:
    clicked.dock.stack._objects_3d.setChecked(True)
    clicked.press("All planes")
    before = similarity(clicked)
    with monkeypatch.context() as patch:
        patch.setattr(FilterBank, "__call__", None)
        clicked.clean(min_size=200, fill=True)
    found = expected(clicked, objects_3d=True)
    np.testing.assert_array_equal(clicked.mask, found.instances)
    np.testing.assert_array_equal(similarity(clicked), before)
    clicked.dock.stack._objects_3d.setChecked(False)
    clicked.clean(min_size=0)
    np.testing.assert_array_equal(clicked.mask, expected(clicked).mask)


def test_stopped_it_goes_on_from_there(
    bench, gate, idle: Callable[[], None], qtbot
) -> None:
    gate.open()
    click_on(bench, draw_stack(4))
    # The plane in the middle was in view first.
    each = gate.tiles // 2
    gate.opened.clear()
    before = gate.tiles
    bench.button("All planes").click()
    assert bench.work.stacks.running
    qtbot.waitUntil(lambda: gate.tiles > before)
    # Those that need no tile: the plane in view, and that in the middle.
    qtbot.waitUntil(lambda: bench.shows("2 of 4 planes"))
    assert not bench.dock.stack._bar.isHidden()
    assert bench.dock.stack._start.isHidden()
    bench.press("Stop")
    gate.open()
    idle()
    assert not bench.work.stacks.running
    assert filled(bench) == [(0,), (1,)]
    held_up = gate.tiles
    bench.press("All planes")
    assert gate.tiles - held_up == 2 * each
    assert len(filled(bench)) == 4
    np.testing.assert_array_equal(similarity(bench), expected(bench).similarity)
    done = gate.tiles
    bench.press("All planes")
    assert gate.tiles == done


@pytest.mark.parametrize("change", ["prompt", "threshold", "image"])
def test_a_change_stops_it(
    bench, gate, idle: Callable[[], None], qtbot, change: str
) -> None:
    gate.open()
    other = bench.add_image(draw_plane(7), name="other")
    click_on(bench, draw_stack(4))
    gate.opened.clear()
    before = gate.tiles
    bench.button("All planes").click()
    qtbot.waitUntil(lambda: gate.tiles > before)
    if change == "prompt":
        bench.prompts.add((0, 24.5, 30.5))
    elif change == "threshold":
        bench.drag_threshold(0.9)
    else:
        bench.choose(other)
    qtbot.waitUntil(lambda: not bench.work.stacks.running)
    gate.open()
    bench.settle()
    idle()
    if change == "image":
        assert bench.dock.stack.isHidden()
    else:
        # Only the plane in view is of the prompts as they are now.
        assert filled(bench) in ([(0,)], [])
        bench.press("All planes")
        np.testing.assert_array_equal(bench.mask, expected(bench).mask)


def test_looking_around_meanwhile(bench, gate, qtbot) -> None:
    gate.open()
    click_on(bench, draw_stack(4))
    gate.opened.clear()
    before = gate.tiles
    bench.button("All planes").click()
    qtbot.waitUntil(lambda: gate.tiles > before)
    bench.viewer.dims.set_point(0, 3)
    gate.open()
    bench.settle()
    assert bench.state.result.plane == (3,)
    found = expected(bench)
    np.testing.assert_array_equal(bench.mask, found.mask)
    np.testing.assert_array_equal(similarity(bench), found.similarity)


def test_a_plane_without_data_is_blank(bench) -> None:
    data = draw_stack(3).astype(np.float32)
    data[1] = np.nan
    click_on(bench, data)
    bench.press("All planes")
    found = expected(bench)
    np.testing.assert_array_equal(bench.mask, found.mask)
    assert filled(bench) == [(0,), (2,)]
    # Looking at it takes nothing away from the others.
    show(bench, (1,))
    assert filled(bench) == [(0,), (2,)]
    assert not bench.button("All planes").isEnabled()
    show(bench, (2,))
    np.testing.assert_array_equal(bench.mask, found.mask)


def test_a_deleted_layer_comes_back(clicked) -> None:
    clicked.press("All planes")
    clicked.viewer.layers.remove(clicked.mask_layer)
    clicked.settle()
    clicked.press("All planes")
    np.testing.assert_array_equal(clicked.mask, expected(clicked).mask)


def test_it_is_there_for_stacks_with_prompts_only(bench) -> None:
    plane = bench.add_image(draw_plane(), name="plane")
    stack = bench.add_image(draw_stack(2), name="stack")
    bench.open()
    bench.settle()
    bench.choose(plane)
    bench.settle()
    assert bench.dock.stack.isHidden()
    bench.choose(stack)
    bench.settle()
    assert not bench.dock.stack.isHidden()
    assert not bench.button("All planes").isEnabled()
    bench.prompts.add((0, *DISCS[0]))
    bench.settle()
    assert bench.button("All planes").isEnabled()
    assert bench.mask.shape == (2, *SHAPE)


def test_taken_back_while_objects_are_numbered(clicked, idle: Callable) -> None:
    clicked.work.choose_cleaning(CLEANING)
    clicked.settle()
    clicked.press("All planes")
    box = clicked.dock.stack._objects_3d
    for wanted in (True, False, True, False):
        box.setChecked(wanted)
        clicked.qtbot.wait(5)
    clicked.settle()
    idle()
    np.testing.assert_array_equal(clicked.mask, expected(clicked).instances)
    box.setChecked(True)
    clicked.button("Stop").click()
    clicked.press("All planes")
    found = expected(clicked, objects_3d=True)
    np.testing.assert_array_equal(clicked.mask, found.instances)


def test_plain_maps_of_all_planes_and_masks_that_stay(clicked) -> None:
    clicked.press("All planes")
    masks = clicked.mask
    clicked.choose_map("plain")
    np.testing.assert_array_equal(clicked.mask, masks)
    found = expected(clicked, map="plain")
    here = clicked.state.view
    np.testing.assert_array_equal(similarity(clicked)[here], found.similarity[here])
    # The others come as they are looked at; nothing of the other kind is left there.
    assert not similarity(clicked)[1, 2].any()
    show(clicked, (1, 2))
    np.testing.assert_array_equal(similarity(clicked)[1, 2], found.similarity[1, 2])


def test_all_planes_with_plain_maps(clicked) -> None:
    clicked.choose_map("plain")
    clicked.press("All planes")
    found = expected(clicked, map="plain")
    np.testing.assert_array_equal(similarity(clicked), found.similarity)
    np.testing.assert_array_equal(clicked.mask, found.mask)
