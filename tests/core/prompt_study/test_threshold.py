"""What the threshold does."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dinoprompt.core.comparison.metrics import measure_agreement
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.prompt_study.subject import make_subject
from napari_dinoprompt.core.prompt_study.threshold import (
    find_plateau,
    information_by_cut,
    iter_threshold,
)
from napari_dinoprompt.core.segmentation.similarities import score_classes


def test_the_curves_are_those_of_the_masks(
    blobs, blob_features, blob_reference
) -> None:
    subject = make_subject(blob_features, blob_reference, truth=blobs.truth)
    found = run_to_end(iter_threshold(subject))
    assert len(found.thresholds) == 121
    assert (found.thresholds[0], found.thresholds[-1]) == (-0.2, 1.0)
    k = 70
    similarities = score_classes(blob_features, blob_reference)
    mask = similarities.mask({"object": float(found.thresholds[k])})
    assert found.fraction[k] == pytest.approx(mask.mean())
    assert found.iou[k] == pytest.approx(measure_agreement(mask, blobs.truth).iou)
    assert found.best == found.thresholds[np.argmax(found.iou)]
    assert found.used == blob_reference.auto_thresholds["object"]
    assert f"Against the truth {found.best:.2f} is best" in found.sentence
    # On discs on a ground the object count at a good cut is the truth's.
    assert found.objects[np.argmax(found.iou)] == pytest.approx(16, abs=4)
    assert found.information.max() > 0.2
    assert found.rows()[k]["objects"] == found.objects[k]


def test_a_threshold_of_the_user_is_the_one_in_use(
    blob_features, blob_reference
) -> None:
    chosen = blob_reference.with_thresholds({"object": 0.77})
    found = run_to_end(iter_threshold(make_subject(blob_features, chosen)))
    assert found.used == 0.77
    assert found.automatic == blob_reference.auto_thresholds["object"]
    assert np.isnan(found.best)
    assert "truth" not in found.sentence


def test_plateaus_by_hand() -> None:
    thresholds = np.linspace(-0.2, 1, 121)
    falling = np.clip(1 - (thresholds + 0.2) / 1.2, 0, 1)
    flat = falling.copy()
    flat[(thresholds > 0.3) & (thresholds < 0.6)] = 0.4
    low, high = find_plateau(thresholds, flat)
    assert (low, high) == pytest.approx((0.31, 0.6), abs=0.04)
    # Everything, nothing, and what lies below 0 are no plateaus.
    step = np.where(thresholds < 0.5, 1.0, 0.0)
    assert find_plateau(thresholds, step) is None
    steep = np.exp(-30 * (thresholds + 0.2)) * 0.8
    assert find_plateau(thresholds, steep) is None


def test_information_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, 5000).astype(np.float32)
    light = (0.3 + 0.3 * (values > 0.2) + 0.1 * rng.random(5000)).astype(np.float32)
    cuts = np.array([-0.5, 0.2, 0.9])
    found = information_by_cut(values, light, cuts)
    for cut, bits in zip(cuts, found, strict=True):
        level = np.minimum((light * 64).astype(int), 63)
        joint = np.histogram2d(values > cut, level, bins=(2, range(65)))[0] / 5000
        apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = joint * np.log2(joint / apart)
        assert bits == pytest.approx(np.nansum(terms), abs=1e-9)
    # At the true cut the light tells all of the mask.
    share = np.mean(values > 0.2)
    entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
    assert found[1] == pytest.approx(entropy)
    assert np.argmax(found) == 1
    assert information_by_cut(values[:0], light[:0], cuts).tolist() == [0, 0, 0]
