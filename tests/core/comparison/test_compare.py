"""Real against fake: what each damage to a copy of the real moves, and what not."""

from __future__ import annotations

import doctest
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import ndimage as ndi

import napari_dinoprompt as dp
from napari_dinoprompt.core.comparison import compare as comparison
from napari_dinoprompt.core.comparison.bootstrap import source_places
from napari_dinoprompt.core.comparison.columns import COLUMNS
from napari_dinoprompt.core.comparison.compare import iter_compare
from napari_dinoprompt.core.comparison.perceptual import perceptual_distance
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.points import read_prompts
from napari_dinoprompt.core.io.read import read_image
from napari_dinoprompt.sample_data import FIELDS, sample_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_dinoprompt.core.backbones.filterbank import FilterBank
    from napari_dinoprompt.core.references.reference import Reference

    Compare = Callable[..., dp.Comparison]
    Blobs = Any  # of the conftest, which cannot be imported

PERFECT = {
    **dict.fromkeys(("iou", "dice", "precision", "recall", "f1", "ssim"), 1),
    **dict.fromkeys(("area_ratio", "average_precision", "pearson"), 1),
    **dict.fromkeys(("displaced", "only_in_real", "only_in_fake", "mse"), 0),
    **dict.fromkeys(("boundary_distance", "shape_difference", "feature_distance"), 0),
    "psnr": math.inf,
}


@pytest.fixture(scope="module")
def compare(blobs: Blobs, blob_reference: Reference, filterbank: FilterBank) -> Compare:
    def run(fakes: object, **options: Any) -> dp.Comparison:
        given = {"draws": 0, "backbone": filterbank} | options
        return dp.compare(blobs.image, fakes, blob_reference, **given)

    return run


@pytest.fixture(scope="module")
def fake(blobs: Blobs) -> np.ndarray:
    """A fake as they come: blurred, a little weak, one nucleus missing."""
    image = blobs.image.astype(float)
    image[ndi.binary_dilation(blobs.truth == 7, iterations=4)] = 30
    return (0.9 * ndi.gaussian_filter(image, 1.2) + 3).astype(np.uint8)


def figures(found: dp.Comparison, number: int = 0) -> dict[str, float]:
    return dict(found.reports[number].measures.figures)


def test_the_real_is_its_own_perfect_fake(
    compare: Compare, blobs: Blobs, blob_reference: Reference, filterbank: FilterBank
) -> None:
    found = compare(blobs.image)
    values = figures(found)
    assert {key: values[key] for key in PERFECT} == pytest.approx(PERFECT)
    assert values["objects_in_fake"] == values["matched"] > 12
    assert values["own_threshold_iou"] > 0.8
    np.testing.assert_array_equal(found.agreement, found.real.mask)
    segmented = dp.segment(blobs.image, blob_reference, filterbank)
    np.testing.assert_array_equal(found.real.instances, segmented.instances)
    np.testing.assert_array_equal(found.real.similarity, segmented.similarity)


def test_a_shift_moves_outlines_but_neither_number_nor_size(
    compare: Compare, blobs: Blobs
) -> None:
    found = figures(compare(ndi.shift(blobs.image, (3, 0), order=0, mode="nearest")))
    assert found["iou"] < 0.8
    assert 1 < found["boundary_distance"] < 4
    assert found["area_ratio"] == pytest.approx(1, abs=0.1)
    assert abs(found["objects_in_fake"] - found["objects_in_real"]) <= 1
    assert found["ssim"] < 0.8
    assert found["mse"] > 0.005


def test_an_inverted_copy_is_wrong_in_all(compare: Compare, blobs: Blobs) -> None:
    found = figures(compare(210 - np.minimum(blobs.image, 210)))
    assert found["pearson"] < -0.95
    assert found["iou"] < 0.1
    assert found["matched"] == 0
    assert found["average_precision"] < 0.3
    assert found["feature_distance"] > 0.8


def test_blur_leaves_the_objects(compare: Compare, blobs: Blobs) -> None:
    found = figures(compare(ndi.gaussian_filter(blobs.image, 1.5)))
    assert found["iou"] > 0.7
    assert found["f1"] > 0.85
    assert found["pearson"] > 0.95
    assert found["only_in_real"] == found["only_in_fake"] == 0
    # What was noise in the real is not in the blurred one.
    assert found["ssim"] < 0.95
    assert found["feature_distance"] > 0.02


def test_noise_moves_greys_and_features_before_objects(
    compare: Compare, blobs: Blobs
) -> None:
    rng = np.random.default_rng(0)
    noisy = blobs.image + rng.normal(0, 12, blobs.image.shape)
    found = figures(compare(noisy.clip(0, 255).astype(np.uint8)))
    assert found["ssim"] < 0.75
    assert found["mse"] > 0.003
    assert found["feature_distance"] > 0.05
    assert found["iou"] > 0.6
    assert found["only_in_real"] <= 1


