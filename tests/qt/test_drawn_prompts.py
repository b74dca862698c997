"""Labels and shapes as prompts: each region stands for all of its pixels."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels, Shapes
from skimage.measure import label

import napari_dinoprompt as dp
from napari_dinoprompt import layers
from napari_dinoprompt.core.prompts import Prompts


@pytest.fixture
def regions(scene) -> np.ndarray:
    """The first three bright discs, as 1 to 3."""
    found = label(scene.image > 110)
    keep = [found[tuple(centre)] for centre in scene.bright[:3].astype(int)]
    return np.array(
        [keep.index(i) + 1 if i in keep else 0 for i in range(found.max() + 1)]
    )[found]


def take(bench, layer) -> None:
    """Choose a layer in the menu of the button."""
    bench.viewer.layers.append(layer)
    bench.settle()
    menu = bench.dock.prompts._drawn.menu()
    (action,) = [one for one in menu.actions() if one.text() == layer.name]
    action.trigger()
    bench.settle()


def same(reference, wanted) -> None:
    np.testing.assert_array_equal(reference.vectors, wanted.vectors)
    np.testing.assert_allclose(reference.points, wanted.points, rtol=1e-12)
    np.testing.assert_array_equal(reference.areas, wanted.areas)
    assert reference.classes == wanted.classes
    assert reference.auto_thresholds == wanted.auto_thresholds


def wanted(scene, prompts):
    backbone = dp.load_backbone("filterbank")
    return dp.make_reference(scene.image, prompts, backbone=backbone)


def test_labels_give_the_reference_of_the_python_api(ready, scene, regions) -> None:
    take(ready, Labels(regions, name="drawn"))
    reference = ready.work.session.reference()
    same(reference, wanted(scene, Prompts.of_regions(regions)))
    by_points = wanted(scene, Prompts.of(reference.points))
    assert not np.array_equal(reference.vectors, by_points.vectors)
    assert ready.found(scene.bright[3:]) == [1, 1]


def test_a_column_gives_the_classes(ready, scene, regions) -> None:
    features = {"index": [1, 3], "class": ["background", "round"]}
    ready.work.add_class("disc")
    take(ready, Labels(regions, name="drawn", features=features))
    classes = ("background", "disc", "round")
    assert layers.prompt_classes(ready.prompts) == classes
    same(
        ready.work.session.reference(),
        wanted(scene, Prompts.of_regions(regions, dict(enumerate(classes, 1)))),
    )


def test_a_moved_point_forgets_its_region_and_undo_brings_it_back(
    ready, scene, regions
) -> None:
    # Half of a disc, which no point stands for.
    regions[:15, :30] = 0
    take(ready, Labels(regions, name="drawn"))
    before = ready.work.session.reference()
    points = np.array(ready.prompts.data)
    moved = points.copy()
    moved[0] += (1, 0)
    ready.prompts.data = moved
    ready.settle()
    drawn = Prompts.of_regions(regions)
    rest = Prompts(moved, drawn.classes, regions=(None, *drawn.regions[1:]))
    same(ready.work.session.reference(), wanted(scene, rest))
    assert not np.array_equal(
        ready.work.session.reference().vectors[0], before.vectors[0]
    )
    ready.press("Undo")
    same(ready.work.session.reference(), before)
    ready.press("Undo")
    assert not len(ready.prompts.data)
    ready.press("Redo")
    same(ready.work.session.reference(), before)


@pytest.mark.parametrize(
    "placed",
    [
        {"scale": (0.5, 2.0), "translate": (3, -4)},
        {"scale": (0.5, 0.5), "rotate": 30},
    ],
)
def test_layers_that_lie_differently_meet_in_the_world(
    bench, scene, regions, placed
) -> None:
    image = bench.add_image(scene.image, name="scene", **placed)
    bench.open()
    bench.settle()
    # Twice as fine as the image, at the same place.
    finer = {**placed, "scale": tuple(np.array(placed["scale"]) / 2)}
    corner = image.data_to_world((-0.25, -0.25))
    finer["translate"] = corner
    fine = np.kron(regions, np.ones((2, 2), int))
    take(bench, Labels(fine, name="drawn", **finer))
    same(bench.work.session.reference(), wanted(scene, Prompts.of_regions(regions)))


def test_shapes_are_filled_and_lines_are_strokes(ready, scene) -> None:
    shapes = Shapes(ndim=2, name="shapes")
    y, x = scene.bright[0]
    shapes.add_rectangles([[y - 4, x - 4], [y + 4, x + 4]])
    y, x = scene.bright[1]
    shapes.add_ellipses([[y, x], [4, 4]])
    shapes.add_lines([[87, 30], [87, 90]], edge_width=3)
    take(ready, shapes)
    assert len(ready.prompts.data) == 3
    regions = ready.state.regions.values()
    box, disc, stroke = (len(one) for one in regions)
    whole = shapes.to_labels(scene.image.shape)
    assert box == (whole == 1).sum()
    assert disc == (whole == 2).sum()
    assert stroke > 2.5 * (whole == 3).sum()
    first = Prompts.of_regions((whole == 1).astype(int))
    np.testing.assert_array_equal(next(iter(regions)), first.regions[0])
    np.testing.assert_array_equal(ready.prompts.data[0], first.points[0])


def test_shapes_off_the_image_are_refused_by_name(ready) -> None:
    shapes = Shapes([[[200, 200], [210, 220]]], shape_type="rectangle", name="far")
    take(ready, shapes)
    assert ready.hint == "Nothing in far lies on the plane in view of scene."
    assert not len(ready.prompts.data)


def test_a_crowd_of_labels_is_refused_by_name(ready) -> None:
    crowd = np.zeros((96, 120), int)
    crowd[:50, :50] = np.arange(1, 2501).reshape(50, 50)
    take(ready, Labels(crowd, name="crowd"))
    assert "crowd holds 2500 regions, and at most 2000" in ready.hint


def test_regions_of_a_stack_are_those_of_the_plane_in_view(
    bench, scene, regions
) -> None:
    bench.add_image(np.stack([scene.image, scene.image[::-1]]), name="stack")
    bench.open()
    bench.viewer.dims.set_point(0, 1)
    bench.settle()
    take(bench, Labels(np.stack([regions, regions[::-1] // 3]), name="drawn"))
    assert [tuple(one) for one in bench.prompts.data[:, :1]] == [(1.0,)]
    (region,) = bench.state.regions.values()
    assert len(region) == (regions == 3).sum()
    y, x = scene.bright[0]
    box = [(1, y - 3, x - 3), (1, y - 3, x + 3), (1, y + 3, x + 3), (1, y + 3, x - 3)]
    other = [(0, *corner[1:]) for corner in box]
    take(bench, Shapes([box, other], shape_type="rectangle", name="boxes"))
    assert bench.prompts.data[:, 0].tolist() == [1, 1]
