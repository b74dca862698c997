"""Scoring region by region gives the map of the whole, without seams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from large_planes import cut_finely, draw_plane

from napari_dinoprompt.core.backbones.filterbank import FilterBank
from napari_dinoprompt.core.backbones.vit import VisionTransformer
from napari_dinoprompt.core.errors import IncompatibleReferenceError, InputError
from napari_dinoprompt.core.extraction import extract_features
from napari_dinoprompt.core.progress import Notice
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.similarities import score
from napari_dinoprompt.core.similarity import similarity_map
from napari_dinoprompt.core.streaming.sampling import lazy_features
from napari_dinoprompt.core.streaming.scoring import iter_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.features import FeatureMap
    from napari_dinoprompt.core.streaming.lazy_features import LazyFeatures

Network = FilterBank | VisionTransformer
POINTS = np.array(
    [[20.0, 30.0], [60.0, 100.0], [90.0, 10.0], [64.0, 64.0], [5.0, 99.0]]
)
CLASSES = {
    "one": ("object",) * 5,
    "background": ("object", "object", "background", "object", "background"),
    "several": ("round", "long", "round", "round", "long"),
    "all": ("round", "long", "background", "round", "background"),
}


@pytest.fixture(autouse=True)
def _small_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_finely(monkeypatch)


@pytest.fixture(params=["filterbank", "toy_vit"])
def backbone(request: pytest.FixtureRequest) -> Network:
    found: Network = request.getfixturevalue(request.param)
    return found


def assemble(
    features: LazyFeatures, reference: Reference
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    shape = features.grid.shape
    maps = np.zeros((len(reference.object_classes), *shape), np.float32)
    claims = np.full(shape, 99, np.uint8)
    for scores in iter_scores(features, reference, features.regions.regions):
        assert not isinstance(scores, Notice)
        here = (scores.region.rows, scores.region.columns)
        maps[(slice(None), *here)] = scores.similarity
        claims[here] = scores.claims
    return maps, claims


def check(
    plane: NDArray[np.float32],
    backbone: Network,
    classes: tuple[str, ...],
    upscale: float = 1,
) -> None:
    whole = extract_features(plane, backbone, upscale=upscale)
    reference = Reference.from_prompts(whole, POINTS, classes)
    features = lazy_features(plane, backbone, upscale=upscale, window=whole.window)
    maps, claims = assemble(features, reference)
    for number, name in enumerate(reference.object_classes):
        expected = similarity_map(whole, reference, name)
        np.testing.assert_allclose(maps[number], expected, atol=1e-4)
    # With thresholds that let everything in, claims are the mask of the whole.
    expected_mask = score(whole, reference).mask(
        dict.fromkeys(reference.object_classes, -2.0)
    )
    assert claims.max() <= len(reference.object_classes)
    # Two classes may be as near to each other as rounding is.
    assert (claims != expected_mask).mean() < 2e-4


@pytest.mark.parametrize("classes", CLASSES)
def test_regions_are_those_of_the_whole(backbone: Network, classes: str) -> None:
    check(draw_plane((131, 187)), backbone, CLASSES[classes])


@pytest.mark.parametrize("upscale", [1.37, 0.7, 2])
def test_at_any_upscale(backbone: Network, upscale: float) -> None:
    check(draw_plane((131, 187)), backbone, CLASSES["background"], upscale)


def test_in_colour_and_with_gaps(backbone: Network) -> None:
    plane = draw_plane((131, 187, 3))
    plane[70:101, 20:90, 1] = np.nan
    check(plane, backbone, CLASSES["all"])


def test_planes_smaller_than_a_region(
    backbone: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_finely(monkeypatch, 512)
    check(draw_plane((97, 103)), backbone, CLASSES["background"])


@pytest.mark.parametrize("kind", ["blank", "noise", "gap"])
def test_regions_that_show_nothing_have_no_object(
    filterbank: FilterBank, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    cut_finely(monkeypatch, 128)
    plane = draw_plane((256, 512))
    rng = np.random.default_rng(1)
    fill = {
        "blank": np.full((256, 256), 0.3),
        "noise": rng.normal(0.3, 0.3, (256, 256)),
        "gap": np.full((256, 256), np.nan),
    }
    plane[:, 256:] = fill[kind]
    features = lazy_features(plane, filterbank)
    reference = Reference.from_prompts(features, POINTS)
    maps, claims = assemble(features, reference)
    # Rims reach over the border.
    assert (claims[:, 384:] == 0).all()
    assert (claims[:, :256] == 1).all()
    assert np.isnan(maps[0, :, 384:]).all() == (kind == "gap")


def test_a_reference_that_does_not_fit_is_refused(
    filterbank: FilterBank, toy_vit: VisionTransformer
) -> None:
    plane = draw_plane((131, 187))
    features = lazy_features(plane, filterbank)
    other = Reference.from_prompts(lazy_features(plane, toy_vit), POINTS)
    with pytest.raises(IncompatibleReferenceError):
        assemble(features, other)
    nothing = Reference.from_prompts(features, POINTS, ("background",) * 5)
    with pytest.raises(InputError, match="background"):
        assemble(features, nothing)


def in_single_precision(features: FeatureMap, network: VisionTransformer) -> FeatureMap:
    class Wide(VisionTransformer):
        @property
        def kept_as(self) -> torch.dtype:
            return torch.float32

    plane = draw_plane(features.grid.shape)
    return extract_features(plane, Wide(**vars(network)), upscale=features.grid.upscale)


@pytest.mark.parametrize("upscale", [1, 2])
def test_half_precision_makes_no_difference(
    toy_vit: VisionTransformer, upscale: float
) -> None:
    half = extract_features(draw_plane((131, 187)), toy_vit, upscale=upscale)
    single = in_single_precision(half, toy_vit)
    assert (half.vectors.dtype, single.vectors.dtype) == (torch.float16, torch.float32)
    references = [
        Reference.from_prompts(features, POINTS, CLASSES["background"])
        for features in (half, single)
    ]
    maps = [
        similarity_map(features, reference)
        for features, reference in zip((half, single), references, strict=True)
    ]
    assert np.abs(maps[0] - maps[1]).max() < 0.02
    masks = [
        score(features, reference).mask(reference.auto_thresholds) > 0
        for features, reference in zip((half, single), references, strict=True)
    ]
    assert masks[1].any()
    assert (masks[0] & masks[1]).sum() >= 0.98 * (masks[0] | masks[1]).sum()
