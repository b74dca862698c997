"""What a prompt stands for: the object around it, found by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage.draw import disk

from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.features.source import lazy_features
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.scoring.objects import iter_object
from napari_dinoprompt.core.scoring.places import iter_place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.features.large import LazyFeatures
    from napari_dinoprompt.core.scoring.objects import FoundObject

Point = tuple[float, float]


def find(
    features: FeatureMap | LazyFeatures, measured: FeatureMap, point: Point
) -> FoundObject | None:
    """Find the object at a point, with the statistics of a plane."""
    reference = Reference.from_prompts(
        features, [point], measures=measured.measures, points_only=True
    )
    (query,) = reference.unit_vectors()
    return run_to_end(iter_object(features, reference, query, np.array(point)))


def draw_disc(
    radius: float, shape: tuple[int, int], centre: Point
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    truth = np.zeros(shape, dtype=np.bool_)
    truth[disk(centre, radius, shape=shape)] = True
    clean = 40 + 140 * ndi.gaussian_filter(truth.astype(float), 1.0)
    noisy = np.random.default_rng(0).normal(clean, 4)
    return noisy.clip(0, 255).astype(np.uint8), truth


def painted(pixels: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    picture = np.zeros(shape, dtype=np.bool_)
    picture[tuple(pixels.T)] = True
    return picture


def test_objects_are_the_blobs_that_are_clicked(blobs, blob_features) -> None:
    for point in blobs.prompts:
        found = find(blob_features, blob_features, tuple(point))
        assert found is not None
        label = blobs.truth[tuple(np.round(point).astype(int))]
        truth = blobs.truth == label
        assert found.area == pytest.approx(truth.sum(), rel=0.25)
        assert truth[tuple(found.inside.T)].mean() > 0.9
        assert truth[tuple(found.core.T)].all()
        assert (blobs.truth[tuple(found.around.T)] == 0).mean() > 0.9
        # As far as the object is wide: a ring of three times its area.
        assert 1.5 < found.ratio < 4
        assert found.radius == pytest.approx(np.sqrt(found.area / np.pi))


@pytest.mark.parametrize("radius", [8, 15, 40, 90])
def test_small_and_large_objects_are_found_at_their_size(filterbank, radius) -> None:
    side = 6 * radius + 60
    image, truth = draw_disc(radius, (side, side), (side / 2, side / 2 + 5))
    features = extract_features(image, filterbank)
    found = find(features, features, (side / 2 + radius / 3, side / 2))
    assert found is not None
    assert found.area == pytest.approx(truth.sum(), rel=0.2)
    assert truth[tuple(found.inside.T)].mean() > 0.9
    assert truth[tuple(found.around.T)].mean() < 0.05
    assert len(found.inside) <= 256
    assert len(found.around) <= 256


@pytest.mark.parametrize("upscale", [3, 4, 8])
def test_cells_may_be_smaller_than_pixels(filterbank, upscale: int) -> None:
    image, truth = draw_disc(8, (60, 64), (30, 30))
    features = extract_features(image, filterbank, upscale=upscale)
    found = find(features, features, (32, 29))
    assert found is not None
    assert found.area == pytest.approx(truth.sum(), rel=0.25)


def test_an_object_at_the_edge_ends_there(filterbank) -> None:
    image, truth = draw_disc(12, (120, 140), (2, 70))
    features = extract_features(image, filterbank)
    found = find(features, features, (3, 72))
    assert found is not None
    assert found.area == pytest.approx(truth.sum(), rel=0.2)
    assert (np.concatenate([found.inside, found.around]) >= 0).all()


def test_prompts_of_other_classes_do_not_change_objects(blobs, blob_features) -> None:
    alone = Reference.from_prompts(
        blob_features, blobs.prompts[:3], measures=blob_features.measures
    )
    several = Reference.from_prompts(
        blob_features,
        [*blobs.prompts[::-1], (3.0, 3.0)],
        ["other"] * 2 + ["object"] * 3 + ["background"],
        measures=blob_features.measures,
    )
    assert (alone.areas > 0).all()
    np.testing.assert_array_equal(several.areas[2:5], alone.areas[::-1])
    # Sums in another order differ by rounding.
    np.testing.assert_allclose(several.vectors[2:5], alone.vectors[::-1], atol=1e-6)


def test_other_prompts_of_a_class_hardly_change_an_object(blobs, blob_features) -> None:
    """Alone it is found by itself, and then again in what all have in common."""
    together = Reference.from_prompts(blob_features, blobs.prompts)
    units = Reference.from_prompts(
        blob_features, blobs.prompts, points_only=True
    ).unit_vectors()
    for number, point in enumerate(blobs.prompts):
        alone = find(blob_features, blob_features, tuple(point))
        among = run_to_end(iter_object(blob_features, together, units[number], point))
        assert alone is not None
        assert among is not None
        np.testing.assert_array_equal(among.inside, alone.inside)
        assert together.areas[number] == pytest.approx(alone.area, rel=0.1)


@pytest.mark.parametrize("upscale", [1, 1.37])
@pytest.mark.parametrize("name", ["filterbank", "toy_vit"])
def test_of_a_lazy_plane_they_are_the_same(request, blobs, name, upscale) -> None:
    backbone = request.getfixturevalue(name)
    whole = extract_features(blobs.image, backbone, upscale=upscale)
    lazy = lazy_features(blobs.image, backbone, upscale=upscale, window=whole.window)
    for point in blobs.prompts:
        one, other = (find(each, whole, tuple(point)) for each in (whole, lazy))
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            # Of filters, features differ by rounding, which may turn a pixel.
            assert other.area == pytest.approx(one.area, rel=0.02)
            assert other.ratio == pytest.approx(one.ratio, rel=0.02)
            apart = np.abs(other.inside.mean(axis=0) - one.inside.mean(axis=0))
            assert apart.max() < 0.5


def test_where_nothing_is_a_prompt_stands_for_its_point(make_map) -> None:
    vectors = np.ones((20, 30, 6), dtype=np.float32)
    features: FeatureMap = make_map((80, 120), vectors=vectors, scoring="plain")
    point = (31.4, 50.6)
    assert find(features, features, point) is None
    reference = Reference.from_prompts(features, [point])
    assert reference.areas.tolist() == [0]
    np.testing.assert_array_equal(reference.vectors, features.at([point]))
    (query,) = reference.unit_vectors()
    place = run_to_end(iter_place(features, reference, query, np.array(point)))
    inside, around = place.on_plane()
    assert inside.tolist() == [[31, 51]]
    assert len(around) == 0


@pytest.mark.parametrize("gap", ["beside", "within", "across"])
def test_pixels_without_data_are_of_no_object(filterbank, gap: str) -> None:
    image, truth = draw_disc(12, (120, 140), (60, 70))
    missing = np.zeros(image.shape, dtype=np.bool_)
    missing[
        {
            "beside": np.s_[:, 84:],
            "within": np.s_[58:63, 72:77],
            "across": np.s_[:, 76:],
        }[gap]
    ] = True
    features = extract_features(
        np.where(missing, np.nan, image.astype(np.float32)), filterbank
    )
    found = find(features, features, (58, 66))
    assert found is not None
    held = truth & ~missing
    assert found.area == pytest.approx(held.sum(), rel=0.25)
    for pixels in (found.inside, found.core, found.around):
        assert len(pixels) > 0
        assert not missing[tuple(pixels.T)].any()
    assert truth[tuple(found.inside.T)].mean() > 0.9
