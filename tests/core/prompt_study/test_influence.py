"""What each prompt does, and which are out of place."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.prompt_study.influence import (
    alike_groups,
    find_outliers,
    iter_influence,
    likeness,
)
from napari_dinoprompt.core.prompt_study.subject import make_subject
from napari_dinoprompt.core.references.reference import Reference

GROUND = (5.0, 5.0)


def study(features, points, classes=None, truth=None):
    reference = Reference.from_prompts(features, points, classes)
    return run_to_end(iter_influence(make_subject(features, reference, truth=truth)))


@pytest.mark.parametrize("count", [3, 5, 8])
def test_a_prompt_on_background_is_the_outlier(blobs, blob_features, count) -> None:
    good = blobs.centres[:count]
    found = study(blob_features, np.concatenate((good, [GROUND])), truth=blobs.truth)
    assert found.outliers == (count,)
    assert found.sentences[0] == (f"Prompt {count + 1} looks like none of the others.")
    assert np.argmin(found.similarity) == count
    # Thresholds of about the same worth are averaged: one bad prompt among many harms
    # less than what is left to chance.
    assert found.left_out_iou[count] > found.full_iou - 0.005
    assert study(blob_features, good).outliers == ()


def test_the_same_place_twice_says_the_same(blobs, blob_features) -> None:
    points = blobs.centres[[0, 1, 2, 3, 1, 4, 5, 6]]
    found = study(blob_features, points)
    assert any({1, 4} <= set(group) for group in found.redundant)
    assert any(" say the same." in one for one in found.sentences)


def test_leaving_out_is_what_the_others_make(blobs, blob_features) -> None:
    from napari_dinoprompt.core.prompt_study.prompt_maps import (
        Subset,
        iou,
        make_prompt_maps,
    )

    found = study(blob_features, blobs.prompts)
    reference = Reference.from_prompts(blob_features, blobs.prompts)
    maps = make_prompt_maps(make_subject(blob_features, reference))
    full, four = (
        Subset(maps, members).find().mask for members in ([0, 1, 2, 3, 4], [0, 1, 3, 4])
    )
    assert found.left_out[2] == pytest.approx(1 - iou(full, four))


def test_background_and_other_classes(blobs, blob_features) -> None:
    points = np.concatenate((blobs.prompts, [GROUND, (70.0, 90.0)]))
    classes = ("object", "object", "spot", "object", "object", "background")
    found = study(blob_features, points, (*classes, "background"), blobs.truth)
    # A background prompt can be left out but finds nothing alone.
    assert np.isfinite(found.left_out[[0, 1, 3, 4, 5, 6]]).all()
    assert np.isnan(found.alone[[2, 5, 6]]).all()
    assert np.isnan(found.left_out[2])
    row = found.rows()[5]
    assert (row["prompt"], row["class"]) == (6, "background")


def test_a_lone_prompt_has_no_others(blobs, blob_features) -> None:
    found = study(blob_features, blobs.prompts[:1])
    assert np.isnan(found.left_out[0])
    assert found.alone[0] == 1
    assert found.outliers == found.redundant == ()


def test_outliers_by_hand() -> None:
    similarity = np.array([0.8, 0.7, 0.1, 0.3, -0.2, 0.9, 0.8])
    cuts = np.full(7, 0.5)
    missed = np.array([False, False, True, True, True, False, False])
    # 0.3 is below the cut, but near to it and to the others.
    likeness = np.array([0.6, 0.5, 0.1, 0.4, -0.1, 0.6, 0.5])
    assert find_outliers(likeness, similarity, cuts, missed) == (4, 2)
    # What the others find is none, and of two nobody can tell which is wrong.
    assert find_outliers(likeness, similarity, cuts, ~missed) == ()
    two = (part[3:5] for part in (likeness, similarity, cuts, missed))
    assert find_outliers(*two) == ()
    # One that stands apart, though its similarity is near to the cut.
    likeness = np.array([0.9, 0.88, 0.2, 0.9, 0.91])
    cuts, similarity = np.full(5, 0.4), np.array([0.9, 0.9, 0.3, 0.9, 0.9])
    missed = np.array([False, False, True, False, False])
    assert find_outliers(likeness, similarity, cuts, missed) == (2,)


def test_likeness_is_hardly_lowered_by_one_bad_prompt() -> None:
    gram = np.full((5, 5), 0.9)
    gram[4, :4] = gram[:4, 4] = -0.5
    np.fill_diagonal(gram, 1)
    assert likeness(gram).tolist() == [0.9, 0.9, 0.9, 0.9, -0.5]
    assert np.isnan(likeness(np.ones((1, 1)))).all()


def test_groups_hold_only_what_is_alike() -> None:
    gram = np.array([[1, 0.97, 0.9], [0.97, 1, 0.96], [0.9, 0.96, 1]])
    assert alike_groups(gram, [True] * 3) == ((0, 1),)
    assert alike_groups(gram, [False, True, True]) == ((1, 2),)
