"""Prompts added in many orders."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.progress import Progress, run_to_end
from napari_dinoprompt.core.prompt_study.convergence import (
    describe_stop,
    iter_convergence,
    stop_with_truth,
    stop_without_truth,
)
from napari_dinoprompt.core.prompt_study.subject import make_subject
from napari_dinoprompt.core.references.reference import Reference

NAN = math.nan


def study(subject, **options):
    return run_to_end(iter_convergence(subject, **options))


@pytest.fixture(scope="module")
def subject(blobs, blob_features, blob_reference):
    return make_subject(blob_features, blob_reference, truth=blobs.truth)


def test_all_orders_of_few_prompts(subject) -> None:
    found = study(subject)
    assert (found.orders, found.exhaustive) == (120, True)
    assert found.counts.tolist() == [1, 2, 3, 4, 5]
    # All prompts make the same mask in whatever order.
    assert (found.agreement[:, -1] == 1).all()
    assert np.ptp(found.score[:, -1]) == 0
    assert found.score[2, -1] > 0.8
    assert np.isnan(found.change[:, 0]).all()
    assert (np.diff(found.score, axis=0) >= 0).all()
    assert len(found.rows()) == 5
    assert found.rows()[0]["change_50"] is not None


def test_random_orders_come_again_with_their_seed(subject) -> None:
    one, again = (study(subject, orders=7, seed=3) for _ in range(2))
    assert (one.orders, one.exhaustive) == (7, False)
    np.testing.assert_array_equal(one.score, again.score)


def test_without_truth_only_the_score_is_missing(
    subject, blob_features, blob_reference
) -> None:
    blind = study(make_subject(blob_features, blob_reference), orders=9)
    seeing = study(subject, orders=9)
    assert np.isnan(blind.score).all()
    assert blind.enough_by_truth is None
    np.testing.assert_array_equal(blind.change, seeing.change)
    assert blind.sentence == seeing.sentence


def test_it_says_how_far_it_is_and_can_be_stopped(subject) -> None:
    steps = iter_convergence(subject, orders=6)
    assert [next(steps) for _ in range(3)] == [Progress(k, 6) for k in range(3)]
    steps.close()


def test_one_prompt_cannot_converge(blobs, blob_features, subject) -> None:
    reference = Reference.from_prompts(blob_features, blobs.prompts[:1])
    with pytest.raises(InputError, match="at least two"):
        study(make_subject(blob_features, reference))
    with pytest.raises(InputError, match="orders"):
        study(subject, orders=0)


@pytest.mark.parametrize(
    ("change", "enough"),
    [
        ([NAN, 0.3, 0.1, 0.02, 0.01], 3),
        ([NAN, 0.3, 0.01, 0.2, 0.01], 4),
        ([NAN, 0.3, 0.1, 0.1, 0.09], None),
        ([NAN, 0.01, 0.01], 1),
        ([NAN, 0.5], None),
    ],
)
def test_enough_is_where_nothing_changes_any_more(change, enough) -> None:
    assert stop_without_truth(np.array(change)) == enough


def test_enough_by_truth_is_where_nothing_is_gained() -> None:
    assert stop_with_truth(np.array([0.5, 0.7, 0.795, 0.8, 0.802])) == 3
    # More prompts may be worse.
    assert stop_with_truth(np.array([0.6, 0.5, 0.55])) == 1


def test_answers_in_words() -> None:
    change = np.array([NAN, 0.3, 0.1, 0.02])
    pixels = np.array([NAN, 0.1, 0.03, 0.004])
    assert describe_stop(3, change, pixels) == (
        "3 prompts are enough: the 4th changes at most 2.0 % of the mask (0.4 % of the "
        "image)."
    )
    assert describe_stop(1, np.array([NAN, 0.01]), np.array([NAN, 0.0])).startswith(
        "1 prompt is enough: the 2nd"
    )
    assert describe_stop(None, change[:3], pixels[:3]) == (
        "3 prompts are not enough yet: the last one still changed up to 10 % of the "
        "mask (3.0 % of the image)."
    )
    many = np.full(30, 0.01)
    assert "the 12th changes" in describe_stop(11, many, many)
    assert "the 22nd changes" in describe_stop(21, many, many)
