"""Every kind of image layer: clicks land in the right cell, results cover the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image
from small_stack import DISCS, EMPTY, SHAPE, draw_plane, draw_stack

import napari_dinoprompt as dp
from napari_dinoprompt.core.segmentation.similarities import score_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex

TILTED = {
    "scale": (0.5, 2.0),
    "rotate": 30,
    "shear": [0.3],
    "translate": (7, -5),
    "affine": [[1.1, 0.2, 3.0], [-0.1, 0.9, -4.0], [0, 0, 1]],
}


@dataclass(frozen=True)
class Kind:
    """A kind of image layer, and planes of it to click on and to look at."""

    data: Callable[[], Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    clicked: tuple[PlaneIndex, ...] = ((),)
    seen: tuple[PlaneIndex, ...] = ((),)
    beside: Callable[[], list[Image]] = list

    def plane(self, index: PlaneIndex) -> NDArray[Any]:
        data = self.data()
        full = data[0] if isinstance(data, list) else data
        return np.asarray(full[index] if index else full)


def stack_kind(data: Callable[[], Any], *clicked: PlaneIndex, **options: Any) -> Kind:
    beside = options.pop("beside", list)
    seen = (*clicked[::-1], options.pop("also", clicked[0]))
    return Kind(data, options, clicked, seen, beside)


def with_a_hole() -> NDArray[np.float32]:
    plane = draw_plane().astype(np.float32) / 7 - 3
    plane[:8, 44:] = np.nan
    return plane


def coloured(plane: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    colours = [plane, plane // 2, 255 - plane, np.full_like(plane, 255)]
    return np.stack(colours[:channels], axis=-1)


def in_zarr(data: NDArray[Any]) -> zarr.Array:
    array = zarr.create_array(
        store=zarr.storage.MemoryStore(),
        shape=data.shape,
        chunks=(*(1,) * (data.ndim - 2), 20, 30),
        dtype=data.dtype,
    )
    array[...] = data
    return array


def pyramid(wrap: Callable[[Any], Any]) -> list[Any]:
    plane = np.kron(draw_plane(), np.ones((2, 2), np.uint8))
    return [wrap(plane[::step, ::step]) for step in (2, 4, 8)]


def far_and_coarse() -> list[Image]:
    return [
        Image(
            np.zeros((4, 9, 9)),
            scale=(7, 1, 1),
            translate=(-21, 0, 0),
            contrast_limits=(0, 1),
        )
    ]


KINDS = {
    "uint8": Kind(draw_plane),
    "uint16": Kind(lambda: draw_plane().astype(np.uint16) * 200),
    "float32 with NaN": Kind(with_a_hole, {"contrast_limits": (-3, 30)}),
    "bool": Kind(lambda: draw_plane() > 80),
    "RGB": Kind(lambda: coloured(draw_plane(), 3), {"rgb": True}),
    "RGBA": Kind(lambda: coloured(draw_plane(), 4), {"rgb": True}),
    "scaled": Kind(draw_plane, {"scale": (0.25, 3.0)}),
    "translated": Kind(draw_plane, {"translate": (-31.5, 400)}),
    "rotated": Kind(draw_plane, {"rotate": 25}),
    "sheared": Kind(draw_plane, {"shear": [0.4]}),
    "affine": Kind(draw_plane, {"affine": TILTED["affine"]}),
    "all together": Kind(draw_plane, TILTED),
    "multiscale": Kind(
        lambda: pyramid(np.asarray), {"multiscale": True, "scale": (0.5, 0.5)}
    ),
    "multiscale dask": Kind(
        lambda: pyramid(lambda level: da.from_array(level, chunks=20)),
        {"multiscale": True, "contrast_limits": (0, 255)},
    ),
    "dask": Kind(
        lambda: da.from_array(draw_plane(), chunks=(20, 30)),
        {"contrast_limits": (0, 255)},
    ),
    "zarr": Kind(lambda: in_zarr(draw_plane()), {"contrast_limits": (0, 255)}),
    "ZYX": stack_kind(lambda: draw_stack(4), (1,), (2,), also=(0,)),
    "ZYX zarr": stack_kind(
        lambda: in_zarr(draw_stack(3)), (2,), contrast_limits=(0, 255), also=(0,)
    ),
    "ZYX dask": stack_kind(
        lambda: da.from_array(draw_stack(3), chunks=(1, -1, -1)),
        (2,),
        contrast_limits=(0, 255),
        also=(1,),
    ),
    "ZYX multiscale": stack_kind(
        lambda: [draw_stack(3), draw_stack(3)[:, ::2, ::2]],
        (2,),
        multiscale=True,
        also=(0,),
    ),
    "TZYX": stack_kind(lambda: draw_stack(2, 3), (1, 2), (0, 1), also=(1, 0)),
    "TZCYX": stack_kind(lambda: draw_stack(2, 2, 2), (1, 0, 1), also=(0, 1, 0)),
    "stack of RGB": stack_kind(
        lambda: coloured(draw_stack(3), 3), (2,), rgb=True, also=(0,)
    ),
    "z spacing and shift": stack_kind(
        lambda: draw_stack(4),
        (3,),
        (1,),
        scale=(2.5, 0.5, 0.5),
        translate=(-40, 3, 7),
        also=(2,),
    ),
    "stack rotated in its plane": stack_kind(
        lambda: draw_stack(3),
        (2,),
        rotate=[[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]],
        scale=(3, 1, 1),
        also=(1,),
    ),
    "stack beside a 2-D layer": stack_kind(
        lambda: draw_stack(3),
        (2,),
        (1,),
        beside=lambda: [Image(np.zeros((9, 9)), scale=(9, 9))],
        also=(0,),
    ),
    "stack beside another range": stack_kind(
        lambda: draw_stack(4),
        (3,),
        (1,),
        scale=(7, 1, 1),
        translate=(7, 0, 0),
        beside=far_and_coarse,
        also=(2,),
    ),
    "stack in a world of more axes": stack_kind(
        lambda: draw_stack(3),
        (2,),
        beside=lambda: [Image(np.zeros((2, 2, 2, 9, 9)))],
        also=(1,),
    ),
    "axes of length 1": stack_kind(
        lambda: draw_stack(1, 3, 1), (0, 2, 0), also=(0, 0, 0)
    ),
    "one plane": stack_kind(lambda: draw_stack(1), (0,)),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def open_kind(bench, kind: Kind) -> Image:
    for layer in kind.beside():
        bench.viewer.layers.append(layer)
    image = bench.add_image(kind.data(), **kind.options)
    bench.viewer.layers.selection.active = image
    bench.open()
    bench.settle()
    assert bench.state.image is image
    return image


def show(bench, image: Image, plane: PlaneIndex) -> None:
    """Move the sliders to a plane."""
    world = image.data_to_world((*plane, 0, 0))
    first = bench.viewer.dims.ndim - image.ndim
    for axis in range(len(plane)):
        bench.viewer.dims.set_point(first + axis, world[axis])
    bench.settle()


def click_in_the_world(bench, image: Image, kind: Kind) -> None:
    """Click on discs of the planes to be clicked, and once on the background."""
    for plane in kind.clicked:
        show(bench, image, plane)
        for disc in DISCS[:2]:
            world = image.data_to_world((*plane, *disc))
            bench.prompts.add(bench.prompts.world_to_data(world))
    bench.chip("background").click()
    world = image.data_to_world((*kind.clicked[0], *EMPTY))
    bench.prompts.add(bench.prompts.world_to_data(world))
    bench.chip("object").click()
    bench.settle()


def features_of(kind: Kind, plane: PlaneIndex, window: Any) -> Any:
    backbone = dp.load_backbone("filterbank", device="cpu")
    return dp.extract_features(kind.plane(plane), backbone, window=window)


def assert_clicks_took_their_cells(bench, kind: Kind) -> None:
    # Prompts stand for what is around them, else, and their vectors for many cells.
    bench.work.scoring.choose_points_only(True)
    bench.settle()
    reference = bench.state.result.reference
    hits = [(plane, disc) for plane in kind.clicked for disc in DISCS[:2]]
    hits.append((kind.clicked[0], np.array(EMPTY)))
    assert reference.planes == tuple(plane for plane, _ in hits)
    for vector, (plane, where) in zip(reference.vectors, hits, strict=True):
        cells = features_of(kind, plane, reference.window).vectors
        row, column = (int(at) // 2 for at in where)
        np.testing.assert_allclose(vector, cells[row, column], rtol=1e-6, atol=1e-7)
    bench.work.scoring.choose_points_only(False)
    bench.settle()


@every_kind
def test_clicks_hit_their_cells_and_results_are_those_of_the_bare_planes(
    bench, kind: Kind
) -> None:
    image = open_kind(bench, kind)
    click_in_the_world(bench, image, kind)
    assert_clicks_took_their_cells(bench, kind)
    reference = bench.state.result.reference
    stack = kind.plane(()).shape[: len(kind.clicked[0])]
    for layer in (bench.mask_layer, bench.similarity_layer):
        assert layer.data.shape == (*stack, *SHAPE)
        for corner in product(*[(-0.5, n - 0.5) for n in layer.data.shape]):
            np.testing.assert_allclose(
                layer.data_to_world(corner), image.data_to_world(corner)
            )
    for plane in kind.seen:
        show(bench, image, plane)
        assert bench.state.result.plane == plane
        features = features_of(kind, plane, reference.window)
        expected = score_classes(features, reference)
        mask = expected.mask(bench.state.result.thresholds)
        assert [mask[tuple(disc.astype(int))] for disc in DISCS] == [1, 1, 1]
        assert mask[tuple(np.array(EMPTY, int))] == 0
        np.testing.assert_array_equal(bench.mask[plane], mask)
        np.testing.assert_array_equal(
            np.asarray(bench.similarity_layer.data)[plane], expected.of("object")
        )
        # napari shows the plane that was asked for.
        at = image.data_to_world((*plane, *DISCS[0] - 0.5))
        shown = bench.mask_layer.get_value(at, world=True)
        assert shown == 1
    if not stack:
        points = np.array([*DISCS[:2], EMPTY])
        classes = ["object", "object", "background"]
        bare = dp.Reference.from_prompts(features_of(kind, (), None), points, classes)
        # Places in the world are rounded: a pixel on the threshold may be either.
        differ = bench.mask != dp.segment(kind.plane(()), bare).mask
        assert differ.mean() < 0.002


def test_no_data_is_in_no_mask(bench) -> None:
    kind = KINDS["float32 with NaN"]
    image = open_kind(bench, kind)
    click_in_the_world(bench, image, kind)
    bench.drag_threshold(-0.9)
    bench.settle()
    hole = np.isnan(kind.plane(()))
    assert bench.mask[~hole].any()
    assert not bench.mask[hole].any()
    assert np.isnan(bench.similarity_layer.data[hole]).all()


def test_sliders_of_another_range_do_not_count_planes(bench) -> None:
    kind = KINDS["stack beside another range"]
    image = open_kind(bench, kind)
    show(bench, image, (2,))
    assert bench.viewer.dims.current_step[0] != 2
    assert bench.state.view == (2,)


@every_kind
def test_deleted_image_leaves_a_dock_that_works(bench, kind: Kind) -> None:
    image = open_kind(bench, kind)
    show(bench, image, kind.clicked[0])
    world = image.data_to_world((*kind.clicked[0], *DISCS[0]))
    bench.prompts.add(bench.prompts.world_to_data(world))
    bench.viewer.layers.remove(image)
    bench.settle()
    current = bench.work.session.current
    assert current is None or current.image is not image
    other = bench.add_image(draw_plane(1))
    bench.choose(other)
    bench.settle()
    bench.click(DISCS[:2])
    assert bench.found(DISCS) == [1, 1, 1]
