"""What is seen and what is computed are the same, or the difference is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.layers import Image, Points
from small_stack import DISCS, draw_stack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stack(bench):
    """The dock on a stack of four planes, of which the second is in view."""
    bench.add_image(draw_stack(4), name="cells", scale=(2.5, 1, 1))
    bench.open()
    bench.settle()
    bench.viewer.dims.set_point(0, 2.5)
    bench.settle()
    for disc in DISCS[:2]:
        bench.prompts.add((1, *disc))
    bench.settle()
    assert bench.state.view == (1,)
    assert bench.mask[1].any()
    return bench


def test_3d_takes_the_tool_away_and_gives_it_back(stack) -> None:
    stack.viewer.dims.ndisplay = 3
    stack.settle()
    assert "In 3-D a click has no depth" in stack.hint
    assert "plane 1 of cells" in stack.hint
    assert stack.prompts.mode == "pan_zoom"
    stack.press("Add prompts")
    assert stack.prompts.mode == "pan_zoom"
    stack.viewer.dims.ndisplay = 2
    stack.settle()
    assert stack.prompts.mode == "add"
    assert "3-D" not in stack.hint


def test_3d_of_a_plane(ready) -> None:
    ready.viewer.dims.ndisplay = 3
    ready.settle()
    assert ready.hint.startswith("In 3-D a click has no depth")
    assert "Computed" not in ready.hint
    assert ready.prompts.mode == "pan_zoom"


def test_rolled_axes_are_told_and_clicks_lie_where_they_are_seen(stack) -> None:
    before = stack.mask
    stack.viewer.dims.roll()
    stack.settle()
    assert "other axes than the last two" in stack.hint
    assert "plane 1 of cells" in stack.hint
    # In view are z and y of one column: a click there lies on a plane as any other.
    (column,) = stack.viewer.dims.not_displayed
    assert column == 2
    stack.prompts.add((2.2, *DISCS[2]))
    stack.settle()
    reference = stack.state.result.reference
    assert reference.planes[-1] == (2,)
    np.testing.assert_allclose(reference.points[-1], DISCS[2])
    stack.press("Undo")
    stack.viewer.dims.order = (0, 1, 2)
    stack.settle()
    assert "axes" not in stack.hint
    np.testing.assert_array_equal(stack.mask, before)


def test_rows_and_columns_exchanged_show_the_same_plane(stack) -> None:
    stack.viewer.dims.order = (0, 2, 1)
    stack.settle()
    assert "axes" not in stack.hint
    assert stack.state.view == (1,)


def test_thick_slices_are_told_where_they_join_planes(stack) -> None:
    stack.state.image.projection_mode = "mean"
    stack.viewer.dims.margin_left = (0.5, 0, 0)
    stack.settle()
    assert "joins" not in stack.hint
    stack.viewer.dims.margin_left = (2.5, 0, 0)
    stack.settle()
    assert "The view joins several planes. Computed is plane 1 of cells" in stack.hint
    stack.state.image.projection_mode = "none"
    stack.settle()
    assert "joins" not in stack.hint


def test_between_planes_napari_shows_the_one_that_is_computed(stack) -> None:
    """Beside a layer of finer steps the sliders stop between the planes."""
    other = Image(np.zeros((61, 9, 9)), scale=(0.25, 1, 1), name="finer")
    stack.viewer.layers.append(other)
    image = stack.state.image
    seen = set()
    for at in np.arange(0, 8.6, 0.25):
        stack.viewer.dims.set_point(0, at)
        stack.settle()
        (plane,) = stack.state.view
        shown = image.get_value((stack.viewer.dims.point[0], *DISCS[0]), world=True)
        assert shown == image.data[(plane, *DISCS[0].astype(int))]
        seen.add(plane)
    assert seen == {0, 1, 2, 3}
    stack.viewer.dims.set_point(0, 12)
    stack.settle()
    assert image.get_value((12, *DISCS[0]), world=True) is None
    assert "Computed is the nearest, plane 3 of cells" in stack.hint


def test_grid_of_several_images_says_whose_prompts_clicks_are(ready, scene) -> None:
    ready.viewer.canvas.grid.enabled = True
    ready.settle()
    assert "grid" not in ready.hint
    ready.add_image(scene.image, name="other")
    ready.viewer.canvas.grid.enabled = False
    ready.viewer.canvas.grid.enabled = True
    ready.settle()
    assert ready.hint == "A click in any cell of the grid is a prompt of scene."


def own_points(bench, layer: Points) -> None:
    bench.viewer.layers.append(layer)
    bench.settle()
    bench.work.choose_prompts(layer)
    bench.settle()


def test_points_saved_from_a_scaled_image(
    bench, scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """napari saves pixels, and opens them where it takes them for micrometres."""
    from napari_dinoprompt._qt.common import jobs

    told: list[str] = []
    monkeypatch.setattr(jobs, "show_warning", told.append)
    bench.add_image(scene.image, name="scaled", scale=(0.25, 0.25))
    bench.open()
    bench.settle()
    bench.click(scene.bright[:2])
    before = bench.mask
    path = tmp_path / "points.csv"
    bench.prompts.save(str(path), plugin="napari")
    bench.viewer.open(path, plugin="napari")
    layer = bench.viewer.layers[-1]
    np.testing.assert_allclose(layer.data, scene.bright[:2])
    bench.settle()
    bench.work.choose_prompts(layer)
    bench.settle()
    (said,) = told
    assert said.startswith(f"{layer.name} and scaled differ in scale or place")
    # What is said to do brings them where they were.
    layer.scale = bench.state.image.scale
    bench.settle()
    np.testing.assert_array_equal(bench.mask, before)
    # Points that nobody read from a file lie where they were put.
    own_points(bench, Points(scene.bright[:2] * 0.25, name="mine"))
    assert len(told) == 1
    np.testing.assert_array_equal(bench.mask, before)


def test_own_points_with_scale_and_place(ready, scene) -> None:
    where = (scene.bright[:2] - (4, -7)) / (0.5, 2)
    own_points(ready, Points(where, scale=(0.5, 2), translate=(4, -7), name="mine"))
    np.testing.assert_allclose(ready.state.result.reference.points, scene.bright[:2])
    assert ready.found(scene.bright) == [1] * 5
