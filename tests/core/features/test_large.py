"""Features of a part are those of the whole, and the sample is a fixed one."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from large_planes import Recording, cut_finely, draw_plane

from napari_dinoprompt.core.backbones.filterbank import FilterBank
from napari_dinoprompt.core.backbones.vit import VisionTransformer
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.features.regions import Region, plan_regions
from napari_dinoprompt.core.features.source import (
    NoDataError,
    lazy_features,
    sample_regions,
    sample_window,
)
from napari_dinoprompt.core.images.lazy_plane import LazyPlane
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.tiling.grid import CellGrid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.features.large import LazyFeatures

Network = FilterBank | VisionTransformer
UPSCALES = (1, 1.37, 0.7, 2)


@pytest.fixture(autouse=True)
def _small_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_finely(monkeypatch)


@pytest.fixture(params=["filterbank", "toy_vit"])
def backbone(request: pytest.FixtureRequest) -> Network:
    found: Network = request.getfixturevalue(request.param)
    return found


def check_part(features: LazyFeatures, whole: FeatureMap, region: Region) -> None:
    """Check that a part has the cells of the whole, and that they are the same."""
    part = features.part(region)
    cell = whole.grid.cell
    first = [int(side.start / cell + 1e-9) for side in (region.rows, region.columns)]
    rows, columns = part.vectors.shape[:2]
    expected = whole.vectors[first[0] : first[0] + rows, first[1] : first[1] + columns]
    assert part.vectors.dtype == whole.vectors.dtype
    if part.backbone.name == "filterbank":
        # torch interpolates with other instructions near the end of a row.
        torch.testing.assert_close(part.vectors, expected, atol=5e-7, rtol=0)
    else:
        assert part.vectors.equal(expected)
    assert (rows, columns) == part.grid.cells
    # Its cells reach over all of its pixels.
    for axis, count in enumerate((rows, columns)):
        assert part.grid.origin[axis] <= 1e-9
        assert part.grid.origin[axis] + count * cell >= part.grid.shape[axis] - 1e-6
    here = (region.rows, region.columns)
    assert part.light.equal(whole.light[here])
    if whole.no_data is not None:
        held = part.no_data
        missing = np.zeros(part.grid.shape, bool) if held is None else held
        np.testing.assert_array_equal(missing, whole.no_data[here])


@pytest.mark.parametrize(
    ("shape", "upscale"),
    [*(((99, 137), upscale) for upscale in UPSCALES), ((67, 70, 3), 1.37)],
)
def test_parts_are_those_of_the_whole(
    backbone: Network, upscale: float, shape: tuple[int, ...]
) -> None:
    plane = draw_plane(shape, gap=len(shape) == 2)
    whole = extract_features(plane, backbone, upscale=upscale)
    features = lazy_features(plane, backbone, upscale=upscale, window=whole.window)
    assert features.grid == whole.grid
    plan = features.regions
    for region in plan.regions:
        check_part(features, whole, plan.outer(region))
    # Any other, from any block on.
    check_part(features, whole, plan.around((40, 61), (57, 200)))


def test_long_thin_and_tiny_planes(backbone: Network) -> None:
    for shape in ((1, 1), (5, 200), (150, 9)):
        plane = draw_plane(shape)
        whole = extract_features(plane, backbone)
        features = lazy_features(plane, backbone, window=whole.window)
        for region in features.regions.regions:
            check_part(features, whole, features.regions.outer(region))
        assert features.measures.statistics.count > 0
        np.testing.assert_allclose(features.at([[0, 0]]), whole.at([[0, 0]]), atol=1e-6)


@pytest.mark.parametrize("upscale", [1, 1.37])
def test_vectors_at_points_are_those_of_the_whole(
    backbone: Network, upscale: float
) -> None:
    plane = draw_plane((141, 187))
    whole = extract_features(plane, backbone, upscale=upscale)
    features = lazy_features(plane, backbone, upscale=upscale, window=whole.window)
    rng = np.random.default_rng(0)
    points = rng.uniform((-0.5, -0.5), (140.5, 186.5), (20, 2))
    corners = [[-0.5, -0.5], [140.5, 186.5], [63.5, 64], [64, 127.5]]
    points = np.concatenate([points, corners])
    found = features.at(points)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, whole.at(points), atol=1e-5)


def test_points_without_data(backbone: Network) -> None:
    for shape in ((141, 187), (141, 187, 3)):
        plane = draw_plane(shape)
        plane[20:40, 30:50, ...] = np.nan
        if len(shape) == 3:
            plane[60, 70, 1] = np.inf
        whole = extract_features(plane, backbone)
        features = lazy_features(plane, backbone)
        rng = np.random.default_rng(0)
        points = rng.uniform((-10, -10), (151, 197), (60, 2))
        points = np.concatenate([points, [[60, 70], [19.5, 30], [19.49, 30]]])
        held = features.holds_data(points)
        np.testing.assert_array_equal(held, whole.holds_data(points))
        assert 0 < held.sum() < len(points)
        with pytest.raises(InputError, match=r"no data.*y=30, x=40"):
            features.at([[80, 80], [30, 40]])
        with pytest.raises(InputError, match="outside the image of 141 x 187"):
            features.at([[141, 3]])
        with pytest.raises(InputError):
            Reference.from_prompts(features, [[30, 40]])


def test_the_plane_is_never_read_as_a_whole(backbone: Network) -> None:
    # Windows around prompts are up to two thousand pixels wide, whatever the plane.
    array = draw_plane((1200, 1300))
    recording = Recording(array)
    features = lazy_features(recording, backbone)
    prompts = np.array([[50.0, 60.0], [400.0, 500.0], [300.0, 20.0]])
    Reference.from_prompts(features, prompts)
    for region in features.regions.regions[::9]:
        features.part(features.regions.outer(region))
    # A region with its rim, and what filters and cells see around it.
    assert 0 < recording.largest < 0.4 * array.size


def places(backbone: Network, shape: tuple[int, int], upscale: float) -> list[Region]:
    grid = CellGrid(shape, backbone.info.patch, upscale)
    regions = plan_regions(grid, backbone)
    return list(sample_regions(grid, backbone.plan(grid.cells), regions))


@pytest.mark.parametrize("upscale", UPSCALES)
@pytest.mark.parametrize(
    "shape", [(1, 1), (7, 5000), (5000, 7), (70, 80), (141, 187), (3000, 2111)]
)
def test_the_sample_lies_on_the_plane(
    backbone: Network, shape: tuple[int, int], upscale: float
) -> None:
    found = places(backbone, shape, upscale)
    assert 1 <= len(found) <= 16
    for region in found:
        for side, length in zip((region.rows, region.columns), shape, strict=True):
            assert 0 <= side.start < side.stop <= length
    assert found == places(backbone, shape, upscale)
    if min(shape) > 1000:
        # All over the plane.
        middles = np.array([region.middle for region in found])
        for axis, length in enumerate(shape):
            assert middles[:, axis].min() < length / 4
            assert middles[:, axis].max() > 3 * length / 4


@pytest.mark.parametrize("upscale", UPSCALES)
def test_a_place_costs_a_network_one_tile(
    toy_vit: VisionTransformer, upscale: float
) -> None:
    grid = CellGrid((3000, 2111), 8, upscale)
    plan = toy_vit.plan(grid.cells)
    tiles = 0
    found = places(toy_vit, grid.shape, upscale)
    for region in found:
        first = [int(s.start / grid.cell) for s in (region.rows, region.columns)]
        last = [int(np.ceil(s.stop / grid.cell)) for s in (region.rows, region.columns)]
        cells = (last[0] - first[0], last[1] - first[1])
        assert min(cells) >= 2
        tiles += len(plan.covering((first[0], first[1]), cells))
    assert tiles <= 1.3 * len(found)


def test_what_is_asked_first_changes_nothing(backbone: Network) -> None:
    plane = draw_plane((300, 420))
    one, other = (lazy_features(plane, backbone) for _ in range(2))
    first = one.measures.statistics
    other.at([[200, 300]])
    other.part(other.regions.outer(other.regions.regions[3]))
    run_to_end(other.iter_sample())
    second = other.measures.statistics
    assert one.window == other.window
    assert one.sample == other.sample
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_array_equal(first.scale, second.scale)


def test_two_at_once_measure_the_same(backbone: Network) -> None:
    # An outdated request may still be at it while the next one begins.
    plane = draw_plane((300, 420))
    expected = lazy_features(plane, backbone).measures.statistics
    features = lazy_features(plane, backbone)
    problems: list[Exception] = []

    def measure() -> None:
        try:
            run_to_end(features.iter_sample())
            for region in features.regions.regions[:4]:
                features.part(features.regions.outer(region))
        except Exception as error:  # noqa: BLE001
            problems.append(error)

    threads = [threading.Thread(target=measure) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    np.testing.assert_array_equal(features.measures.statistics.mean, expected.mean)
    assert len(run_to_end(features.iter_sample())) == len(features.sample)


def test_a_job_that_was_stopped_goes_on(toy_vit: VisionTransformer) -> None:
    plane = draw_plane((300, 420))
    expected = lazy_features(plane, toy_vit).measures.statistics
    features = lazy_features(plane, toy_vit)
    steps = features.iter_measures()
    next(steps)
    next(steps)
    steps.close()
    said = sum(1 for _ in features.iter_measures())
    assert said == len(features.sample) - 2
    np.testing.assert_array_equal(features.measures.statistics.mean, expected.mean)


def test_data_in_a_corner_is_found(backbone: Network) -> None:
    plane = np.full((700, 800), np.nan, np.float32)
    plane[690:, 790:] = draw_plane((10, 10))
    features = lazy_features(plane, backbone)
    (region,) = features.sample
    assert region.rows.stop == 700
    assert region.columns.stop == 800
    assert np.isfinite(features.measures.statistics.mean).all()
    low, high = np.nanmin(plane), np.nanmax(plane)
    assert low <= features.window.low < features.window.high <= high

    with pytest.raises(NoDataError, match="nothing but NaN"):
        lazy_features(np.full((300, 200), np.nan), backbone)
    nothing = LazyPlane(np.full((300, 200), np.nan))
    assert run_to_end(sample_window([nothing], backbone, 1)) is None


@pytest.mark.parametrize("upscale", [1.37])
def test_gaps_do_not_count(backbone: Network, upscale: float) -> None:
    plane = draw_plane((300, 420))
    plane[100:103, :] = np.nan
    plane[:, 200:] = np.nan
    features = lazy_features(plane, backbone, upscale=upscale)
    for region in features.regions.regions:
        part = features.part(features.regions.outer(region))
        valid = part.valid_cells()
        if valid is not None and part.no_data is not None:
            assert abs(float(valid.float().mean()) - (~part.no_data).mean()) < 0.25
    assert np.isfinite(features.measures.statistics.mean).all()


def test_one_window_for_several_planes(filterbank: FilterBank) -> None:
    dark, bright = np.zeros((99, 99)), np.full((99, 99), 100.0)
    bright[:, ::2] = 90
    planes = [LazyPlane(np.full((99, 99), np.nan)), LazyPlane(dark), LazyPlane(bright)]
    window = run_to_end(sample_window(planes, filterbank, 1))
    assert window is not None
    assert (window.low, window.high) == (0, 100)


def test_references_are_those_of_the_whole(backbone: Network) -> None:
    plane = draw_plane((141, 187))
    whole = extract_features(plane, backbone)
    features = lazy_features(plane, backbone, window=whole.window)
    points = np.array([[20.0, 30.0], [70.0, 100.0], [120.0, 150.0], [64.0, 64.0]])
    classes = ("object", "object", "background", "spot")
    reference = Reference.from_prompts(features, points, classes)
    expected = Reference.from_prompts(
        whole, points, classes, measures=features.measures
    )
    np.testing.assert_allclose(reference.vectors, expected.vectors, atol=1e-6)
    np.testing.assert_array_equal(reference.statistics.mean, expected.statistics.mean)
    assert reference.object_classes == ("object", "spot")
    for name, value in reference.auto_thresholds.items():
        assert 0 < value < 1
        assert abs(value - expected.auto_thresholds[name]) < 0.25
    assert reference.sources[0].shape == (141, 187)


def test_the_sample_lies_where_its_corners_say(backbone: Network) -> None:
    features = lazy_features(draw_plane((500, 700)), backbone)
    parts = run_to_end(features.iter_sample())
    assert [one.region for one in parts] == list(features.sample)
    for one in parts:
        inner = np.array(one.features.grid.shape) // 2
        found = one.features.at([inner])
        np.testing.assert_allclose(found, features.at([one.corner + inner]), atol=1e-5)


def test_tiles_wait_on_the_disk(
    toy_vit: VisionTransformer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DINOPROMPT_CACHE", str(tmp_path))
    monkeypatch.setattr(
        "napari_dinoprompt.core.features.extraction._WORTH_KEEPING_SECONDS", 0
    )
    monkeypatch.setattr("napari_dinoprompt.core.features.large._KEPT_BYTES", 1)
    computed: list[int] = []

    class Counting(VisionTransformer):
        def __call__(self, batch: torch.Tensor) -> torch.Tensor:
            computed.append(len(batch))
            return super().__call__(batch)

    assert toy_vit.cache is None
    features = lazy_features(draw_plane((300, 420)), Counting(**vars(toy_vit)))
    regions = [features.regions.outer(one) for one in features.regions.regions]
    before = [features.part(region).vectors for region in regions]
    once = sum(computed)
    assert once == len(features.plan.tiles), "a tile is computed once"
    after = [features.part(region).vectors for region in regions]
    assert sum(computed) == once
    assert all(one.equal(other) for one, other in zip(before, after, strict=True))
    (folder,) = tmp_path.iterdir()
    del features
    gc.collect()
    assert not folder.exists()


@pytest.fixture
def far_regions() -> Callable[[CellGrid], list[tuple[int, int]]]:
    """Starts of regions at the far end of a huge plane."""

    def starts(grid: CellGrid) -> list[tuple[int, int]]:
        length = grid.shape[0]
        return [(start, length) for start in range(length - 60, length - 20)]

    return starts


@pytest.mark.parametrize("upscale", [1, 1.37, 0.7, 2.2])
def test_parts_at_the_far_end_have_no_cell_too_many(
    far_regions: Callable[[CellGrid], list[tuple[int, int]]], upscale: float
) -> None:
    for length in range(99_990, 100_010):
        grid = CellGrid((length, length), 14, upscale)
        for start, stop in far_regions(grid):
            first = int(start // grid.cell)
            part = replace(
                grid,
                shape=(stop - start, stop - start),
                origin=(first * grid.cell - start, first * grid.cell - start),
            )
            assert first + part.cells[0] == grid.cells[0]


def distances(grid: CellGrid) -> NDArray[np.float64]:
    return grid.cell_centres(np.moveaxis(np.indices(grid.cells), 0, 2))


def test_cells_of_a_part_lie_where_those_of_the_whole_lie(backbone: Network) -> None:
    plane = draw_plane((141, 187))
    features = lazy_features(plane, backbone, upscale=1.37)
    region = features.regions.outer(features.regions.regions[-1])
    part = features.part(region)
    start = np.array([region.rows.start, region.columns.start])
    first = np.floor(start / features.grid.cell).astype(int)
    shown = distances(part.grid) + start
    rows, columns = part.grid.cells
    expected = distances(features.grid)[
        first[0] : first[0] + rows, first[1] : first[1] + columns
    ]
    np.testing.assert_allclose(shown, expected, atol=1e-9)
    points = np.array([[100.0, 150.0]])
    np.testing.assert_allclose(
        part.grid.to_cells(points - start) + first, features.grid.to_cells(points)
    )


def test_prompts_on_planes_of_a_stack(filterbank: FilterBank) -> None:
    stack = np.stack([draw_plane((141, 187), seed=seed) for seed in range(2)])
    window = lazy_features(stack[0], filterbank).window
    features = {
        (number,): lazy_features(LazyPlane(stack, (number,)), filterbank, window=window)
        for number in range(2)
    }
    prompts = Prompts(
        np.array([[20.0, 30.0], [70.0, 100.0]]), ("one", "other"), ((1,), (0,))
    )
    measures = features[0,].measures
    points = Reference.from_planes(features, prompts, measures, points_only=True)
    expected = [features[1,].at([[20, 30]])[0], features[0,].at([[70, 100]])[0]]
    np.testing.assert_array_equal(points.vectors, expected)
    reference = Reference.from_planes(features, prompts, measures)
    alone = [
        Reference.from_prompts(features[plane], [point], measures=measures)
        for plane, point in zip(prompts.planes, prompts.points, strict=True)
    ]
    for name in ("vectors", "areas"):
        expected = np.concatenate([getattr(one, name) for one in alone])
        np.testing.assert_array_equal(getattr(reference, name), expected)
    assert (reference.areas > 0).any()