def test_what_each_window_forgives(compare: Compare, blobs: Blobs) -> None:
    weak = (blobs.image * 0.6 + 12).astype(np.uint8)
    strict = figures(compare(weak))
    assert strict["pearson"] > 0.995
    assert strict["mse"] > 0.005
    image, histogram = (
        figures(compare(weak, options=dp.SegmentOptions(window=window)))
        for window in ("image", "histogram")
    )
    assert strict["iou"] < image["iou"] > 0.93
    assert histogram["iou"] > 0.93
    assert image["mse"] < 0.001
    # A curve between the two is forgiven by the histogram only.
    curved = (255 * (blobs.image / 255) ** 2.2).astype(np.uint8)
    image, histogram = (
        figures(compare(curved, options=dp.SegmentOptions(window=window)))
        for window in ("image", "histogram")
    )
    assert histogram["iou"] > max(0.9, image["iou"])
    assert histogram["ssim"] > max(0.9, image["ssim"])


def test_the_own_threshold_forgives_a_similarity_that_is_lower(
    compare: Compare, blobs: Blobs
) -> None:
    found = compare((blobs.image * 0.2 + 24).astype(np.uint8))
    assert figures(found)["iou"] < 0.2
    assert figures(found)["own_threshold_iou"] > 0.7
    assert found.reports[0].own_threshold < found.real.threshold


@pytest.mark.parametrize("kind", ["16 bit", "RGB", "RGBA", "float", "bool alpha"])
def test_the_same_fake_in_another_type_gives_the_same(
    compare: Compare, fake: np.ndarray, kind: str
) -> None:
    opaque = np.full_like(fake, 255)
    other = {
        "16 bit": fake.astype(np.uint16) * 257,
        "RGB": np.stack([fake] * 3, axis=2),
        "RGBA": np.stack([fake] * 3 + [opaque], axis=2),
        "float": fake / np.float32(255),
        "bool alpha": fake[:, :, None],
    }[kind]
    expected, found = figures(compare(fake)), figures(compare(other))
    assert found == pytest.approx(expected, abs=1e-4, rel=1e-3)


@pytest.mark.parametrize("how", ["replicated", "smooth"])
def test_an_enlarged_fake_gives_nearly_the_same(
    compare: Compare, fake: np.ndarray, how: str
) -> None:
    large = (
        np.kron(fake, np.ones((4, 4), np.uint8))
        if how == "replicated"
        else ndi.zoom(fake, 4, order=1, grid_mode=True, mode="nearest")
    )
    expected, found = figures(compare(fake)), figures(compare(large))
    for key in ("iou", "f1", "ssim", "pearson", "average_precision", "precision"):
        assert found[key] == pytest.approx(expected[key], abs=0.04), key
    assert found["only_in_real"] == expected["only_in_real"]
    assert found["only_in_fake"] == expected["only_in_fake"]
    assert found["psnr"] == pytest.approx(expected["psnr"], abs=1)


@pytest.mark.parametrize("window", ["reference", "image", "histogram"])
@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("kind", ["blank", "noise"])
def test_blank_and_noise_hold_no_object(
    compare: Compare, blobs: Blobs, window: Any, scale: int, kind: str
) -> None:
    """Resampled, noise can no longer be told from structure: it is asked before."""
    shape = tuple(scale * side for side in blobs.image.shape)
    nothing = np.full(shape, 90, np.uint8)
    if kind == "noise":
        nothing = np.random.default_rng(3).integers(0, 255, shape, dtype=np.uint8)
    report = compare(nothing, options=dp.SegmentOptions(window=window)).reports[0]
    found = report.measures.figures
    assert found["objects_in_fake"] == found["recall"] == found["f1"] == 0
    assert found["own_threshold_iou"] == 0
    assert found["only_in_real"] == found["objects_in_real"] > 12


def test_planted_and_removed_nuclei_have_names_where_there_is_a_truth(
    compare: Compare, blobs: Blobs, fake: np.ndarray
) -> None:
    planted = blobs.image.copy()
    y, x = np.mgrid[: planted.shape[0], : planted.shape[1]]
    free = ndi.distance_transform_edt(blobs.truth == 0)
    cy, cx = np.unravel_index(free[10:-10, 10:-10].argmax(), (121, 167))
    planted[(y - cy - 10) ** 2 + (x - cx - 10) ** 2 < 49] = 180
    found = compare([fake, planted], names=["removed", "planted"], truth=blobs.truth)
    assert [row["name"] for row in found.table] == ["real", "removed", "planted"]
    real, removed, more = (report.measures.figures for report in found.rows)
    assert real["objects_in_real"] == blobs.truth.max()
    assert real["ssim"] == 1
    assert removed["only_in_real"] == real["only_in_real"] + 1
    assert more["only_in_fake"] == real["only_in_fake"] + 1
    titles = {found.title(one) for one in COLUMNS}
    assert {"missed", "hallucinated"} <= titles
    assert "only in fake" in {compare(fake).title(one) for one in COLUMNS}


