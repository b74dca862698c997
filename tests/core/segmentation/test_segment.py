"""A reference applied to an image, from end to end with the filter bank."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage as ndi

import napari_dinoprompt as dp
from napari_dinoprompt.core.backbones.vit import VisionTransformer
from napari_dinoprompt.core.errors import IncompatibleReferenceError, InputError
from napari_dinoprompt.core.masks.cleaning import Cleaning, class_mask
from napari_dinoprompt.core.references.reference import Reference, resolve_thresholds
from napari_dinoprompt.core.scoring.similarity import score_plane, similarity_map
from napari_dinoprompt.core.segmentation.segment import SegmentOptions, segment
from napari_dinoprompt.core.segmentation.similarities import score_classes
from napari_dinoprompt.sample_data import FIELDS, sample_files, sample_path

if TYPE_CHECKING:
    import torch

    from napari_dinoprompt.core.backbones.filterbank import FilterBank


def iou(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a > 0, b > 0
    return float((a & b).sum() / (a | b).sum())


@pytest.fixture(scope="module")
def sample_image() -> np.ndarray:
    from imageio.v3 import imread

    return np.asarray(imread(sample_path("early_nuclei_real.png")))


@pytest.fixture(scope="module")
def sample_reference(sample_image: np.ndarray, filterbank: FilterBank) -> Reference:
    with sample_path("early_prompts.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    points = [(float(row["axis-0"]), float(row["axis-1"])) for row in table]
    features = dp.extract_features(sample_image, filterbank)
    return Reference.from_prompts(features, points)


def test_five_prompts_find_all_blobs(blobs, blob_reference, filterbank) -> None:
    result = segment(blobs.image, blob_reference, filterbank)
    assert iou(result.mask, blobs.truth) > 0.7
    found = result.instances[tuple(blobs.centres.round().astype(int).T)]
    assert (found > 0).all()


def test_the_reference_works_on_another_image(
    other_blobs, blob_reference, filterbank
) -> None:
    result = segment(other_blobs.image, blob_reference, filterbank)
    assert iou(result.mask, other_blobs.truth) > 0.7


def test_the_sample_field_is_segmented(
    sample_image, sample_reference, filterbank
) -> None:
    import tifffile

    truth = tifffile.imread(sample_path("early_nuclei_truth.tif"))
    result = segment(sample_image, sample_reference, filterbank)
    assert iou(result.mask, truth) > 0.7


def test_a_plain_map_is_near_1_on_what_was_clicked(blobs, blob_features) -> None:
    prompt = blobs.prompts[0]
    classes = ["object", "background"]
    reference = Reference.from_prompts(blob_features, [prompt, (2, 2)], classes)
    pixel = tuple(prompt.round().astype(int))
    plain = similarity_map(blob_features, reference, fitted=False)
    # A prompt stands for the mean of its object, which no one cell has to be.
    assert 0.8 < plain[pixel] < 1
    fitted = similarity_map(blob_features, reference)
    assert abs(fitted[pixel] - plain[pixel]) > 0.02


def test_the_same_call_gives_the_same_result(blobs, blob_reference, filterbank) -> None:
    options = SegmentOptions(cleaning=Cleaning(10, fill_holes=True, split=True))
    first, second = (
        segment(blobs.image, blob_reference, filterbank, options) for _ in range(2)
    )
    np.testing.assert_array_equal(first.similarity, second.similarity)
    np.testing.assert_array_equal(first.mask, second.mask)
    np.testing.assert_array_equal(first.instances, second.instances)
    assert first.thresholds == second.thresholds


def test_one_call_equals_its_steps_by_hand(blobs, other_blobs) -> None:
    backbone = dp.load_backbone("filterbank", device="cpu")
    features = dp.extract_features(blobs.image, backbone)
    reference = dp.Reference.from_prompts(features, blobs.prompts)
    target = dp.extract_features(other_blobs.image, backbone, window=features.window)
    similarity = dp.similarity_map(target, reference)
    threshold = reference.auto_thresholds["object"]
    result = dp.segment(other_blobs.image, reference, backbone)
    np.testing.assert_array_equal(result.similarity, similarity)
    np.testing.assert_array_equal(result.mask > 0, similarity > threshold)
    assert result.threshold == threshold
    assert result.mask.dtype == np.uint8
    assert result.instances.dtype == np.int32
    assert ((result.instances > 0) == (result.mask > 0)).all()


def test_the_backbone_is_loaded_by_its_name(blobs, blob_reference, filterbank) -> None:
    loaded = segment(blobs.image, blob_reference)
    given = segment(blobs.image, blob_reference, filterbank)
    np.testing.assert_allclose(loaded.similarity, given.similarity, atol=1e-4)


def test_a_saved_reference_gives_the_same_result(
    blobs, blob_reference, filterbank, tmp_path
) -> None:
    loaded = Reference.load(blob_reference.save(tmp_path / "a"))
    np.testing.assert_array_equal(
        segment(blobs.image, loaded, filterbank).similarity,
        segment(blobs.image, blob_reference, filterbank).similarity,
    )


def test_another_image_is_seen_with_the_window_and_statistics_of_the_source(
    blobs, blob_reference, filterbank
) -> None:
    """At half the brightness the picture is another one, and is seen as such."""
    dim = blobs.image // 2
    window = blob_reference.window
    features = dp.extract_features(dim, filterbank, window=window)
    scored = score_plane(features, blob_reference)
    result = segment(dim, blob_reference, filterbank)
    np.testing.assert_array_equal(result.similarity, scored.object_pixels()[0].numpy())
    same = segment(blobs.image, blob_reference, filterbank).similarity
    assert np.abs(result.similarity - same).mean() > 0.05


@pytest.mark.parametrize("how", ["image", "given"])
def test_the_user_may_forgive_a_difference_in_brightness(
    blobs, blob_reference, filterbank, how: str
) -> None:
    seen = blob_reference.window
    window = "image" if how == "image" else (seen.low / 2, seen.high / 2)
    options = SegmentOptions(window=window)
    result = segment(blobs.image / 2, blob_reference, filterbank, options)
    expected = segment(blobs.image, blob_reference, filterbank)
    np.testing.assert_allclose(result.similarity, expected.similarity, atol=1e-3)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float16", "float32", "float64"])
def test_the_number_format_makes_no_difference(
    blobs, blob_reference, filterbank, dtype: str
) -> None:
    expected = segment(blobs.image, blob_reference, filterbank)
    result = segment(blobs.image.astype(dtype), blob_reference, filterbank)
    np.testing.assert_allclose(result.similarity, expected.similarity, atol=1e-3)


def test_grey_as_rgba_makes_no_difference(blobs, blob_reference, filterbank) -> None:
    rgba = np.stack([*[blobs.image] * 3, np.full_like(blobs.image, 7)], axis=2)
    expected = segment(blobs.image, blob_reference, filterbank)
    result = segment(rgba, blob_reference, filterbank)
    np.testing.assert_allclose(result.similarity, expected.similarity, atol=1e-4)


@pytest.mark.parametrize("upscale", [0.8, 1.7, 2.0])
def test_upscaled_references_apply_at_their_upscale(
    blobs, filterbank, upscale: float
) -> None:
    features = dp.extract_features(blobs.image, filterbank, upscale=upscale)
    reference = Reference.from_prompts(features, blobs.prompts)
    result = segment(blobs.image, reference, filterbank)
    assert result.mask.shape == blobs.image.shape
    assert iou(result.mask, blobs.truth) > 0.6


# --- classes -------------------------------------------------------------------


def test_classes_compete_for_what_background_leaves(
    blobs, blob_features, filterbank
) -> None:
    ground = np.argwhere(ndi.distance_transform_edt(blobs.truth == 0) > 6)[::400]
    points = np.concatenate([blobs.centres[:4], ground])
    classes = ["cell"] * 2 + ["object"] * 2 + ["background"] * len(ground)
    reference = Reference.from_prompts(blob_features, points, classes)
    result = segment(blobs.image, reference, filterbank, SegmentOptions(threshold=-1))
    scores = score_classes(blob_features, reference)
    assert scores.names == ("cell", "object")
    expected = class_mask(scores.objects, [-1, -1], scores.competing_scores)
    np.testing.assert_array_equal(result.mask, expected)
    # At this threshold each pixel is of the class that is nearer.
    claimed = result.mask > 0
    assert claimed.mean() > 0.99
    winner = np.argmax(scores.competing_scores.numpy(), axis=0)
    np.testing.assert_array_equal(result.mask[claimed], winner[claimed] + 1)
    assert set(np.unique(result.mask[claimed])) == {1, 2}
    objects = Reference.from_prompts(blob_features, points[:4], classes[:4])
    some = SegmentOptions(threshold=0.2)
    less, more = (
        segment(blobs.image, one, filterbank, some).mask > 0
        for one in (reference, objects)
    )
    assert 0 < less.mean() < more.mean() < 0.6
    for name in ("cell", "object"):
        alone = similarity_map(blob_features, reference, name)
        np.testing.assert_allclose(scores.of(name), alone, atol=1e-5)
    assert set(result.thresholds) == {"cell", "object"}


def test_background_alone_is_refused(blobs, blob_features, filterbank) -> None:
    reference = Reference.from_prompts(blob_features, [(3, 3)], ["background"])
    with pytest.raises(InputError, match="background"):
        segment(blobs.image, reference, filterbank)


# --- no data -------------------------------------------------------------------


@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf])
def test_no_data_is_no_object_and_has_no_similarity(
    blobs, blob_reference, filterbank, gap: float
) -> None:
    image = blobs.image.astype(np.float32)
    y, x = blobs.centres[0].astype(int)
    image[y - 1 : y + 2, x - 1 : x + 2] = gap  # in the middle of a blob
    image[:20, :25] = gap
    hole = ~np.isfinite(image)
    options = SegmentOptions(
        threshold=-1, cleaning=Cleaning(fill_holes=True, split=True)
    )
    result = segment(image, blob_reference, filterbank, options)
    np.testing.assert_array_equal(np.isnan(result.similarity), hole)
    assert not result.instances[hole].any()
    assert not result.mask[hole].any()
    assert result.mask[~hole].any()


def test_prompts_on_an_image_with_gaps_give_the_same_objects(blobs, filterbank) -> None:
    image = np.full((blobs.image.shape[0] + 150, blobs.image.shape[1]), np.nan)
    image[: blobs.image.shape[0]] = blobs.image
    features = dp.extract_features(image, filterbank)
    reference = Reference.from_prompts(features, blobs.prompts)
    result = segment(image, reference, filterbank)
    assert iou(result.mask[: len(blobs.truth)], blobs.truth) > 0.65
    assert not result.mask[len(blobs.truth) :].any()


def test_nothing_but_nan_is_refused(blob_reference, filterbank) -> None:
    with pytest.raises(InputError, match="NaN"):
        segment(np.full((9, 9), np.nan), blob_reference, filterbank)


# --- nothing there -------------------------------------------------------------


def noise(kind: str, image: np.ndarray, seed: int) -> np.ndarray:
    """A plane without objects, of the size and number format of an image."""
    rng = np.random.default_rng(seed)
    shape = image.shape
    dark = image[image <= np.percentile(image, 60)].astype(float)
    low, high = float(image.min()), float(image.max())
    values = {
        "gaussian": lambda: rng.normal(dark.mean(), dark.std(), shape),
        "strong gaussian": lambda: rng.normal(dark.mean(), 3 * dark.std(), shape),
        "whole-range gaussian": lambda: rng.normal(image.mean(), image.std(), shape),
        "uniform": lambda: rng.uniform(low, high, shape),
        "salt and pepper": lambda: np.where(
            rng.random(shape) < 0.05, rng.choice([low, high], shape), dark.mean()
        ),
        "poisson": lambda: rng.poisson(dark.mean(), shape),
        "shuffled": lambda: rng.permutation(image.ravel()).reshape(shape),
    }
    return values[kind]().clip(0, 255).astype(np.uint8)


KINDS = [
    "gaussian",
    "strong gaussian",
    "whole-range gaussian",
    "uniform",
    "salt and pepper",
    "poisson",
    "shuffled",
]


def assert_no_object(result: dp.Segmentation, what: str) -> None:
    sizes = np.bincount(result.instances.ravel())[1:]
    assert not len(sizes), (
        f"{what}: {len(sizes)} objects of up to {sizes.max()} pixels; similarity up to "
        f"{np.nanmax(result.similarity):.3f}, threshold {result.threshold:.3f}"
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_noise_holds_no_object(
    blobs, blob_reference, filterbank, kind: str, seed: int
) -> None:
    plane = noise(kind, blobs.image, seed)
    assert_no_object(segment(plane, blob_reference, filterbank), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_holds_no_object_of_the_sample(
    sample_image, sample_reference, filterbank, kind: str
) -> None:
    plane = noise(kind, sample_image, 0)
    assert_no_object(segment(plane, sample_reference, filterbank), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_holds_no_object_like_one_prompt(
    blobs, blob_features, filterbank, kind: str
) -> None:
    reference = Reference.from_prompts(blob_features, blobs.centres[:1])
    assert_no_object(segment(noise(kind, blobs.image, 0), reference, filterbank), kind)


@pytest.mark.parametrize("value", [0, 1, 30, 180, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 3), (60, 50), (20, 20, 3)])
def test_a_constant_plane_holds_no_object(
    blob_reference, filterbank, value: int, shape: tuple[int, ...]
) -> None:
    plane = np.full(shape, value, dtype=np.uint8)
    result = segment(plane, blob_reference, filterbank, SegmentOptions(threshold=-1))
    assert result.mask.shape == result.similarity.shape == shape[:2]
    assert np.isfinite(result.similarity).all()
    assert_no_object(result, f"constant {value}")


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float16", "float64"])
def test_blank_planes_of_any_number_format_hold_no_object(
    blob_reference, filterbank, dtype: str
) -> None:
    for plane in (np.zeros((30, 40), dtype), np.ones((30, 40), dtype)):
        assert_no_object(segment(plane, blob_reference, filterbank), dtype)


@pytest.mark.parametrize("value", [0, 30, 180, 255])
def test_a_plane_with_one_odd_pixel_holds_no_object_elsewhere(
    blob_reference, filterbank, value: int
) -> None:
    """All but constant: no shortcut helps."""
    plane = np.full((200, 200), value, dtype=np.uint8)
    plane[100, 100] ^= 1
    assert_no_object(segment(plane, blob_reference, filterbank), f"nearly {value}")


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 3), (2, 90)])
def test_tiny_planes_can_be_prompted_and_segmented(
    filterbank, toy_vit, shape: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).random(shape)
    for backbone in (filterbank, toy_vit):
        features = dp.extract_features(image, backbone)
        for points in ([(0, 0)], [(0, 0), (shape[0] - 1, shape[1] - 1)]):
            reference = Reference.from_prompts(features, points)
            result = segment(image, reference, backbone)
            assert result.mask.shape == shape
            assert np.isfinite(result.threshold)
            assert np.isfinite(result.similarity).all()


def test_a_reference_from_a_constant_plane_finds_nothing_there(filterbank) -> None:
    image = np.full((40, 40), 9.0)
    features = dp.extract_features(image, filterbank)
    reference = Reference.from_prompts(features, [(5, 5), (20, 20)])
    result = segment(image, reference, filterbank)
    assert np.isfinite(result.threshold)
    assert_no_object(result, "constant source")


# --- options -------------------------------------------------------------------


def test_thresholds_are_the_caller_s_the_user_s_or_auto(
    blobs, blob_reference, filterbank
) -> None:
    carried = blob_reference.with_thresholds({"object": 0.9})
    assert segment(blobs.image, carried, filterbank).threshold == 0.9
    options = SegmentOptions(threshold=0.95)
    strict = segment(blobs.image, carried, filterbank, options)
    assert strict.threshold == 0.95
    np.testing.assert_array_equal(strict.mask > 0, strict.similarity > 0.95)


def test_cleaning_is_done_and_mask_and_instances_agree(
    blobs, blob_reference, filterbank
) -> None:
    options = SegmentOptions(
        threshold=0.0, cleaning=Cleaning(min_size=60, fill_holes=True, split=True)
    )
    result = segment(blobs.image, blob_reference, filterbank, options)
    sizes = np.bincount(result.instances.ravel())[1:]
    assert len(sizes) > 3
    assert sizes.min() >= 60
    assert ((result.instances > 0) == (result.mask > 0)).all()


@pytest.mark.parametrize(
    "options",
    [
        SegmentOptions(window="histogramme"),
        SegmentOptions(window=(5, 1)),
        SegmentOptions(threshold=float("nan")),
        SegmentOptions(threshold=2),
    ],
)
def test_impossible_options_are_refused(
    blobs, blob_reference, filterbank, options: SegmentOptions
) -> None:
    with pytest.raises(InputError):
        segment(blobs.image, blob_reference, filterbank, options)


def test_another_backbone_is_refused_before_any_work(
    blobs, blob_reference, toy_vit: VisionTransformer
) -> None:
    def work(_: object) -> None:
        pytest.fail("it was computed")

    class Idle(VisionTransformer):
        def __call__(self, batch: torch.Tensor) -> torch.Tensor:
            work(batch)
            return batch

    with pytest.raises(IncompatibleReferenceError, match=r"filterbank.*toy"):
        segment(blobs.image, blob_reference, Idle(**vars(toy_vit)))


def test_prompts_with_a_transformer_find_the_prompted_cells(
    blobs, toy_vit: VisionTransformer
) -> None:
    features = dp.extract_features(blobs.image, toy_vit, upscale=2)
    reference = Reference.from_prompts(features, blobs.prompts)
    result = segment(blobs.image, reference, toy_vit)
    at_prompts = result.similarity[tuple(blobs.centres[:5].round().astype(int).T)]
    assert at_prompts.min() > np.median(result.similarity)
    assert replace(reference).prototype("object").shape == (32,)


def test_five_random_prompts_segment_both_sample_fields(
    filterbank: FilterBank,
) -> None:
    """The mean IoU at the auto threshold, with prompts that nobody chose."""
    import tifffile
    from imageio.v3 import imread

    found = []
    for field in FIELDS:
        files = sample_files(field)
        truth = tifffile.imread(files["nuclei_truth"])
        features = dp.extract_features(imread(files["nuclei_real"]), filterbank)
        inside = np.argwhere(truth)
        for seed in range(6):
            points = np.random.default_rng(seed).choice(inside, 5)
            reference = Reference.from_prompts(features, points)
            thresholds = resolve_thresholds(reference)
            found.append(
                iou(score_classes(features, reference).mask(thresholds), truth)
            )
    assert np.mean(found) >= 0.80


def test_a_plain_map_is_given_out_beside_the_same_mask(
    blobs, blob_features, filterbank
) -> None:
    points = [*blobs.prompts, (2, 2)]
    classes = ["object"] * len(blobs.prompts) + ["background"]
    reference = Reference.from_prompts(blob_features, points, classes)
    fitted = segment(blobs.image, reference, filterbank)
    plain = segment(blobs.image, reference, filterbank, SegmentOptions(map="plain"))
    np.testing.assert_array_equal(plain.mask, fitted.mask)
    assert plain.mask.any()
    assert (fitted.kind, plain.kind) == ("fitted", "plain")
    expected = similarity_map(blob_features, reference, fitted=False)
    np.testing.assert_array_equal(plain.similarity, expected)
    np.testing.assert_array_equal(plain.maps, expected[None])
    assert np.abs(plain.similarity - fitted.similarity).max() > 0.1


def test_another_kind_of_map_is_refused() -> None:
    with pytest.raises(InputError, match="'fitted' or 'plain', not 'raw'"):
        SegmentOptions(map="raw")
