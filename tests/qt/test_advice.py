"""What the dock says of a mask by the clicked objects, and points only."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QSlider
from skimage.draw import disk
from small_stack import DISCS, draw_stack

import napari_dinoprompt as dp
from napari_dinoprompt.core.references.library import Library

CORES = "Only the cores of what you clicked are in the mask."
# Above half of what is clicked.
HIGH = 0.86
MORE = "Much more than what you clicked is in the mask."


@pytest.fixture
def marked(prompted, scene):
    """With dim discs as background, so that no similarity is 1, the most there is."""
    prompted.click(scene.dim[0], "background")
    prompted.chip("object").click()
    prompted.settle()
    return prompted


def kept(bench, scene) -> list[float]:
    """Return how much of each clicked disc is in the mask."""
    discs = [disk(centre, 6) for centre in scene.bright[:2]]
    return [float((bench.mask[disc] == 1).mean()) for disc in discs]


def cut(bench, threshold: float) -> None:
    bench.drag_threshold(threshold)
    bench.settle()


def advice(bench) -> str:
    """Return the advice on show, whose button is to be seen with it."""
    panel = bench.dock.result
    assert panel._fit.isHidden() is False
    return "" if panel._mend.isHidden() else panel._advice.text()


def test_nothing_is_said_of_auto(marked, scene) -> None:
    assert advice(marked) == ""
    assert min(kept(marked, scene)) > 0.8
    marked.press("Clear")
    assert advice(marked) == ""


@pytest.mark.parametrize(("threshold", "said"), [(HIGH, CORES), (-0.5, MORE)])
def test_a_threshold_far_off_is_said_and_mended(
    marked, scene, threshold: float, said: str
) -> None:
    cut(marked, threshold)
    assert advice(marked) == said
    before = kept(marked, scene)
    assert (max(before) < 0.5) == (said == CORES)
    marked.press("Fit to clicked objects")
    assert advice(marked) == ""
    assert min(kept(marked, scene)) > 0.9
    # It parts them: what is around the discs is not in the mask.
    ring = np.ones((31, 31), bool)
    ring[disk((15, 15), 9)] = False
    for y, x in scene.bright[:2].astype(int):
        assert not marked.mask[y - 15 : y + 16, x - 15 : x + 16][ring].any()
    assert not marked.auto_shown
    used = marked.state.result.thresholds["object"]
    assert used == marked.state.result.fitted_threshold("object")
    assert marked.threshold_shown == pytest.approx(used, abs=0.005)
    marked.set_auto(True)
    marked.settle()
    assert advice(marked) == ""


def test_keys_move_the_threshold_when_the_button_is_gone(marked, qtbot) -> None:
    dock = marked.dock
    dock.show()
    dock.activateWindow()
    qtbot.waitUntil(dock.isActiveWindow)
    cut(marked, HIGH)
    dock.result._fit.setFocus()
    marked.press("Fit to clicked objects")
    assert advice(marked) == ""
    assert dock.focusWidget() is dock.result._slider.findChild(QSlider)


def test_it_goes_with_the_prompts_and_comes_back(marked, scene) -> None:
    cut(marked, HIGH)
    assert advice(marked) == CORES
    marked.press("Clear")
    assert advice(marked) == ""
    marked.press("Undo")
    assert advice(marked) == CORES


def test_it_is_about_the_class_on_the_slider(prompted, scene) -> None:
    prompted.work.add_class("dim")
    prompted.click(scene.dim[:2])
    cut(prompted, 0.995)
    assert prompted.shows("threshold of dim")
    assert advice(prompted) == CORES
    prompted.chip("object").click()
    assert advice(prompted) == ""
    prompted.chip("dim").click()
    assert advice(prompted) == CORES
    others = prompted.state.result.thresholds["object"]
    prompted.press("Fit to clicked objects")
    assert advice(prompted) == ""
    assert prompted.state.result.thresholds["object"] == others
    assert set(prompted.state.thresholds) == {"dim"}


def test_a_class_without_prompts_is_told_nothing(prompted) -> None:
    cut(prompted, 0.995)
    prompted.work.add_class("empty")
    assert advice(prompted) == ""


def test_an_outdated_result_is_told_nothing(marked, scene) -> None:
    cut(marked, HIGH)
    marked.prompts.add(scene.bright[2])
    marked.work.prompts.flush()
    assert marked.state.outdated
    assert marked.work.session.advice() == ""
    marked.settle()
    assert advice(marked) == CORES


# --- points only


def points_only(bench) -> None:
    bench.dock.prompts._points_only.click()
    bench.settle()


def bare(scene, *, only_points: bool) -> dp.Reference:
    backbone = dp.load_backbone("filterbank", device="cpu")
    features = dp.extract_features(scene.image, backbone)
    return dp.Reference.from_prompts(
        features, scene.bright[:2], points_only=only_points
    )


def test_points_only_takes_the_features_at_the_points(prompted, scene) -> None:
    similarity, mask = np.array(prompted.similarity_layer.data), prompted.mask
    assert (prompted.state.result.reference.areas > 50).all()
    points_only(prompted)
    reference = prompted.state.result.reference
    np.testing.assert_array_equal(reference.areas, [0, 0])
    wanted = bare(scene, only_points=True)
    np.testing.assert_array_equal(reference.vectors, wanted.vectors)
    found = dp.segment(scene.image, wanted)
    np.testing.assert_array_equal(prompted.similarity_layer.data, found.similarity)
    np.testing.assert_array_equal(prompted.mask, found.mask)
    assert (prompted.similarity_layer.data != similarity).any()
    points_only(prompted)
    np.testing.assert_array_equal(prompted.similarity_layer.data, similarity)
    np.testing.assert_array_equal(prompted.mask, mask)


def test_other_docks_and_images_follow(prompted, scene, other_scene) -> None:
    second = prompted.open()
    points_only(prompted)
    assert second.prompts._points_only.isChecked()
    first = prompted.state
    prompted.choose(prompted.add_image(other_scene.image))
    prompted.settle()
    prompted.click(other_scene.bright[:2])
    assert not prompted.state.result.reference.areas.any()
    points_only(prompted)
    prompted.choose(first.image)
    prompted.settle()
    assert first.result.reference.areas.all()


def test_planes_of_other_images_are_not_left_as_they_were(bench, scene) -> None:
    bench.add_image(draw_stack(3))
    bench.open()
    bench.settle()
    for plane in (2, 0):
        bench.viewer.dims.set_point(0, plane)
        bench.settle()
        bench.prompts.add((plane, *DISCS[0]))
        bench.settle()
    stack = bench.state
    assert bench.mask[0].any()
    bench.viewer.dims.set_point(0, 2)
    bench.settle()
    assert bench.mask[2].any()
    bench.choose(bench.add_image(scene.image))
    points_only(bench)
    bench.choose(stack.image)
    bench.settle()
    assert stack.view == (2,)
    assert bench.mask[2].any()
    assert not bench.mask[0].any()


def test_ticked_while_features_are_computed(bench, scene, gate) -> None:
    bench.add_image(scene.image)
    bench.open()
    bench.qtbot.waitUntil(lambda: gate.tiles == 1)
    bench.dock.prompts._points_only.click()
    bench.prompts.add(scene.bright[0])
    gate.open()
    bench.settle()
    assert not bench.state.result.reference.areas.any()


def test_the_library_keeps_what_prompts_stand_for(
    prompted, scene, answer, library
) -> None:
    points_only(prompted)
    prompted.turn_to("References")
    answer("points")
    prompted.press("Save prompts as reference…")
    (entry,) = Library(library).entries()
    saved = Library(library).load(entry)
    np.testing.assert_array_equal(saved.areas, [0, 0])
    np.testing.assert_array_equal(saved.vectors, bare(scene, only_points=True).vectors)


@pytest.mark.parametrize("part", ["convergence", "resolution"])
def test_the_study_is_of_the_same_prompts(prompted, scene, part: str) -> None:
    prompted.click(scene.bright[2])
    points_only(prompted)
    prompted.turn_to("Study")
    prompted.dock.study.choose(part)
    prompted.press("Run")
    studying = prompted.work.tab_jobs.studying
    result = studying.result(part)
    assert result is not None
    wanted = dp.study(
        scene.image,
        scene.bright[:3],
        backbone=dp.load_backbone("filterbank"),
        parts=[part],
        points_only=True,
    )
    timed = ("seconds", "recommended")
    for one, other in zip(
        result.found.rows(), getattr(wanted, part).rows(), strict=True
    ):
        np.testing.assert_equal(
            {key: value for key, value in one.items() if key not in timed},
            {key: value for key, value in other.items() if key not in timed},
        )
    prompted.work.scoring.choose_points_only(False)
    prompted.settle()
    assert not studying.is_current(part)
