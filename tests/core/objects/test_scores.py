"""Objects scored as wholes: means, the threshold between two groups, classes."""

import numpy as np
import pytest
from scipy import ndimage as ndi

import napari_dinoprompt as dp
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.objects import boxes
from napari_dinoprompt.core.objects.scores import (
    ObjectScores,
    iter_object_scores,
    object_threshold,
)
from napari_dinoprompt.core.progress import run_to_end


def test_scores_are_means_over_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "SIDES", {2: (16, 20), 3: (4, 8, 8)})
    rng = np.random.default_rng(2)
    labels = ndi.label(rng.random((50, 61)) > 0.6)[0] * 2
    maps = {name: rng.random(labels.shape).astype(np.float32) for name in "ab"}
    maps["a"][:5] = np.nan
    found = run_to_end(iter_object_scores(labels, maps))
    assert found.labels.tolist() == sorted(set(labels.ravel().tolist()) - {0})
    for at, name in enumerate("ab"):
        expected = [
            np.nan
            if np.isnan(maps[name][labels == one]).all()
            else np.nanmean(maps[name][labels == one])
            for one in found.labels
        ]
        np.testing.assert_allclose(found.scores[:, at], expected, rtol=1e-5)


def test_the_threshold_lies_between_the_groups() -> None:
    rng = np.random.default_rng(0)
    few = rng.normal(0.6, 0.05, 8)
    many = rng.normal(0.1, 0.05, 200)
    for pixels in (0.35, 0.42, 0.5):
        cut = object_threshold(np.concatenate([few, many, [np.nan]]), pixels)
        assert many.max() < cut < few.min()


def test_where_nothing_resembles_the_prompts_nothing_is_chosen() -> None:
    scores = np.random.default_rng(0).normal(0.05, 0.04, 300)
    assert object_threshold(scores, 0.42) > scores.max()
    assert object_threshold(np.zeros(0), 0.42) == 0.42


def test_classes_compete_and_lack_of_data_is_no_class() -> None:
    scores = np.array([[0.9, 0.8], [0.3, 0.6], [0.2, 0.1], [np.nan, np.nan]])
    found = ObjectScores(("a", "b"), np.array([2, 5, 6, 9]), scores)
    assert found.classes({"a": 0.5, "b": 0.5}).tolist() == [1, 2, 0, 0]
    painted = found.paint(np.array([[0, 2, 5], [9, 6, 7]]), np.array([1, 2, 3, 4]))
    assert painted.tolist() == [[0, 1, 2], [4, 3, 0]]


def test_objects_like_the_prompted_ones_are_selected() -> None:
    y, x = np.mgrid[:200, :200] % 40 - 20
    disc = y**2 + x**2 < 64
    image = np.where(disc, 220, 20).astype(np.uint8)
    image[:, 120:] //= 3
    labels = ndi.label(disc)[0]
    features = dp.extract_features(image, dp.load_backbone("filterbank", device="cpu"))
    reference = dp.Reference.from_prompts(features, [(20, 20), (60, 60), (100, 20)])
    found = dp.select_objects(labels, features, reference)
    expected = np.where(np.arange(200) < 120, labels, 0)
    np.testing.assert_array_equal(found.instances[...], expected)
    assert found.mask[20, 20] == 1
    table = found.objects_table(channels={"light": image})
    assert table["label"].tolist() == np.unique(expected)[1:].tolist()
    assert table["similarity"].min() > found.thresholds["object"]
    assert not found.cut({"object": 0.99}).instances[...].any()
    # A mask has no numbers: its regions are the objects.
    mask = dp.select_objects(disc, features, reference)
    assert np.array_equal(mask.mask[...], found.mask[...])
    with pytest.raises(InputError, match="found in this image"):
        dp.select_objects(labels[:90], features, reference)