def test_a_mask_serves_as_truth_and_so_do_labels_of_another_size(
    compare: Compare, blobs: Blobs
) -> None:
    labels = compare(blobs.image, truth=blobs.truth.astype(np.uint16))
    for truth in (
        blobs.truth > 0,
        (blobs.truth > 0).astype(np.uint8) * 255,
        np.kron(blobs.truth, np.ones((2, 2), np.int64)),
    ):
        found = figures(compare(blobs.image, truth=truth))
        assert found == pytest.approx(figures(labels))


def test_intervals_and_noise_floor(compare: Compare, fake: np.ndarray, blobs) -> None:
    found = compare([fake, blobs.image], draws=6)
    assert found.note == ""
    report, same = found.reports
    assert set(report.intervals) == {one.key for one in COLUMNS}
    for one in COLUMNS:
        interval, floor = report.intervals[one.key], found.noise_floor[one.key]
        if one.group in ("intensities", "features"):
            assert interval is None
            assert floor == (PERFECT[one.key],) * 2
        else:
            assert interval is not None
            assert interval[0] <= interval[1]
    # Whichever prompts: the same ones find the same in two equal images.
    assert same.intervals["iou"] == (1, 1)
    median, bound = found.noise_floor["iou"]
    assert 0.3 < bound <= median <= 1
    assert found.noise_floor["only_in_fake"][0] <= found.noise_floor["only_in_fake"][1]
    low, high = report.intervals["iou"]  # type: ignore[misc]
    assert low - 0.1 <= figures(found)["iou"] <= high + 0.1
    record = found.table[0]
    assert (record["iou_low"], record["iou_high"]) == (low, high)
    assert math.isnan(float(str(record["ssim_low"])))


def test_a_seed_is_all_chance_there_is(compare: Compare, fake: np.ndarray) -> None:
    one, again, other = (compare(fake, draws=3, seed=seed) for seed in (1, 1, 2))
    assert repr(one.table) == repr(again.table)
    assert one.noise_floor == again.noise_floor
    assert one.noise_floor != other.noise_floor
    assert figures(one) == figures(other)


def test_too_few_prompts_are_said(
    blobs: Blobs, blob_features, filterbank: FilterBank
) -> None:
    reference = dp.Reference.from_prompts(blob_features, blobs.prompts[:2])
    found = dp.compare(blobs.image, blobs.image, reference, backbone=filterbank)
    assert "at least 3 prompts of object, there are 2" in found.note
    assert found.noise_floor == {}
    assert found.reports[0].intervals["iou"] is None
    found.figure()


def test_a_reference_of_another_image_keeps_its_threshold(
    blobs: Blobs, other_blobs: Blobs, blob_reference: Reference, filterbank: FilterBank
) -> None:
    features = dp.extract_features(
        other_blobs.image, filterbank, window=blob_reference.window
    )
    assert source_places(blob_reference, features) is None
    fake = ndi.gaussian_filter(other_blobs.image, 1)
    found = dp.compare(
        other_blobs.image, fake, blob_reference, backbone=filterbank, draws=2
    )
    assert found.real.threshold == blob_reference.auto_thresholds["object"]
    assert figures(found)["f1"] > 0.8


def test_one_class_of_several(
    blobs: Blobs, blob_features, filterbank: FilterBank
) -> None:
    points = np.concatenate([blobs.prompts, [(2, 2), (138, 3), (70, 184)]])
    classes = ["object"] * 5 + ["ground"] * 3
    reference = dp.Reference.from_prompts(blob_features, points, classes)
    found = dp.compare(
        blobs.image,
        blobs.image,
        reference,
        backbone=filterbank,
        class_name="ground",
        draws=2,
    )
    np.testing.assert_array_equal(found.agreement == 1, found.real.mask == 2)
    assert found.settings["class"] == "ground"


def test_no_data_counts_in_neither(compare: Compare, blobs: Blobs) -> None:
    holes = blobs.image.astype(np.float32)
    holes[:40] = np.nan
    found = compare(holes, draws=2)
    assert figures(found)["iou"] > 0.8
    assert not found.agreement[:40].any()


