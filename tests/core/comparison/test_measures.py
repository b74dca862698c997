"""All figures of one pair: what each damage to a copy of the real moves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy import ndimage as ndi
from skimage.draw import disk
from skimage.measure import label

from napari_dinoprompt.core.comparison.columns import COLUMNS
from napari_dinoprompt.core.comparison.measures import Measures, Side, measure_pair
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.images.intensity import IntensityWindow

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_dinoprompt.core.backbones.filterbank import FilterBank
    from napari_dinoprompt.core.references.reference import Reference

    View = Callable[[np.ndarray], Side]
    Blobs = Any  # of the conftest, which cannot be imported

WINDOW = IntensityWindow(0.0, 200.0)


@pytest.fixture(scope="module")
def view(blob_reference: Reference, filterbank: FilterBank) -> View:
    """Look at an image as a comparison does, but with a plain threshold on it."""

    def look(image: np.ndarray) -> Side:
        features = extract_features(image, filterbank, window=blob_reference.window)
        grey = WINDOW.apply(image)
        smooth = ndi.gaussian_filter(grey, 1.5).astype(np.float32)
        mask = smooth > 0.45
        return Side(
            mask=mask,
            instances=label(mask).astype(np.int32),
            grey=grey,
            similarity=smooth,
            own_mask=smooth > 0.4,
            features=features,
            affine=blob_reference.affine(),
            no_data=features.no_data,
        )

    return look


@pytest.fixture(scope="module")
def real(view: View, blobs: Blobs) -> Side:
    return view(blobs.image.astype(np.float32))


def figures(found: Measures) -> dict[str, float]:
    return dict(found.figures)


def test_every_column_is_measured_in_their_order(real: Side) -> None:
    found = measure_pair(real, real)
    assert list(found.figures) == [one.key for one in COLUMNS]
    assert all(type(one) is float for one in found.figures.values())


def test_the_real_is_its_own_perfect_fake(real: Side) -> None:
    found = measure_pair(real, real)
    perfect = {
        **dict.fromkeys(("iou", "dice", "precision", "recall", "f1", "ssim"), 1),
        **dict.fromkeys(("area_ratio", "average_precision", "pearson"), 1),
        **dict.fromkeys(("displaced", "only_in_real", "only_in_fake", "mse"), 0),
        **dict.fromkeys(("boundary_distance", "shape_difference"), 0),
        **dict.fromkeys(("objects_in_real", "objects_in_fake", "matched"), 16),
        "feature_distance": 0,
        "psnr": math.inf,
        "own_threshold_iou": found.figures["own_threshold_iou"],
    }
    assert figures(found) == pytest.approx(perfect)
    assert 0.5 < found.figures["own_threshold_iou"] < 1
    assert found.unmatched == ()
    assert (found.maps.agreement == real.mask).all()
    assert (found.maps.ssim == 1).all()
    assert (found.maps.squared_error == 0).all()
    assert found.maps.feature_distance is not None
    assert (found.maps.feature_distance == 0).all()


def test_planted_and_removed_nuclei_are_counted(
    view: View, real: Side, blobs: Blobs
) -> None:
    """The seed of the whole project: which figures see a hallucination."""
    image = blobs.image.astype(np.float32)
    dark = ndi.binary_dilation(blobs.truth == 3, iterations=5)
    removed = view(np.where(dark, np.float32(30), image))
    found = measure_pair(real, removed)
    assert found.figures["only_in_real"] == 1
    assert found.figures["only_in_fake"] == 0
    (gone,) = found.unmatched
    assert (gone.side, gone.kind) == ("real", "only in real")
    assert gone.centre == pytest.approx(tuple(blobs.centres[2]), abs=1.5)
    assert found.figures["matched"] == 15
    assert found.figures["precision"] == 1 > found.figures["recall"]
    assert found.figures["feature_distance"] > 0
    # Wherever the nucleus was, the maps show it, and only there.
    y, x = (round(one) for one in gone.centre)
    assert found.maps.agreement[y, x] == 2
    assert found.maps.squared_error[y, x] > 0.1
    assert found.maps.feature_distance is not None
    assert found.maps.feature_distance[y, x] > 0.3
    planted = measure_pair(removed, real)
    assert planted.figures["only_in_fake"] == 1
    assert planted.figures["only_in_real"] == 0
    assert planted.maps.agreement[y, x] == 3
    assert planted.figures["recall"] == 1 > planted.figures["precision"]


def test_each_damage_moves_the_columns_that_it_should(
    view: View, real: Side, blobs: Blobs
) -> None:
    image = blobs.image.astype(np.float32)
    perfect = figures(measure_pair(real, real))

    def after(fake: np.ndarray) -> dict[str, float]:
        return figures(measure_pair(real, view(fake)))

    def worse(found: dict[str, float], *keys: str) -> None:
        for one in COLUMNS:
            if one.key in keys:
                sign = {"higher": -1, "lower": 1}[one.better]
                assert sign * (found[one.key] - perfect[one.key]) > 1e-3, one.key

    shifted = after(np.roll(image, 3, axis=1))
    worse(shifted, "iou", "dice", "ssim", "psnr", "pearson", "average_precision")
    worse(shifted, "boundary_distance", "feature_distance")
    assert 0.8 < shifted["boundary_distance"] < 3
    assert shifted["area_ratio"] == pytest.approx(1, abs=0.05)
    assert shifted["shape_difference"] < 0.1

    scaled = after(image * np.float32(1.2))
    worse(scaled, "iou", "psnr", "ssim", "boundary_distance", "precision")
    assert scaled["area_ratio"] > 1.02
    assert scaled["pearson"] > 0.99
    assert scaled["average_precision"] == pytest.approx(1, abs=0.01)
    assert (scaled["only_in_real"], scaled["only_in_fake"]) == (0, 0)

    blurred = after(ndi.gaussian_filter(image, 4))
    worse(blurred, "ssim", "psnr", "pearson", "iou", "feature_distance")

    noisy = after(image + np.random.default_rng(5).normal(0, 25, image.shape))
    worse(noisy, "ssim", "psnr", "feature_distance", "pearson")
    # Noise is not structure.
    assert noisy["f1"] > 0.9

    inverted = after(210 - image)
    worse(inverted, "iou", "f1", "average_precision", "ssim", "feature_distance")
    assert inverted["pearson"] == pytest.approx(-1, abs=0.01)
    assert inverted["feature_distance"] > noisy["feature_distance"]

    blank = after(np.full_like(image, 30))
    assert (blank["only_in_real"], blank["objects_in_fake"]) == (16, 0)
    assert blank["recall"] == 0
    assert math.isnan(blank["pearson"])
    assert math.isnan(blank["precision"])
    assert blank["average_precision"] == pytest.approx(real.mask.mean())


def test_what_holds_no_data_in_either_is_left_out(
    view: View, real: Side, blobs: Blobs
) -> None:
    """A fake that is wrong only where there is no data is perfect."""
    image = blobs.image.astype(np.float32)
    holed = image.copy()
    holed[:, :70] = np.nan
    lost = measure_pair(real, replace(real, no_data=None))
    fake = view(holed)
    assert fake.no_data is not None
    # What lies in the hole must not matter.
    suggested_point = fake.mask.copy()
    suggested_point[disk((50, 30), 9)] = True
    wild = replace(
        fake,
        mask=suggested_point,
        instances=label(suggested_point).astype(np.int32),
        grey=np.where(fake.no_data, np.float32(1), fake.grey),
        similarity=np.where(fake.no_data, np.float32(1), fake.similarity),
    )
    assert fake.features is not None
    vectors = fake.features.vectors.clone()
    cells = int(70 // fake.features.grid.cell)
    vectors[:, :cells] = torch.rand(vectors[:, :cells].shape)
    # That the features know of the hole is enough.
    wild = replace(wild, features=replace(fake.features, vectors=vectors), no_data=None)
    one, other = measure_pair(real, fake), measure_pair(real, wild)
    np.testing.assert_equal(figures(one), figures(other))
    assert 0 < one.figures["objects_in_real"] < lost.figures["objects_in_real"]
    assert one.figures["mse"] == 0
    assert one.figures["ssim"] == 1
    assert (one.maps.agreement[:, :70] == 0).all()
    for plane in (one.maps.ssim, one.maps.squared_error, one.maps.feature_distance):
        assert plane is not None
        assert np.isnan(plane[:, :70]).all()
        assert np.isfinite(plane[:, 80:]).all()
    # The other way round, the hole is in the real.
    back = measure_pair(wild, real)
    assert back.figures["objects_in_fake"] == one.figures["objects_in_real"]


def test_what_is_not_given_is_nan(real: Side) -> None:
    bare = replace(real, own_mask=None, features=None)
    found = measure_pair(real, bare)
    assert math.isnan(found.figures["own_threshold_iou"])
    assert math.isnan(found.figures["feature_distance"])
    assert found.maps.feature_distance is None
    assert found.figures["iou"] == 1


def test_tiny_sides_work() -> None:
    one = np.ones((1, 1))
    side = Side(
        one.astype(bool), one.astype(np.int32), one.astype("f4"), one.astype("f4")
    )
    found = measure_pair(side, side)
    assert (found.figures["iou"], found.figures["matched"]) == (1, 1)
    assert math.isnan(found.figures["ssim"])


def test_the_parts_must_agree(real: Side, make_map: Any) -> None:
    with pytest.raises(InputError, match=r"grey \(5, 6\)"):
        replace(real, grey=np.zeros((5, 6), np.float32))
    with pytest.raises(InputError, match=r"features \(20, 30\)"):
        replace(real, features=make_map())
    nothing = np.zeros((5, 6), np.float32)
    small = Side(nothing > 0, nothing.astype(np.int32), nothing, nothing)
    with pytest.raises(InputError, match=r"\(141, 187\).*\(5, 6\)"):
        measure_pair(real, small)
    assert real.features is not None
    vectors = torch.zeros(1, 1, real.features.vectors.shape[2])
    other = make_map(real.mask.shape, patch=400, vectors=vectors.numpy())
    with pytest.raises(InputError, match="different grids"):
        measure_pair(real, replace(real, features=other))
