"""From planes to feature maps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage as ndi

from napari_dinoprompt.core.backbones.filterbank import FilterBank
from napari_dinoprompt.core.backbones.vit import VisionTransformer
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.extraction import extract_features, iter_features
from napari_dinoprompt.core.intensity import IntensityWindow
from napari_dinoprompt.core.tiling.tiles import (
    TilePlan,
    plan_abutting,
    plan_overlapping,
)


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