def test_progress_is_told_and_stops_with_the_asker(
    blobs: Blobs, blob_reference: Reference, filterbank: FilterBank
) -> None:
    steps = iter_compare(
        blobs.image, [blobs.image], blob_reference, backbone=filterbank, draws=2
    )
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as finished:
            assert isinstance(finished.value, dp.Comparison)
            break
    done = [step.done for step in seen]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == seen[-1].total
    stopped = iter_compare(blobs.image, blobs.image, blob_reference)
    next(stopped)
    stopped.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fakes": []}, "no fake"),
        ({"fakes": np.zeros((50, 141))}, "aspect ratio"),
        ({"draws": 1}, "at least 2"),
        ({"draws": -1}, "at least 2"),
        ({"names": ["a", "b"]}, "as many names"),
        ({"class_name": "cell"}, "no object class 'cell'; it has object"),
        ({"truth": np.full((141, 187), 0.5)}, "fractions"),
        ({"truth": np.full((141, 187), -1)}, "negative"),
        ({"truth": np.zeros((10, 99), int)}, "aspect ratio"),
        ({"options": dp.SegmentOptions(window="foo")}, "'histogram'"),
        ({"options": dp.SegmentOptions(threshold=3)}, "threshold"),
    ],
)
def test_misuse_is_said_before_any_work(
    compare: Compare, blobs: Blobs, monkeypatch, options: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(
        comparison, "iter_prepared_image", lambda *_, **__: pytest.fail("worked")
    )
    given = {"fakes": blobs.image} | options
    with pytest.raises(InputError, match=words):
        compare(**given)


@pytest.mark.parametrize("field", FIELDS)
def test_the_sample_undertrained_is_below_trained(
    field: str, filterbank: FilterBank
) -> None:
    files = sample_files(field)
    real, prompts = read_image(files["nuclei_real"]), read_prompts(files["prompts"])
    features = dp.extract_features(real, filterbank)
    found = dp.compare(
        real,
        [
            read_image(files[f"nuclei_fake_{how}"])
            for how in ("undertrained", "trained")
        ],
        dp.Reference.from_prompts(features, prompts.points, prompts.classes),
        backbone=filterbank,
        truth=read_image(files["nuclei_truth"]),
        options=dp.SegmentOptions(
            cleaning=dp.Cleaning(min_size=30, fill_holes=True, split=True)
        ),
        draws=0,
    )
    real_itself, undertrained, trained = (one.measures.figures for one in found.rows)
    for key in ("iou", "f1", "average_precision", "own_threshold_iou"):
        assert undertrained[key] < trained[key] < real_itself[key]
    for key in ("ssim", "pearson"):
        assert undertrained[key] < trained[key] < 1
    assert undertrained["feature_distance"] > trained["feature_distance"]


def test_lpips_is_a_column_where_there_is_a_network(
    compare: Compare, blobs: Blobs, fake: np.ndarray, monkeypatch
) -> None:
    seen = []

    def network(one, other):
        seen.append((tuple(one.shape), float(one.min()), float(one.max())))
        return (one - other).abs().mean()

    assert "lpips" not in figures(compare(fake))
    monkeypatch.setattr(comparison, "find_network", lambda: network)
    found = compare([fake, blobs.image], draws=2)
    assert figures(found, 0)["lpips"] > 0 == figures(found, 1)["lpips"]
    assert found.columns[-1].key == "lpips"
    assert found.noise_floor["lpips"] == (0, 0)
    assert found.reports[0].intervals["lpips"] is None
    (shape, low, high) = seen[0]
    assert shape == (1, 3, *blobs.image.shape)
    assert -1 <= low < high <= 1


def test_lpips_leaves_out_pixels_without_data(
    compare: Compare, blobs: Blobs, fake: np.ndarray, monkeypatch
) -> None:
    def network(one, other):
        return (one - other).abs().mean()

    monkeypatch.setattr(comparison, "find_network", lambda: network)
    holed = fake.astype(np.float32)
    holed[:, :60] = np.nan
    found = compare(holed)
    held = np.isfinite(holed)
    differ = np.abs(found.real_grey - found.reports[0].grey)
    assert differ[~held].max() > 0
    # The network sees greys from -1 to 1.
    expected = pytest.approx(2 * float(differ[held].mean()), rel=1e-5)
    assert figures(found)["lpips"] == expected
    nowhere = np.zeros(held.shape, dtype=bool)
    grey = found.real_grey
    assert math.isnan(perceptual_distance(grey, grey, network, nowhere))


def test_the_example_runs() -> None:
    runner = doctest.DocTestRunner()
    (example,) = doctest.DocTestFinder(recurse=False).find(
        comparison.compare, "compare"
    )
    runner.run(example)
    assert (runner.failures, runner.tries) == (0, 14)
