"""From planes to feature maps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy import ndimage as ndi

from napari_dinoprompt.core.backbones.vit import VisionTransformer
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import (
    TileVectors,
    extract_features,
    iter_features,
    run_tiles,
)
from napari_dinoprompt.core.images.intensity import IntensityWindow
from napari_dinoprompt.core.progress import Notice
from napari_dinoprompt.core.tiling.cache import TileCache
from napari_dinoprompt.core.tiling.tiles import (
    Tile,
    TilePlan,
    plan_abutting,
    plan_overlapping,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import BackboneInfo, Scoring
    from napari_dinoprompt.core.backbones.filterbank import FilterBank
CPU = torch.device("cpu")
TILES = tuple(Tile(0, column, 8, 8) for column in range(7))


def picture(shape: tuple[int, ...] = (30, 41), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


def test_the_generator_reports_every_batch_and_returns_the_map(
    toy_vit: VisionTransformer,
) -> None:
    steps = iter_features(picture((100, 130)), toy_vit)
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as finished:
            features = finished.value
            break
    tiles = len(toy_vit.plan((13, 17)).tiles)
    assert tiles > 1
    assert [step.done for step in seen] == list(range(1, tiles + 1))
    assert {step.total for step in seen} == {tiles}
    again = extract_features(picture((100, 130)), toy_vit)
    assert torch.equal(features.vectors, again.vectors)


@pytest.mark.parametrize("upscale", [1, 1.7, 2, 0.5])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 3), (30, 41), (64, 64)])
def test_maps_have_the_shape_of_their_grid_and_are_finite(
    toy_vit: VisionTransformer,
    filterbank: FilterBank,
    shape: tuple[int, int],
    upscale: float,
) -> None:
    for backbone in (toy_vit, filterbank):
        features = extract_features(picture(shape), backbone, upscale=upscale)
        assert features.grid.shape == shape
        dimension = backbone.info.dimension
        assert features.vectors.shape == (*features.grid.cells, dimension)
        assert features.vectors.isfinite().all()


@pytest.mark.parametrize(
    ("dtype", "top"),
    [
        ("bool", 1),
        ("uint8", 200),
        ("uint16", 4000),
        ("int32", 70000),
        ("int64", 200),
        ("float16", 1),
        ("float32", 1),
        ("float64", 1),
    ],
)
def test_the_number_format_makes_no_difference(
    filterbank: FilterBank, dtype: str, top: int
) -> None:
    pattern = picture() > 0.5
    expected = extract_features(pattern.astype(float), filterbank, window=(0, 1))
    stored = (pattern * top).astype(dtype)
    found = extract_features(stored, filterbank, window=(0, top))
    torch.testing.assert_close(found.vectors, expected.vectors, atol=1e-6, rtol=0)
    assert not stored.flags.writeable or (stored == (pattern * top)).all()


def test_a_grey_image_equals_itself_as_rgb_and_rgba(filterbank: FilterBank) -> None:
    grey = (picture() * 255).astype(np.uint8)
    rgb = np.stack([grey] * 3, axis=2)
    rgba = np.concatenate([rgb, np.full_like(rgb[..., :1], 9)], axis=2)
    expected = extract_features(grey, filterbank)
    for image in (rgb, rgba, grey[..., None]):
        found = extract_features(image, filterbank)
        assert found.window == expected.window
        torch.testing.assert_close(found.vectors, expected.vectors, atol=1e-6, rtol=0)


def test_the_image_is_not_changed(filterbank: FilterBank) -> None:
    image = picture()
    image[3, 4] = np.nan
    before = image.copy()
    extract_features(image, filterbank)
    np.testing.assert_array_equal(image, before)


def test_a_read_only_non_contiguous_image_works(filterbank: FilterBank) -> None:
    image = picture((60, 82))[::2, ::-2]
    image.flags.writeable = False
    found = extract_features(image, filterbank)
    expected = extract_features(image.copy(), filterbank)
    assert torch.equal(found.vectors, expected.vectors)


def test_the_window_is_the_one_asked_for_or_the_image_s_own(
    filterbank: FilterBank,
) -> None:
    image = picture() * 100
    pair = extract_features(image, filterbank, window=(10, 60))
    window = IntensityWindow(10, 60)
    whole = extract_features(image, filterbank, window=window)
    own = extract_features(image, filterbank)
    assert pair.window == whole.window == window
    assert torch.equal(pair.vectors, whole.vectors)
    assert own.window.high > 90
    assert not torch.allclose(own.vectors, whole.vectors)


def test_gaps_and_constants_are_noted(filterbank: FilterBank) -> None:
    image = picture()
    image[10:20, 10:20] += 3
    image[2, 3] = np.inf
    features = extract_features(image, filterbank)
    assert features.no_data is not None
    assert np.argwhere(features.no_data).tolist() == [[2, 3]]
    assert not features.featureless
    assert extract_features(np.ones((9, 9)), filterbank).featureless
    assert extract_features(picture(), filterbank).no_data is None


def test_gaps_do_not_reach_far_cells(filterbank: FilterBank) -> None:
    image = picture((200, 200))
    holed = image.copy()
    holed[:8, :8] = np.nan
    full, part = (
        extract_features(i, filterbank, window=(0, 1)) for i in (image, holed)
    )
    differs = (full.vectors != part.vectors).any(dim=2)
    assert differs[:4, :4].any()
    assert not differs[-10:, -10:].any()


@pytest.mark.parametrize("upscale", [0, -2, np.nan, np.inf])
def test_impossible_upscales_are_refused(
    filterbank: FilterBank, upscale: float
) -> None:
    with pytest.raises(InputError):
        extract_features(picture(), filterbank, upscale=upscale)


def test_a_plane_of_nothing_is_refused(filterbank: FilterBank) -> None:
    with pytest.raises(InputError, match="NaN"):
        extract_features(np.full((5, 5), np.nan), filterbank)


class Abutting(VisionTransformer):
    """The same network with tiles that share nothing: how seams look."""

    def plan(self, grid: tuple[int, int]) -> TilePlan:
        return plan_abutting(grid, size=self.tile, halo=0, align=1)


class Sharing(VisionTransformer):
    """The same network with tiles that share a quarter."""

    def plan(self, grid: tuple[int, int]) -> TilePlan:
        return plan_overlapping(grid, size=self.tile, overlap=2, ramp=2)


def jumps(backbone: VisionTransformer) -> np.ndarray:
    """Mean jump of the vectors between each row of cells and the next."""
    rows = []
    for seed in range(12):
        image = ndi.gaussian_filter(picture((288, 64), seed), 12)
        vectors = extract_features(image, backbone).vectors
        rows.append((vectors[1:] - vectors[:-1]).norm(dim=2).mean(dim=1).numpy())
    return np.mean(rows, axis=0)


def seam(backbone: VisionTransformer, jumps: np.ndarray) -> float:
    """Mean jump where tiles begin or end, as a multiple of that elsewhere."""
    starts = backbone.plan((36, 8)).starts[0]
    borders = {start - 1 for start in starts[1:]}
    borders |= {start + backbone.tile - 1 for start in starts[:-1]}
    there = sorted(borders)
    return float(jumps[there].mean() / np.delete(jumps, there).mean())


def test_tiles_that_share_a_quarter_leave_no_seam(toy_vit: VisionTransformer) -> None:
    cut, sharing = (kind(**vars(toy_vit)) for kind in (Abutting, Sharing))
    assert seam(cut, jumps(cut)) > 2, "the check itself sees no seams"
    blended = jumps(sharing)
    assert seam(sharing, blended) < 1.2
    borders = [start - 1 for start in sharing.plan((36, 8)).starts[0][1:]]
    assert blended[borders].max() <= np.delete(blended, borders).max()


def test_as_few_tiles_as_will_do_share_what_they_can(
    toy_vit: VisionTransformer,
) -> None:
    # Five tiles of 8 cover 36 cells with one cell to share at each of four borders.
    cut = Abutting(**vars(toy_vit))
    assert seam(toy_vit, jumps(toy_vit)) < 0.75 * seam(cut, jumps(cut))


def test_a_tile_alone_is_what_the_network_says(toy_vit: VisionTransformer) -> None:
    image = picture((64, 64)).astype(np.float32)
    features = extract_features(image, toy_vit, window=(0, 1))
    batch = torch.from_numpy(np.stack([image] * 3))[None]
    assert features.vectors.dtype == torch.float16
    torch.testing.assert_close(
        features.vectors.float(), toy_vit(batch)[0], atol=1e-3, rtol=1e-3
    )


def test_the_size_of_batches_makes_no_difference(toy_vit: VisionTransformer) -> None:
    class Batched(VisionTransformer):
        @property
        def batch_size(self) -> int:
            return 4

    image = picture((100, 130))
    one = extract_features(image, toy_vit)
    many = extract_features(image, Batched(**vars(replace(toy_vit))))
    torch.testing.assert_close(one.vectors, many.vectors, atol=1e-4, rtol=1e-4)


def read(tile: Tile) -> NDArray[np.float32]:
    rng = np.random.default_rng(tile.column)
    return rng.random((3, 64, 64), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Cramped:
    """A network on a device on which only so many tiles fit at once."""

    network: VisionTransformer
    fits: int
    batch_size: int = 4
    device: torch.device = CPU
    error: type[Exception] = torch.OutOfMemoryError
    batches: list[int] = field(default_factory=list)

    @property
    def info(self) -> BackboneInfo:
        return self.network.info

    @property
    def scoring(self) -> Scoring:
        return self.network.scoring

    @property
    def dtype(self) -> torch.dtype:
        return self.network.dtype

    @property
    def kept_as(self) -> torch.dtype:
        return self.network.kept_as

    @property
    def cache(self) -> TileCache | None:
        return self.network.cache

    def on(self, device: torch.device) -> VisionTransformer:
        return self.network.on(device)

    def guide_radius(self, cell: float) -> int:
        return self.network.guide_radius(cell)

    def plan(self, grid: tuple[int, int]) -> TilePlan:
        return self.network.plan(grid)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(batch))
        if len(batch) > self.fits:
            msg = "the tiles do not fit: out of memory"
            raise self.error(msg)
        return self.network(batch)


def gather(
    running: Generator[Notice | list[TileVectors], None, object],
) -> tuple[list[TileVectors], list[Notice], object]:
    found: list[TileVectors] = []
    notices: list[Notice] = []
    while True:
        try:
            said = next(running)
        except StopIteration as finished:
            return found, notices, finished.value
        if isinstance(said, Notice):
            notices.append(said)
        else:
            found += said


def check(found: list[TileVectors], network: VisionTransformer) -> None:
    assert [one.tile for one in found] == list(TILES)
    for one in found:
        (alone,) = network(torch.from_numpy(read(one.tile))[None])
        assert one.vectors.dtype == torch.float16
        torch.testing.assert_close(one.vectors.float(), alone, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("batch", [1, 3, 7, 20])
def test_tiles_come_in_their_order(toy_vit: VisionTransformer, batch: int) -> None:
    backbone = Cramped(toy_vit, fits=99, batch_size=batch)
    found, notices, left = gather(run_tiles(TILES, read, backbone, None))
    check(found, toy_vit)
    assert (notices, left) == ([], backbone)
    assert max(backbone.batches) <= batch
    assert sum(backbone.batches) == len(TILES)


def test_no_tiles_are_no_work(toy_vit: VisionTransformer) -> None:
    assert gather(run_tiles((), read, toy_vit, None)) == ([], [], toy_vit)


def test_the_next_tile_is_read_while_one_is_computed(
    toy_vit: VisionTransformer,
) -> None:
    last_read = threading.Event()
    readers = set()

    def read_slowly(tile: Tile) -> NDArray[np.float32]:
        readers.add(threading.current_thread())
        if tile == TILES[1]:
            last_read.set()
        return read(tile)

    class Waiting(VisionTransformer):
        def __call__(self, batch: torch.Tensor) -> torch.Tensor:
            assert last_read.wait(10), "the second tile is not read ahead"
            return super().__call__(batch)

    backbone = Waiting(**vars(toy_vit))
    found, _, _ = gather(run_tiles(TILES[:2], read_slowly, backbone, None))
    assert len(found) == 2
    assert len(readers) == 1
    assert threading.current_thread() not in readers


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError, RuntimeError])
def test_a_batch_that_does_not_fit_is_halved(
    toy_vit: VisionTransformer, error: type[Exception]
) -> None:
    backbone = Cramped(toy_vit, fits=1, batch_size=4, error=error)
    found, notices, left = gather(run_tiles(TILES, read, backbone, None))
    check(found, toy_vit)
    assert backbone.batches[:3] == [4, 2, 1]
    assert backbone.batches[2:] == [1] * 7, "it is not tried again"
    assert (notices, left) == ([], backbone)


def test_a_device_too_small_for_one_tile_is_left(
    toy_vit: VisionTransformer, tmp_path: Path
) -> None:
    device = torch.device("meta")
    backbone = Cramped(toy_vit, fits=0, batch_size=2, device=device)
    cache = TileCache(tmp_path, 10**9)
    found, notices, left = gather(run_tiles(TILES, read, backbone, cache))
    check(found, toy_vit)
    assert backbone.batches == [2, 1]
    assert isinstance(left, VisionTransformer)
    assert left.device == CPU
    (notice,) = notices
    assert "CPU" in notice.message
    # What the CPU makes does not go where the device's is looked for.
    assert len(cache) == 0


def test_one_tile_too_many_for_the_cpu_is_an_error(toy_vit: VisionTransformer) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        gather(run_tiles(TILES, read, Cramped(toy_vit, fits=0), None))


def test_other_errors_are_not_taken_for_full_memory(
    toy_vit: VisionTransformer,
) -> None:
    backbone = Cramped(toy_vit, fits=2, error=ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        gather(run_tiles(TILES, read, backbone, None))
    assert backbone.batches == [4]


@pytest.mark.parametrize("bad", [0, 1, 6])
def test_what_cannot_be_read_is_told(toy_vit: VisionTransformer, bad: int) -> None:
    def read_badly(tile: Tile) -> NDArray[np.float32]:
        if tile == TILES[bad]:
            msg = "the disk is gone"
            raise OSError(msg)
        return read(tile)

    before = threading.active_count()
    with pytest.raises(OSError, match="disk is gone"):
        gather(run_tiles(TILES, read_badly, toy_vit, None))
    assert threading.active_count() == before


def test_stopping_early_leaves_no_thread(toy_vit: VisionTransformer) -> None:
    def read_badly(tile: Tile) -> NDArray[np.float32]:
        if tile != TILES[0]:
            raise OSError
        return read(tile)

    for reader in (read, read_badly):
        before = threading.active_count()
        running = run_tiles(TILES, reader, toy_vit, None)
        next(running)
        running.close()
        assert threading.active_count() == before


class Counting(VisionTransformer):
    """Counts the tiles that it computes."""

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        counted.append(len(batch))
        return super().__call__(batch)


counted: list[int] = []
MakeCounting = Callable[[TileCache], Counting]


@pytest.fixture
def counting(toy_vit: VisionTransformer) -> MakeCounting:
    counted.clear()
    return lambda cache: Counting(**vars(replace(toy_vit, cache=cache)))


def test_what_is_kept_is_not_computed_again(
    counting: MakeCounting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_dinoprompt.core.features.extraction._WORTH_KEEPING_SECONDS", 0
    )
    image = np.random.default_rng(0).random((100, 170))
    backbone = counting(TileCache(tmp_path, 10**9))
    first = extract_features(image, backbone)
    assert sum(counted) == len(backbone.plan(first.grid.cells).tiles) > 3
    counted.clear()
    second = extract_features(image, counting(TileCache(tmp_path, 10**9)))
    assert counted == []
    assert second.vectors.dtype == torch.float16
    assert second.vectors.equal(first.vectors)
    # Half of the tiles gone: those alone are computed.
    tiles = sorted(tmp_path.rglob("*.tile"))
    for path in tiles[::2]:
        path.unlink()
    third = extract_features(image, backbone)
    assert sum(counted) == len(tiles[::2])
    assert third.vectors.equal(first.vectors)


def test_tiles_that_are_computed_at_once_are_not_kept(
    counting: MakeCounting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = "napari_dinoprompt.core.features.extraction._WORTH_KEEPING_SECONDS"
    monkeypatch.setattr(slow, 1e9)
    cache = TileCache(tmp_path, 10**9)
    found, _, _ = gather(run_tiles(TILES, read, counting(cache), cache))
    assert len(found) == len(TILES)
    # The first batch tells; the second may have been looked for already.
    assert len(cache) == 1


def test_the_filter_bank_stays_in_single_precision(filterbank: FilterBank) -> None:
    image = np.random.default_rng(0).random((50, 60))
    assert extract_features(image, filterbank).vectors.dtype == torch.float32


def test_a_network_moves_without_a_second_copy_where_it_was(
    toy_vit: VisionTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        msg = "a full card has no room for a copy of the weights"
        raise torch.OutOfMemoryError(msg)

    monkeypatch.setattr(torch.Tensor, "__deepcopy__", refuse)
    monkeypatch.setattr(torch.nn.Parameter, "__deepcopy__", refuse)
    half = replace(toy_vit, model=toy_vit.on(CPU).model.half(), dtype=torch.float16)
    moved = half.on(CPU)
    assert moved.dtype == torch.float32
    assert {weight.dtype for weight in moved.model.parameters()} == {torch.float32}
    assert {weight.dtype for weight in half.model.parameters()} == {torch.float16}
    crop = torch.from_numpy(read(TILES[0]))[None]
    torch.testing.assert_close(moved(crop), toy_vit(crop), atol=2e-2, rtol=2e-2)


def test_a_cache_that_cannot_be_written_is_told_once(tmp_path, counting, blobs) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = TileCache(tmp_path / "file", 10**9)
    found, notices, _ = gather(run_tiles(TILES, read, counting(cache), cache))
    (notice,) = notices
    assert str(cache.folder) in notice.message
    assert len(found) == len(TILES)
